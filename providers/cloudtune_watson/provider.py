"""The IBM Watson provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudtune.provider import (
    BaseProvider,
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
    Policy,
    Study,
    TrainingJobs,
    Trial,
    Uploads,
    UsageError,
)
from cloudtune_watson.auth import cluster_facts, connect, missing_key, reachable_emulator
from cloudtune_watson.capabilities import CAPABILITIES
from cloudtune_watson.jobs.launcher_contract import JOB_NAME_VARIABLE, PARAMETERS_VARIABLE
from cloudtune_watson.lookup import lookup, stand_in_backend
from cloudtune_watson.outline import outline
from cloudtune_watson.request import request
from cloudtune_watson.request.study_fields import STUDY_FIELDS
from cloudtune_watson.rules import rules
from cloudtune_watson.settings import WatsonSettings

if TYPE_CHECKING:
    from cloudtune.provider import Plan, ServiceDocument
    from cloudtune_watson.jobs.client import RuntimeClient


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
    protected_paths = (
        "name",
        "tags",
        "space_id",
        "project_id",
        "results_reference",
        "model_definition.id",
        "model_definition.command",
        "file",
        "data.hpoName",
        "deployment.id",
        f"scoring.environment_variables.{JOB_NAME_VARIABLE}",
        f"scoring.environment_variables.{PARAMETERS_VARIABLE}",
        "scoring.output_data_reference",
    )
    study_fields = STUDY_FIELDS

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
        return rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: WatsonSettings, facts: Facts
    ) -> Json:
        """Return the request of a tuning job, or of the training job of each trial."""
        return request(fitted, mode, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        return outline(plan)

    @property
    def documents(self) -> Mapping[str, Callable[[Plan], ServiceDocument]]:
        """The older document of IBM's experiments."""
        from cloudtune_watson.request.experiments import to_document

        return {"experiments": to_document}

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of WML Accelerator's searches.

        Raises:
            MissingExtraError: If requests is not installed.
            UsageError: If the variable with the key is not set.
        """
        from cloudtune_watson.wmla.client import WmlaClient
        from cloudtune_watson.wmla.tuning_client import TuningClient

        wmla = WmlaClient(connect(plan, context), cluster_facts(plan, context))
        return TuningClient(wmla, plan, context)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the cluster.

        Raises, also while the checks are read:
            MissingExtraError: If requests is not installed.
            ProviderError: If the cluster cannot be reached.
        """
        from cloudtune_watson.account import check_account
        from cloudtune_watson.wmla.client import WmlaClient

        if context.emulator is None and not plan.facts.data["key_is_set"]:
            yield missing_key(plan)
            return
        once = replace(context, is_stopping=lambda: True)
        if plan.facts.data["backend"] == "jobs":
            from cloudtune_watson.jobs.account import check_account as check_space

            yield from check_space(self._runtime(plan, once), plan)
            return
        http = connect(plan, once)
        yield from check_account(http, plan, WmlaClient(http, cluster_facts(plan, context)))

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the role that the user of a run needs, with the calls that need it."""
        from cloudtune_watson.policy import policies

        return policies(plan)

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the back end of searches, unless the user gives one."""
        return {} if given.get("backend") else {"backend": "wmla"}

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the search with a name; raises what the base class names."""
        from cloudtune_watson.wmla.client import WmlaClient
        from cloudtune_watson.wmla.job_description import describe_job

        assert isinstance(plan.settings, WatsonSettings)
        if plan.settings.service != "wmla":
            raise UsageError(
                "a training of Watson Machine Learning is one trial, and not a search; searches of "
                "WML Accelerator can be attached, with providers.watson.backend: wmla"
            )
        wmla = WmlaClient(connect(plan, context), cluster_facts(plan, context))
        return describe_job(wmla, job)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log on the cluster, or None if its path is unknown.

        Raises:
            MissingExtraError: If the packages that reach the cluster are not installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, the log does not exist, or the cluster refuses.
        """
        from cloudtune_watson.console import read_training_log

        if plan.mode == "managed":
            from cloudtune_watson.wmla.client import WmlaClient

            wmla = WmlaClient(connect(plan, context), cluster_facts(plan, context))
            return iter(wmla.log(trial.id).splitlines())
        if plan.facts.data["backend"] == "jobs":
            from cloudtune_watson.jobs.logs import read_job_log

            return read_job_log(self._runtime(plan, context), plan.facts.job_name, trial.id)
        if trial.log is None:
            return None
        from cloudtune_watson.wml.client import WmlClient

        wml = WmlClient(connect(plan, context), cluster_facts(plan, context))
        return read_training_log(wml, trial.log)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return what a run has stored; None for a search, whose code is a part of it.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails.
        """
        if plan.mode == "managed":
            return None
        if plan.facts.data["backend"] == "jobs":
            from cloudtune_watson.jobs.uploads import find_uploads as find_leftovers

            return find_leftovers(self._runtime(plan, context), plan)
        from cloudtune_watson.uploads import find_uploads
        from cloudtune_watson.wml.client import WmlClient

        return find_uploads(WmlClient(connect(plan, context), cluster_facts(plan, context)), plan)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Store the code, and return the trainings or deployment jobs of the trials.

        Raises:
            MissingExtraError: If neither of IBM's packages is installed.
            UsageError: If the variable with the key is not set.
            ProviderError: If the sign-in fails, or the cluster cannot be reached.
        """
        if plan.facts.data["backend"] == "jobs":
            from cloudtune_watson.jobs.training_client import DeploymentJobs
            from cloudtune_watson.jobs.uploads import ensure_deployment

            runtime = self._runtime(plan, context)
            return DeploymentJobs(runtime, plan, context, ensure_deployment(runtime, plan, context))
        from cloudtune_watson.uploads import copy_inputs, ensure_definition
        from cloudtune_watson.wml.client import WmlClient
        from cloudtune_watson.wml.training_client import WatsonJobs

        copy_inputs(plan, context)
        wml = WmlClient(connect(plan, context), cluster_facts(plan, context))
        return WatsonJobs(wml, plan, context, ensure_definition(wml, plan, context))

    def _runtime(self, plan: Plan, context: JobContext) -> RuntimeClient:
        from cloudtune_watson.jobs.client import RuntimeClient

        return RuntimeClient(connect(plan, context), cluster_facts(plan, context))
