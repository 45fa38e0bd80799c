"""The IBM Watson provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudtune.provider import (
    BaseProvider,
    Check,
    Facts,
    Finding,
    FittedStudy,
    Json,
    Lookup,
    Mode,
    Note,
    Plan,
    Study,
)
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.request_fields import PROTECTED_PATHS, STUDY_FIELDS
from cloudtune_watson.settings import WatsonSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import Emulator, JobClient, JobContext, JobDescription, TrainingJobs
    from cloudtune.provider.account import Policy
    from cloudtune.provider.call_record import Answer, Call
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial
    from cloudtune_watson.backend import Backend


class WatsonProvider(BaseProvider[WatsonSettings]):
    """IBM Watson: WML Accelerator's search, or cloudtune's trials as trainings or jobs."""

    capabilities = CAPABILITIES
    settings = WatsonSettings
    emulator = "cloudtune_watson.emulator"
    connection_settings = (
        *("backend", "url", "sign_in_url", "version", "certificate", "username", "key_variable"),
        "instance_group",
    )
    packages: Mapping[str, Sequence[str]] = {
        "watsonx": ("requests",),
        "emulators": ("trustme", "werkzeug"),
    }
    recorded_as = "ibm"
    smallest_machine: Mapping[str, Any] = {
        "backend": "jobs",
        "hardware_spec": "S",
        "software_spec": "runtime-25.1-py3.12",
    }
    most_unpriced: Mapping[str, int] = {"nodes": 1}
    unpriced_machines: Mapping[str, Sequence[str]] = {"hardware_spec": ("XS", "S")}
    protected_paths = PROTECTED_PATHS
    study_fields = STUDY_FIELDS

    @property
    def formats(self) -> Sequence[Format]:
        """Searches of WML Accelerator."""
        from cloudtune_watson.wmla.native import WatsonFormat

        return [WatsonFormat()]

    def stand_ins(self, settings: WatsonSettings) -> WatsonSettings:
        """Return the settings with a back end, also if the study does not name one."""
        from cloudtune_watson.lookup import stand_in_backend

        return stand_in_backend(settings)

    def reachable_emulator(self, settings: WatsonSettings) -> Emulator | None:
        """Return the emulator whose address is the cluster's in the settings, if any."""
        from cloudtune_watson.auth import reachable_emulator

        return reachable_emulator(settings)

    def lookup(self, study: Study, settings: WatsonSettings, facts: Facts) -> Lookup:
        """Return what is known of the cluster; does not call the service."""
        from cloudtune_watson.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of this service."""
        from cloudtune_watson.rules.study import study_rules

        return study_rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
    ) -> Json:
        """Return the request of a search, or of one start of a trial; empty without a back end."""
        if settings.service is None:
            return {}
        from cloudtune_watson.backends import BACKENDS

        return BACKENDS[settings.service].request(fitted, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        from cloudtune_watson.backends import BACKENDS

        name = plan.facts.data["backend"]
        return BACKENDS[name].outline(plan) if name else {}

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of WML Accelerator's searches.

        Raises:
            MissingExtraError: If requests is not installed.
            UsageError: If the variable with the key is not set.
        """
        return _backend_of(plan).client(plan, context) or super().client(plan, context)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster.

        Raises, also while the checks are read:
            MissingExtraError: If requests is not installed.
            ProviderError: If the cluster cannot be reached.
        """
        if context.emulator is None and not plan.facts.data["key_is_set"]:
            from cloudtune_watson.auth import missing_key

            yield missing_key(plan)
            return
        if plan.facts.data["backend"] is None:
            from cloudtune.provider.account import check_packages

            yield from check_packages("watsonx")
            return
        once = replace(context, is_stopping=lambda: True)
        yield from _backend_of(plan).check_account(plan, once)

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the role that the user of a run needs, with the calls that need it."""
        from cloudtune_watson.backends import BACKENDS

        name = plan.facts.data["backend"]
        return [each.policy(plan) for each in ([BACKENDS[name]] if name else BACKENDS.values())]

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the back end of searches, unless the user gives one."""
        return {} if given.get("backend") else {"backend": "wmla"}

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the search with a name; raises what the base class names."""
        return _backend_of(plan).describe_job(job, plan, context)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log on the cluster, or None if its path is unknown.

        Raises:
            MissingExtraError: If the packages that reach the cluster are not installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, the log does not exist, or the cluster refuses.
        """
        return _backend_of(plan).read_log(plan, context, trial)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return the files that a trial left on the cluster; raises what the base class names."""
        return _backend_of(plan).trial_files(plan, context, trial)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_watson.verification import answers

        return answers(calls)

    def omitted_steps(self, plan: Plan) -> Mapping[str, str]:
        """Return the steps of a verification that the plan's back end cannot show."""
        from cloudtune_watson.verification import OMITTED

        return OMITTED.get(plan.facts.data["backend"], {})

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return what a run has stored; None for a search, whose code is a part of it.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails.
        """
        return _backend_of(plan).uploads(plan, context)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs | None:
        """Store the code, and return the trainings or deployment jobs of the trials.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, or the cluster cannot be reached.
        """
        return _backend_of(plan).training_jobs(plan, context)


def _backend_of(plan: Plan) -> Backend:
    from cloudtune_watson.backends import backend_of

    return backend_of(plan)
