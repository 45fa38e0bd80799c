"""The provider interface: what a provider is to the core.

A provider is data (capabilities), pure functions (rules, request) and one or two ways to reach its
service: a `JobClient` for managed jobs, `TrainingJobs` or a `TrialRunner` for driven ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudtune.errors import ProviderError, UsageError
from cloudtune.provider.facts import Inputs, Lookup
from cloudtune.provider.lookup import input_address, local_lookup

if TYPE_CHECKING:
    from cloudtune.diagnostics import Check, Finding, Note
    from cloudtune.fitting.capabilities import Capabilities
    from cloudtune.fitting.fit import FittedStudy
    from cloudtune.formats.model import Format
    from cloudtune.provider.account import Policy
    from cloudtune.provider.call_record import Answer, Call
    from cloudtune.provider.facts import Facts
    from cloudtune.provider.models import Emulator, JobContext, JobDescription
    from cloudtune.provider.plan import Plan
    from cloudtune.provider.protocols import Emit, JobClient, TrainingJobs, TrialRunner
    from cloudtune.provider.settings import ProviderSettings
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results.events import Started
    from cloudtune.results.model import Trial
    from cloudtune.study.schema import Json, Mode
    from cloudtune.study.study import Study

SettingsT = TypeVar("SettingsT", bound="ProviderSettings")


class BaseProvider(ABC, Generic[SettingsT]):
    """One tuning service, or this machine.

    A provider must define `capabilities`, `settings` and `request`, and `client` for a managed mode
    or `training_jobs` for a driven one.
    """

    capabilities: Capabilities
    """What the provider supports, by mode."""
    settings: type[SettingsT]
    """The model of ``providers.<name>`` in the study."""
    emulator: str | None = None
    """The module that emulates the service on this machine, if there is one."""
    emulates_images: bool = False
    """Whether its emulator can run trials in their images."""
    connection_settings: Sequence[str] = ()
    """The settings that name the place of a job and the caller, such as a region; the service does
    not return them for a job that was started elsewhere."""
    packages: Mapping[str, Sequence[str]] = MappingProxyType({})
    """The modules that a run imports, by the extra that installs them.

    The modules of the extra ``emulators`` are only for emulated runs.
    """
    script_variables: Sequence[str] = ()
    """How the variables begin that only this service sets for a script."""
    input_variables: Sequence[str] = ()
    """How those begin that have the path of an input."""
    container_folders: Sequence[str] = ()
    """The folders that only the containers of this service have."""
    reporting_modules: Sequence[str] = ()
    """Modules by which a script reports metrics to this service, besides `cloudtune.trial`."""
    recorded_as: str = ""
    """The name of the service in recordings, if it is not the provider's."""
    smallest_machine: Mapping[str, Any] = MappingProxyType({})
    """Settings of the smallest machine for trials that the service offers."""
    price_list_region: Mapping[str, str] = MappingProxyType({})
    """The setting of the region whose prices cloudtune has; empty if it has none in money."""
    most_unpriced: Mapping[str, int] = MappingProxyType({})
    """What a verification may have at most of settings whose price cloudtune does not know."""
    unpriced_machines: Mapping[str, Sequence[str]] = MappingProxyType({})
    """The only values that settings of the machine may have in a verification, if cloudtune has no
    price in money with which it could check that of the user."""
    not_verifiable: str = ""
    """Why no verification answers what is not verified about it, if something is not."""
    protected_paths: Sequence[str] = ()
    """The dotted paths of a request that ``native`` may not replace."""
    study_fields: Mapping[str, Sequence[str]] = MappingProxyType({})
    """The fields of the study that determine a path of a request, for values that a request has
    even if the study sets none of them.

    If ``native`` replaces such a default, nothing of the study is lost. `*` in a path matches any
    entry. Other values count as determined by the study.
    """

    @property
    def formats(self) -> Sequence[Format]:
        """The configuration files of the service that cloudtune imports and exports.

        A format is imported late, as this property is read.
        """
        return ()

    def lookup(self, study: Study, settings: SettingsT, facts: Facts) -> Lookup:
        """Return what the provider must know before planning; by default, nothing is uploaded.

        This does not call the service: an unknown value gets a visible placeholder. With
        ``facts.emulated``, missing settings get stand-ins, and no real profile is read.
        """
        name = self.capabilities.provider
        addresses: dict[str, str | None] = {}
        for each in study.trial.inputs:
            address = input_address(study, name, each, emulated=facts.emulated)
            addresses[each] = address.uri if address else None
        return replace(local_lookup(study, facts, name), inputs=Inputs(addresses))

    def stand_ins(self, settings: SettingsT) -> SettingsT:
        """Return the settings of an emulated run, with stand-ins for those that decide the mode.

        `lookup` finds the stand-ins for all others. By default, no setting decides the mode.
        """
        return settings

    def reachable_emulator(self, settings: SettingsT) -> Emulator | None:
        """Return the emulator to which the service's own variables or settings lead, if any.

        Raises:
            UsageError: If only some calls would reach it.
        """
        return None

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return what only this service refuses or does differently. Pure; by default, nothing."""
        return ()

    @abstractmethod
    def request(self, fitted: FittedStudy, mode: Mode, settings: SettingsT, facts: Facts) -> Json:
        """Return the service's request in its own spelling. Pure and total: it adds no finding."""

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates at the service, in words, for the page of its plan.

        The labels are those that apply of ``where``, ``machine``, ``image``, ``uploads`` and
        ``creates``, or the provider's own. Pure; by default, nothing.
        """
        return {}

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of the managed service.

        Raises:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the provider has no managed mode or cannot be reached.
        """
        raise ProviderError(self.capabilities.provider, "this provider has no managed mode")

    def check_account(self, plan: Plan, context: JobContext) -> Iterable[Check]:
        """Yield what read-only calls show of the account that a run would use; by default nothing.

        A check that lacks a right is ``unknown`` and names the right; it ends no other check.
        The study may be empty, and settings may be missing: `Facts.lookup` lists them.

        Args:
            plan: The plan of the run. With ``plan.facts.emulated``, the account is the emulator's.
            context: An empty folder, and the emulator.

        Raises, also while the checks are read:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the service cannot be reached at all.
        """
        return ()

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the settings that follow from a job's address, such as the region of an ARN.

        Args:
            job: The service's name or address of a job that was started elsewhere.
            given: The settings that the user gives.
        """
        return {}

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return a tuning job that was started elsewhere, so that a run can follow it.

        Args:
            job: The service's name or address of the job, as the user gives it.
            plan: A plan without a study, with the settings and the place of the job.
            context: The folder and the emulator of the run.

        Raises:
            MissingExtraError: If the service's SDK is not installed.
            UsageError: If this is not a name of a job, or no job of this kind can be followed.
            ProviderError: If there is no such job, or the service refuses or cannot be reached.
        """
        raise UsageError(f"{self.capabilities.title} has no tuning jobs that can be attached")

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the smallest rights that a run needs, as text; by default nothing.

        Sends nothing. An unknown name is its placeholder, such as ``{{account}}``.
        """
        return ()

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log at the service, or None if that is impossible.

        Args:
            plan: The plan of the run.
            context: The folder and the emulator of the job.
            trial: The trial; its id is the service's name of its last start.

        Raises, also while the lines are read:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the service cannot be reached, or refuses.
        """
        return None

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return the outputs and checkpoints of a trial that has ended, wherever they are.

        Their paths begin with `trial_files.OUTPUT` and `trial_files.CHECKPOINT`. An emulator that
        ended with its run has left its files in `JobContext.emulator_folder`.

        Args:
            plan: The plan of the run.
            context: The folder and the emulator of the job, if that still runs.
            trial: The trial.
            started: Its last start.

        Raises, also while files are read:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the service cannot be reached, or refuses.
            OSError: If a file of this machine cannot be read.
        """
        raise UsageError(f"{self.capabilities.title} keeps no files of trials")

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the recorded calls of a verification answer; by default nothing."""
        return ()

    def omitted_steps(self, plan: Plan) -> Mapping[str, str]:
        """Return the steps of a verification that show nothing, with the reasons; by default none.

        Args:
            plan: The plan of any step.
        """
        return {}

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return the uploads of a run that `cloudtune clean --remote` removes, or None.

        Raises:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the service cannot be reached.
        """
        return None

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs | None:
        """Return the training jobs of a driven run, or None if `runner` runs the trials.

        Raises:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the provider cannot be reached.
        """
        return None

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> TrialRunner:
        """Return a runner of single trials. Called if there are no `training_jobs`.

        Args:
            plan: The plan of the job.
            context: The folder and the emulator of the job.
            emit: Receives what trials report.
            notify: Receives messages for the user, such as what trials wait for.

        Raises:
            MissingExtraError: If the service's SDK is not installed.
            ProviderError: If the provider has no driven mode or cannot be reached.
        """
        raise ProviderError(self.capabilities.provider, "this provider has no driven mode")
