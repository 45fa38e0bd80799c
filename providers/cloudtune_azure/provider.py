"""The Azure provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
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
    Study,
)
from cloudtune_azure.capabilities import CAPABILITIES
from cloudtune_azure.request_fields import STUDY_FIELDS
from cloudtune_azure.settings import AzureSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import JobClient, JobContext, JobDescription, Plan, TrainingJobs
    from cloudtune.provider.account import Policy
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial
    from cloudtune_azure.client import AzureClient


class AzureProvider(BaseProvider[AzureSettings]):
    """Azure Machine Learning: its sweeps, or command jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = AzureSettings
    emulator = "cloudtune_azure.emulator"
    connection_settings = ("subscription", "resource_group", "workspace")
    not_verifiable = (
        "its client does not record its calls yet, and cloudtune has no list of Azure's prices, "
        "with which it could keep the 5 USD"
    )
    packages: Mapping[str, Sequence[str]] = {
        "azure": ("azure.core", "azure.identity", "azure.storage.blob"),
        "emulators": ("werkzeug",),
    }
    script_variables = ("AZUREML_", "AZURE_ML_")
    protected_paths = (
        "properties.jobType",
        "properties.codeId",
        "properties.command",
        "properties.tags.cloudtune_*",
        "properties.outputs.trial",
        "properties.trial.codeId",
        "properties.trial.command",
    )
    study_fields = STUDY_FIELDS

    @property
    def formats(self) -> Sequence[Format]:
        """Sweep jobs and AutoML jobs, in the YAML of `az ml`."""
        from cloudtune_azure.native import AzureFormat

        return [AzureFormat()]

    def lookup(self, study: Study, settings: AzureSettings, facts: Facts) -> Lookup:
        """Return what is known of the workspace; does not call it."""
        from cloudtune_azure.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: AzureSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of Azure."""
        from cloudtune_azure.rules import rules

        return rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: AzureSettings, facts: Facts
    ) -> Json:
        """Return the request of a sweep, or of the job of each trial."""
        from cloudtune_azure.request import request

        return request(fitted, mode, settings, facts)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of sweeps; raises what the base class names."""
        from cloudtune_azure.tuning_client import SweepClient

        return SweepClient(_connect(plan, context), plan, context)

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the subscription, resource group and workspace in the id of a job."""
        from cloudtune_azure.job_description import job_settings

        return job_settings(job)

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the job with a name or a full id; raises what the base class names."""
        from cloudtune_azure.job_description import describe_job

        return describe_job(_connect(plan, context), job)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        from cloudtune_azure.outline import outline

        return outline(plan)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the workspace; raises what the base class names."""
        from cloudtune_azure.account import check_account

        yield from check_account(_connect(plan, context), plan)

    def policies(self, plan: Plan) -> Iterator[Policy]:
        """Return the smallest roles of the caller and of the jobs."""
        from cloudtune_azure.policy import policies

        return policies(plan)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of the log of a trial's last job; raises what the base class names."""
        from cloudtune_azure.console import read_log

        return read_log(_connect(plan, context), str(trial.id)) if trial.id else None

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's files in the datastore; raises what the base class names."""
        from cloudtune_azure.trial_files import emulated_files, trial_files

        if plan.facts.emulated and context.emulator is None:
            return emulated_files(plan, context, started)
        return trial_files(_connect(plan, context), plan, started)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads | None:
        """Return a run's inputs and outputs there; raises what the base class names."""
        from cloudtune_azure.uploads import find_uploads

        return find_uploads(_connect(plan, context), plan)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the jobs of the trials; nothing is sent; raises what the base class names."""
        from cloudtune_azure.training_client import AzureJobs
        from cloudtune_azure.uploads import upload

        client = _connect(plan, context)
        return AzureJobs(client, plan, context, partial(upload, client, plan, context))


def _connect(plan: Plan, context: JobContext) -> AzureClient:
    from cloudtune_azure.client import connect

    return connect(plan, context)
