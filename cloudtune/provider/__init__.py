"""What a provider is, and all that a provider imports from cloudtune.

The names below are imported when they are first used, so a provider costs only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.common.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cloudtune.bundle.archive import write_archive as write_archive
    from cloudtune.bundle.launcher import PROGRAM as PROGRAM
    from cloudtune.bundle.launcher import SOURCE as SOURCE
    from cloudtune.bundle.launcher import START as START
    from cloudtune.bundle.launcher import launcher_files as launcher_files
    from cloudtune.bundle.launcher import launcher_program as launcher_program
    from cloudtune.bundle.launcher import script_modules as script_modules
    from cloudtune.diagnostics import Check as Check
    from cloudtune.diagnostics import Finding as Finding
    from cloudtune.diagnostics import Note as Note
    from cloudtune.dialect.code import is_remote as is_remote
    from cloudtune.dialect.code import locate_code as locate_code
    from cloudtune.dialect.code import other_sources as other_sources
    from cloudtune.dialect.code import source_address as source_address
    from cloudtune.dialect.code import storage_address as storage_address
    from cloudtune.dialect.code import unread_variables as unread_variables
    from cloudtune.dialect.model import Dialect as Dialect
    from cloudtune.dialect.native import Native as Native
    from cloudtune.dialect.native import map_at as map_at
    from cloudtune.dialect.native import named_entries as named_entries
    from cloudtune.dialect.native import native_of as native_of
    from cloudtune.dialect.native import take_block as take_block
    from cloudtune.dialect.ranges import LINEAR_AND_LOG as LINEAR_AND_LOG
    from cloudtune.dialect.ranges import choose_one as choose_one
    from cloudtune.dialect.ranges import list_log_scale as list_log_scale
    from cloudtune.dialect.ranges import write_power as write_power
    from cloudtune.dialect.words import Words as Words
    from cloudtune.dialect.words import inverse as inverse
    from cloudtune.errors import CloudtuneError as CloudtuneError
    from cloudtune.errors import EmulatorEndedError as EmulatorEndedError
    from cloudtune.errors import MissingExtraError as MissingExtraError
    from cloudtune.errors import ProviderError as ProviderError
    from cloudtune.errors import UsageError as UsageError
    from cloudtune.fitting.capabilities import ALL_LIMITS as ALL_LIMITS
    from cloudtune.fitting.capabilities import ALL_SCALES as ALL_SCALES
    from cloudtune.fitting.capabilities import DRIVEN as DRIVEN
    from cloudtune.fitting.capabilities import LAUNCHER_FIELDS as LAUNCHER_FIELDS
    from cloudtune.fitting.capabilities import NOTHING as NOTHING
    from cloudtune.fitting.capabilities import Adjustment as Adjustment
    from cloudtune.fitting.capabilities import Capabilities as Capabilities
    from cloudtune.fitting.capabilities import Limit as Limit
    from cloudtune.fitting.capabilities import ModeCapabilities as ModeCapabilities
    from cloudtune.fitting.capabilities import without_launcher as without_launcher
    from cloudtune.fitting.fit import FittedStudy as FittedStudy
    from cloudtune.formats.fields import Fields as Fields
    from cloudtune.formats.fields import Report as Report
    from cloudtune.formats.model import Format as Format
    from cloudtune.formats.model import StudyDraft as StudyDraft
    from cloudtune.formats.model import compact as compact
    from cloudtune.formats.model import read_named as read_named
    from cloudtune.formats.ranges import read_power as read_power
    from cloudtune.formats.values import describe_value as describe_value
    from cloudtune.formats.values import parse_number as parse_number
    from cloudtune.formats.values import parse_text as parse_text
    from cloudtune.formats.values import parse_texts as parse_texts
    from cloudtune.formats.values import rising_numbers as rising_numbers
    from cloudtune.formats.values import unique_values as unique_values
    from cloudtune.formats.vizier.names import camel_case as camel_case
    from cloudtune.formats.vizier.names import restore_paths as restore_paths
    from cloudtune.formats.vizier.parameters import read_parameter_specs as read_parameter_specs
    from cloudtune.formats.vizier.tree import SCALES as SCALES
    from cloudtune.formats.vizier.tree import adjust_reversed as adjust_reversed
    from cloudtune.formats.vizier.tree import build_tree as build_tree
    from cloudtune.formats.vizier.tree import count_combinations as count_combinations
    from cloudtune.formats.vizier.tree import kept_names as kept_names
    from cloudtune.formats.vizier.tree import kept_specs as kept_specs
    from cloudtune.formats.vizier.tree import parameter_specs as parameter_specs
    from cloudtune.formats.vizier.tree import scale_type as scale_type
    from cloudtune.formats.vizier.tree import several_parents as several_parents
    from cloudtune.formats.vizier.tree import walk_tree as walk_tree
    from cloudtune.launcher.call import looks_like_option as looks_like_option
    from cloudtune.ledger.home import state_folder as state_folder
    from cloudtune.provider.account import Policy as Policy
    from cloudtune.provider.account import Right as Right
    from cloudtune.provider.account import account_error as account_error
    from cloudtune.provider.account import account_ok as account_ok
    from cloudtune.provider.account import account_unknown as account_unknown
    from cloudtune.provider.account import account_warning as account_warning
    from cloudtune.provider.account import ask as ask
    from cloudtune.provider.account import check_clock as check_clock
    from cloudtune.provider.account import check_packages as check_packages
    from cloudtune.provider.account import right_missing as right_missing
    from cloudtune.provider.base import BaseProvider as BaseProvider
    from cloudtune.provider.call_record import Answer as Answer
    from cloudtune.provider.call_record import Call as Call
    from cloudtune.provider.call_record import record_call as record_call
    from cloudtune.provider.call_record import recorded_call as recorded_call
    from cloudtune.provider.cost import overrides_any as overrides_any
    from cloudtune.provider.cost import read_prices as read_prices
    from cloudtune.provider.facts import Facts as Facts
    from cloudtune.provider.facts import Inputs as Inputs
    from cloudtune.provider.facts import Lookup as Lookup
    from cloudtune.provider.facts import Price as Price
    from cloudtune.provider.facts import ServiceLimits as ServiceLimits
    from cloudtune.provider.lookup import code_address as code_address
    from cloudtune.provider.lookup import count_certain_trials as count_certain_trials
    from cloudtune.provider.lookup import environment_variables as environment_variables
    from cloudtune.provider.lookup import find_inputs as find_inputs
    from cloudtune.provider.lookup import has_code as has_code
    from cloudtune.provider.lookup import has_module as has_module
    from cloudtune.provider.lookup import input_address as input_address
    from cloudtune.provider.lookup import input_files as input_files
    from cloudtune.provider.lookup import is_loopback as is_loopback
    from cloudtune.provider.lookup import python_requirement as python_requirement
    from cloudtune.provider.lookup import source_files as source_files
    from cloudtune.provider.lookup import uses_launcher as uses_launcher
    from cloudtune.provider.models import CloudSettings as CloudSettings
    from cloudtune.provider.models import Emulator as Emulator
    from cloudtune.provider.models import Interrupted as Interrupted
    from cloudtune.provider.models import JobContext as JobContext
    from cloudtune.provider.models import JobDescription as JobDescription
    from cloudtune.provider.models import JobRef as JobRef
    from cloudtune.provider.models import JobStatus as JobStatus
    from cloudtune.provider.models import ProviderSettings as ProviderSettings
    from cloudtune.provider.models import RawTrial as RawTrial
    from cloudtune.provider.models import Recovered as Recovered
    from cloudtune.provider.models import TrainingJob as TrainingJob
    from cloudtune.provider.placeholders import fill_placeholders as fill_placeholders
    from cloudtune.provider.plan import Plan as Plan
    from cloudtune.provider.protocols import Emit as Emit
    from cloudtune.provider.protocols import JobClient as JobClient
    from cloudtune.provider.protocols import TrainingJobs as TrainingJobs
    from cloudtune.provider.protocols import TrialRunner as TrialRunner
    from cloudtune.provider.redirects import guard_redirects as guard_redirects
    from cloudtune.provider.resources import largest_resources as largest_resources
    from cloudtune.provider.resources import trial_resources as trial_resources
    from cloudtune.provider.retries import pause as pause
    from cloudtune.provider.retries import retry_pauses as retry_pauses
    from cloudtune.provider.secrets import Mask as Mask
    from cloudtune.provider.secrets import check_visible_secrets as check_visible_secrets
    from cloudtune.provider.secrets import resolve_secrets as resolve_secrets
    from cloudtune.provider.secrets import secret_variables as secret_variables
    from cloudtune.provider.source_size import describe_source as describe_source
    from cloudtune.provider.uploads import Uploads as Uploads
    from cloudtune.provider.uploads import content_hash as content_hash
    from cloudtune.provider.uploads import list_input as list_input
    from cloudtune.provider.uploads import upload_address as upload_address
    from cloudtune.provider.uploads import upload_once as upload_once
    from cloudtune.results.events import FINAL_STATES as FINAL_STATES
    from cloudtune.results.events import Ended as Ended
    from cloudtune.results.events import JobState as JobState
    from cloudtune.results.events import Measured as Measured
    from cloudtune.results.events import Started as Started
    from cloudtune.results.events import Stopped as Stopped
    from cloudtune.results.events import TrialState as TrialState
    from cloudtune.results.model import Measurement as Measurement
    from cloudtune.results.model import Trial as Trial
    from cloudtune.results.objective import explain_missing_objective as explain_missing_objective
    from cloudtune.results.objective import objective_values as objective_values
    from cloudtune.results.reports import InvalidReportError as InvalidReportError
    from cloudtune.results.reports import check_count as check_count
    from cloudtune.results.reports import is_bool as is_bool
    from cloudtune.results.reports import is_integer as is_integer
    from cloudtune.results.reports import is_text as is_text
    from cloudtune.results.reports import is_time as is_time
    from cloudtune.results.reports import or_absent as or_absent
    from cloudtune.results.reports import parse_record as parse_record
    from cloudtune.results.reports import parse_report as parse_report
    from cloudtune.study.merge import merge_json as merge_json
    from cloudtune.study.quantities import Money as Money
    from cloudtune.study.quantities import format_bytes as format_bytes
    from cloudtune.study.quantities import format_count as format_count
    from cloudtune.study.quantities import format_duration as format_duration
    from cloudtune.study.quantities import parse_bytes as parse_bytes
    from cloudtune.study.quantities import parse_duration as parse_duration
    from cloudtune.study.quantity_fields import MoneyAmount as MoneyAmount
    from cloudtune.study.quantity_fields import Seconds as Seconds
    from cloudtune.study.regular_files import open_regular as open_regular
    from cloudtune.study.regular_files import read_regular as read_regular
    from cloudtune.study.schema import BoolParameter as BoolParameter
    from cloudtune.study.schema import CategoricalParameter as CategoricalParameter
    from cloudtune.study.schema import DiscreteParameter as DiscreteParameter
    from cloudtune.study.schema import FloatParameter as FloatParameter
    from cloudtune.study.schema import FromEnvironment as FromEnvironment
    from cloudtune.study.schema import Input as Input
    from cloudtune.study.schema import IntParameter as IntParameter
    from cloudtune.study.schema import Json as Json
    from cloudtune.study.schema import Mode as Mode
    from cloudtune.study.schema import Objective as Objective
    from cloudtune.study.schema import Parameter as Parameter
    from cloudtune.study.schema import Resources as Resources
    from cloudtune.study.schema import StrategyName as StrategyName
    from cloudtune.study.schema import TrialSpec as TrialSpec
    from cloudtune.study.schema import When as When
    from cloudtune.study.search_space import Node as Node
    from cloudtune.study.search_space import Space as Space
    from cloudtune.study.search_space import Value as Value
    from cloudtune.study.search_space import count_values as count_values
    from cloudtune.study.search_space import definition_path as definition_path
    from cloudtune.study.search_space import format_value as format_value
    from cloudtune.study.search_space import interpolate as interpolate
    from cloudtune.study.search_space import is_active as is_active
    from cloudtune.study.search_space import is_same_value as is_same_value
    from cloudtune.study.search_space import list_nodes as list_nodes
    from cloudtune.study.search_space import list_values as list_values
    from cloudtune.study.search_space import match_value as match_value
    from cloudtune.study.search_space import resolve_scale as resolve_scale
    from cloudtune.study.search_space import value_at as value_at
    from cloudtune.study.study import Study as Study
    from cloudtune.study.suggestions import did_you_mean as did_you_mean
    from cloudtune.study.validation.option_values import find_lost_values as find_lost_values
    from cloudtune.study.validation.trial_spec import is_metric_expression as is_metric_expression
    from cloudtune.study.validation.trial_spec import is_variable_name as is_variable_name
    from cloudtune.study.yaml_reader import is_list as is_list
    from cloudtune.study.yaml_reader import is_map as is_map

_EXPORTS = {
    "cloudtune.bundle.archive": "write_archive",
    "cloudtune.bundle.launcher": (
        "PROGRAM SOURCE START launcher_files launcher_program script_modules"
    ),
    "cloudtune.diagnostics": "Check Finding Note",
    "cloudtune.errors": (
        "CloudtuneError EmulatorEndedError MissingExtraError ProviderError UsageError"
    ),
    "cloudtune.fitting.capabilities": (
        "ALL_LIMITS ALL_SCALES DRIVEN LAUNCHER_FIELDS NOTHING Adjustment Capabilities Limit "
        "ModeCapabilities without_launcher"
    ),
    "cloudtune.fitting.fit": "FittedStudy",
    "cloudtune.dialect.code": (
        "is_remote locate_code other_sources source_address storage_address unread_variables"
    ),
    "cloudtune.dialect.model": "Dialect",
    "cloudtune.dialect.native": "Native map_at named_entries native_of take_block",
    "cloudtune.dialect.ranges": "LINEAR_AND_LOG choose_one list_log_scale write_power",
    "cloudtune.dialect.words": "Words inverse",
    "cloudtune.formats.ranges": "read_power",
    "cloudtune.formats.fields": "Fields Report",
    "cloudtune.formats.model": "Format StudyDraft compact read_named",
    "cloudtune.formats.values": (
        "describe_value parse_number parse_text parse_texts rising_numbers unique_values"
    ),
    "cloudtune.formats.vizier.names": "camel_case restore_paths",
    "cloudtune.formats.vizier.parameters": "read_parameter_specs",
    "cloudtune.formats.vizier.tree": (
        "SCALES adjust_reversed build_tree count_combinations kept_names kept_specs "
        "parameter_specs scale_type several_parents walk_tree"
    ),
    "cloudtune.ledger.home": "state_folder",
    "cloudtune.provider.account": (
        "Policy Right account_error account_ok account_unknown account_warning ask check_clock "
        "check_packages right_missing"
    ),
    "cloudtune.provider.base": "BaseProvider",
    "cloudtune.provider.cost": "overrides_any read_prices",
    "cloudtune.provider.facts": "Facts Inputs Lookup Price ServiceLimits",
    "cloudtune.provider.lookup": (
        "code_address count_certain_trials environment_variables find_inputs has_code has_module "
        "input_address input_files is_loopback python_requirement source_files uses_launcher"
    ),
    "cloudtune.provider.models": (
        "CloudSettings Emulator Interrupted JobContext JobDescription JobRef JobStatus "
        "ProviderSettings RawTrial Recovered TrainingJob"
    ),
    "cloudtune.provider.placeholders": "fill_placeholders",
    "cloudtune.provider.plan": "Plan",
    "cloudtune.provider.protocols": "Emit JobClient TrainingJobs TrialRunner",
    "cloudtune.provider.redirects": "guard_redirects",
    "cloudtune.provider.resources": "largest_resources trial_resources",
    "cloudtune.provider.retries": "pause retry_pauses",
    "cloudtune.provider.call_record": "Answer Call record_call recorded_call",
    "cloudtune.provider.secrets": "Mask check_visible_secrets resolve_secrets secret_variables",
    "cloudtune.provider.source_size": "describe_source",
    "cloudtune.provider.uploads": "Uploads content_hash list_input upload_address upload_once",
    "cloudtune.results.events": "FINAL_STATES Ended JobState Measured Started Stopped TrialState",
    "cloudtune.results.model": "Measurement Trial",
    "cloudtune.results.objective": "explain_missing_objective objective_values",
    "cloudtune.results.reports": (
        "InvalidReportError check_count is_bool is_integer is_text is_time or_absent parse_record "
        "parse_report"
    ),
    "cloudtune.study.merge": "merge_json",
    "cloudtune.study.quantities": (
        "Money format_bytes format_count format_duration parse_bytes parse_duration"
    ),
    "cloudtune.study.quantity_fields": "MoneyAmount Seconds",
    "cloudtune.study.regular_files": "open_regular read_regular",
    "cloudtune.study.schema": (
        "BoolParameter CategoricalParameter DiscreteParameter FloatParameter FromEnvironment "
        "Input IntParameter Json Mode Objective Parameter Resources StrategyName "
        "TrialSpec When"
    ),
    "cloudtune.study.search_space": (
        "Node Space Value count_values definition_path format_value interpolate is_active "
        "is_same_value list_nodes list_values match_value resolve_scale value_at"
    ),
    "cloudtune.study.study": "Study",
    "cloudtune.study.suggestions": "did_you_mean",
    "cloudtune.study.validation.option_values": "find_lost_values",
    "cloudtune.study.validation.trial_spec": "is_metric_expression is_variable_name",
    "cloudtune.study.yaml_reader": "is_list is_map",
    "cloudtune.launcher.call": "looks_like_option",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
