"""What the emulators of all providers share, and all that an emulator imports from cloudtune.

It has nothing that plans or translates a study, so that an emulator cannot share a mistake with its
provider. The names below are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.common.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from cloudtune.emulation.faults import FaultPlan as FaultPlan
    from cloudtune.emulation.process import CERTIFICATE as CERTIFICATE
    from cloudtune.emulator_kit.app import App as App
    from cloudtune.emulator_kit.app import ConnectionLost as ConnectionLost
    from cloudtune.emulator_kit.app import Operations as Operations
    from cloudtune.emulator_kit.app import Response as Response
    from cloudtune.emulator_kit.app import ServiceError as ServiceError
    from cloudtune.emulator_kit.call_log import CallLog as CallLog
    from cloudtune.emulator_kit.command_line import run_emulator as run_emulator
    from cloudtune.emulator_kit.containers import NOT_STARTED as NOT_STARTED
    from cloudtune.emulator_kit.containers import Container as Container
    from cloudtune.emulator_kit.containers import in_container as in_container
    from cloudtune.emulator_kit.containers import runtime as runtime
    from cloudtune.emulator_kit.delays import Delays as Delays
    from cloudtune.emulator_kit.image import PASSED_ON as PASSED_ON
    from cloudtune.emulator_kit.image import add_packages as add_packages
    from cloudtune.emulator_kit.image import create_folder as create_folder
    from cloudtune.emulator_kit.image import create_image as create_image
    from cloudtune.emulator_kit.image import site_packages as site_packages
    from cloudtune.emulator_kit.job_run import JobRun as JobRun
    from cloudtune.emulator_kit.job_run import Listener as Listener
    from cloudtune.emulator_kit.script_jobs import NO_CAPACITY as NO_CAPACITY
    from cloudtune.emulator_kit.script_jobs import POLL_SECONDS as POLL_SECONDS
    from cloudtune.emulator_kit.script_jobs import Context as Context
    from cloudtune.emulator_kit.script_jobs import JobNotStarted as JobNotStarted
    from cloudtune.emulator_kit.script_jobs import ScriptJobs as ScriptJobs
    from cloudtune.emulator_kit.state import Job as Job
    from cloudtune.emulator_kit.state import ScriptJob as ScriptJob
    from cloudtune.emulator_kit.state import add_measurement as add_measurement
    from cloudtune.emulator_kit.tuner import Tuner as Tuner
    from cloudtune.engine.inbox import StopRequest as StopRequest
    from cloudtune.errors import MissingExtraError as MissingExtraError
    from cloudtune.errors import StudyError as StudyError
    from cloudtune.errors import UsageError as UsageError
    from cloudtune.execution.exit_reasons import describe_exit_code as describe_exit_code
    from cloudtune.execution.process_monitor import ProcessSpec as ProcessSpec
    from cloudtune.results.events import Ended as Ended
    from cloudtune.results.events import Measured as Measured
    from cloudtune.results.events import SearchEvent as SearchEvent
    from cloudtune.results.events import Started as Started
    from cloudtune.results.events import TrialState as TrialState
    from cloudtune.search.factory import make_strategy as make_strategy
    from cloudtune.search.protocol import Strategy as Strategy
    from cloudtune.search.protocol import Suggestion as Suggestion
    from cloudtune.study.schema import Json as Json
    from cloudtune.study.search_space import Value as Value
    from cloudtune.study.search_space import format_value as format_value
    from cloudtune.study.study import Study as Study
    from cloudtune.study.yaml_reader import is_list as is_list
    from cloudtune.study.yaml_reader import is_map as is_map

_EXPORTS = {
    "cloudtune.emulation.faults": "FaultPlan",
    "cloudtune.emulation.process": "CERTIFICATE",
    "cloudtune.emulator_kit.app": "App ConnectionLost Operations Response ServiceError",
    "cloudtune.emulator_kit.call_log": "CallLog",
    "cloudtune.emulator_kit.command_line": "run_emulator",
    "cloudtune.emulator_kit.containers": "NOT_STARTED Container in_container runtime",
    "cloudtune.emulator_kit.delays": "Delays",
    "cloudtune.emulator_kit.image": (
        "PASSED_ON add_packages create_folder create_image site_packages"
    ),
    "cloudtune.emulator_kit.job_run": "JobRun Listener",
    "cloudtune.emulator_kit.script_jobs": (
        "NO_CAPACITY POLL_SECONDS Context JobNotStarted ScriptJobs"
    ),
    "cloudtune.emulator_kit.state": "Job ScriptJob add_measurement",
    "cloudtune.emulator_kit.tuner": "Tuner",
    "cloudtune.engine.inbox": "StopRequest",
    "cloudtune.errors": "MissingExtraError StudyError UsageError",
    "cloudtune.execution.exit_reasons": "describe_exit_code",
    "cloudtune.execution.process_monitor": "ProcessSpec",
    "cloudtune.results.events": "Ended Measured SearchEvent Started TrialState",
    "cloudtune.search.factory": "make_strategy",
    "cloudtune.search.protocol": "Strategy Suggestion",
    "cloudtune.study.schema": "Json",
    "cloudtune.study.search_space": "Value format_value",
    "cloudtune.study.study": "Study",
    "cloudtune.study.yaml_reader": "is_list is_map",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, _EXPORTS)
