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
    UsageError,
)
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.request_fields import PROTECTED_PATHS, STUDY_FIELDS
from cloudtune_watson.settings import MODES, WatsonSettings

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
    """IBM Watson: WML Accelerator's search, or cloudtune's trials as trainings or jobs.

    The folders of the back ends have these functions, which raise what those of the provider raise:

    - ``client.connect(plan, context)``, which sends nothing
    - ``account.check_account(http, plan, facts)``
    - ``logs.read_log(plan, context, trial)`` and ``trial_files.trial_files(plan, context, trial)``
    - ``tuning_client.TuningClient(client, plan, context)`` and
      ``job_description.describe_job(client, job)`` in managed mode
    - ``training_client.training_jobs(client, plan, context)`` and
      ``uploads.find_uploads(client, plan)`` in driven mode
    """

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

    def connect(self, plan: Plan, context: JobContext) -> Any:
        """Return a client of the plan's back end, without sending a request."""
        return _backend_of(plan).file("client").connect(plan, context)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of WML Accelerator's searches.

        Raises:
            MissingExtraError: If requests is not installed.
            UsageError: If the variable with the key is not set.
        """
        connection, file = self.connect(plan, context), _backend_of(plan).file("tuning_client")
        client: JobClient = file.TuningClient(connection, plan, context)
        return client

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
        from cloudtune_watson.auth import cluster_facts, connect

        http = connect(plan, replace(context, is_stopping=lambda: True))
        file = _backend_of(plan).file("account")
        yield from file.check_account(http, plan, cluster_facts(plan, context))

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
        backend = _backend_of(plan)
        if _is_driven(plan):
            raise UsageError(
                "a training of Watson Machine Learning is one trial, and not a search; searches of "
                "WML Accelerator can be attached, with providers.watson.backend: wmla"
            )
        connection = self.connect(plan, context)
        description: JobDescription = backend.file("job_description").describe_job(connection, job)
        return description

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log on the cluster, or None if its path is unknown.

        Raises:
            MissingExtraError: If the packages that reach the cluster are not installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, the log does not exist, or the cluster refuses.
        """
        lines: Iterator[str] | None = _backend_of(plan).file("logs").read_log(plan, context, trial)
        return lines

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return the files that a trial left on the cluster; raises what the base class names."""
        files: TrialFiles = _backend_of(plan).file("trial_files").trial_files(plan, context, trial)
        return files

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
        file = _backend_of(plan).file("uploads")
        if not _is_driven(plan):
            return None
        uploads: Uploads = file.find_uploads(self.connect(plan, context), plan)
        return uploads

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Store the code, and return the trainings or deployment jobs of the trials.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, or the cluster cannot be reached.
        """
        connection, file = self.connect(plan, context), _backend_of(plan).file("training_client")
        jobs: TrainingJobs = file.training_jobs(connection, plan, context)
        return jobs


def _backend_of(plan: Plan) -> Backend:
    from cloudtune_watson.backends import backend_of

    return backend_of(plan)


def _is_driven(plan: Plan) -> bool:
    return MODES[plan.facts.data["backend"]] == "driven"
