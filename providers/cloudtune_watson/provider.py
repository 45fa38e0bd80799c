"""The IBM Watson provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloudtune.provider import (
    Answer,
    BaseProvider,
    Call,
    Check,
    Emulator,
    Facts,
    Finding,
    FittedStudy,
    Format,
    JobClient,
    JobContext,
    JobDescription,
    Json,
    Lookup,
    Mode,
    Note,
    Plan,
    Policy,
    Started,
    Study,
    TrainingJobs,
    Trial,
    TrialFiles,
    Uploads,
    check_packages,
)
from cloudtune_watson.auth import missing_key, reachable_emulator
from cloudtune_watson.backends import BACKENDS, backend_of
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.lookup import lookup, stand_in_backend
from cloudtune_watson.rules.study import study_rules
from cloudtune_watson.settings import WatsonSettings


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
    smallest_machine: Mapping[str, Any] = {"backend": "jobs"}
    protected_paths = tuple(
        dict.fromkeys(path for each in BACKENDS.values() for path in each.protected_paths)
    )
    study_fields: Mapping[str, Sequence[str]] = {
        path: fields for each in BACKENDS.values() for path, fields in each.study_fields.items()
    }

    @property
    def formats(self) -> Sequence[Format]:
        """Searches of WML Accelerator."""
        from cloudtune_watson.wmla.native import WatsonFormat

        return [WatsonFormat()]

    def stand_ins(self, settings: WatsonSettings) -> WatsonSettings:
        """Return the settings with a back end, also if the study does not name one."""
        return stand_in_backend(settings)

    def reachable_emulator(self, settings: WatsonSettings) -> Emulator | None:
        """Return the emulator whose address is the cluster's in the settings, if any."""
        return reachable_emulator(settings)

    def lookup(self, study: Study, settings: WatsonSettings, facts: Facts) -> Lookup:
        """Return what is known of the cluster; does not call the service."""
        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of this service."""
        return study_rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
    ) -> Json:
        """Return the request of a search, or of one start of a trial; empty without a back end."""
        if settings.service is None:
            return {}
        return BACKENDS[settings.service].request(fitted, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        name = plan.facts.data["backend"]
        return BACKENDS[name].outline(plan) if name else {}

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of WML Accelerator's searches.

        Raises:
            MissingExtraError: If requests is not installed.
            UsageError: If the variable with the key is not set.
        """
        return backend_of(plan).client(plan, context) or super().client(plan, context)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster.

        Raises, also while the checks are read:
            MissingExtraError: If requests is not installed.
            ProviderError: If the cluster cannot be reached.
        """
        if context.emulator is None and not plan.facts.data["key_is_set"]:
            yield missing_key(plan)
            return
        if plan.facts.data["backend"] is None:
            yield from check_packages("watsonx")
            return
        once = replace(context, is_stopping=lambda: True)
        yield from backend_of(plan).check_account(plan, once)

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the role that the user of a run needs, with the calls that need it."""
        name = plan.facts.data["backend"]
        return [each.policy(plan) for each in ([BACKENDS[name]] if name else BACKENDS.values())]

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the back end of searches, unless the user gives one."""
        return {} if given.get("backend") else {"backend": "wmla"}

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the search with a name; raises what the base class names."""
        return backend_of(plan).describe_job(job, plan, context)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log on the cluster, or None if its path is unknown.

        Raises:
            MissingExtraError: If the packages that reach the cluster are not installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, the log does not exist, or the cluster refuses.
        """
        return backend_of(plan).read_log(plan, context, trial)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return the files that a trial left on the cluster; raises what the base class names."""
        return backend_of(plan).trial_files(plan, context, trial)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_watson.verification import answers

        return answers(calls)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return what a run has stored; None for a search, whose code is a part of it.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails.
        """
        return backend_of(plan).uploads(plan, context)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs | None:
        """Store the code, and return the trainings or deployment jobs of the trials.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, or the cluster cannot be reached.
        """
        return backend_of(plan).training_jobs(plan, context)
