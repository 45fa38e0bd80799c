"""The Vertex AI provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from cloudtune_vertex.capabilities import CAPABILITIES
from cloudtune_vertex.request_fields import STUDY_FIELDS
from cloudtune_vertex.settings import VertexSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import JobClient, JobContext, JobDescription, Plan, TrainingJobs
    from cloudtune.provider.account import Policy
    from cloudtune.provider.call_record import Answer, Call
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial
    from cloudtune_vertex.client import Google


class VertexProvider(BaseProvider[VertexSettings]):
    """Google Vertex AI: its own tuner, or its custom jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = VertexSettings
    emulator = "cloudtune_vertex.emulator"
    emulates_images = True
    connection_settings = ("project", "location", "impersonate")
    packages: Mapping[str, Sequence[str]] = {
        "vertex": ("google.cloud.aiplatform_v1", "google.cloud.storage"),
        "emulators": ("gcp_storage_emulator.server", "werkzeug"),
    }
    script_variables = ("AIP_", "CLOUD_ML_")
    container_folders = ("/gcs",)
    reporting_modules = ("hypertune",)
    price_list_region: Mapping[str, str] = {"location": "us-central1"}
    smallest_machine: Mapping[str, Any] = {
        "machine_type": "n1-standard-4",
        "image": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest",
    }
    protected_paths = (
        "parent",
        "hyperparameterTuningJob.displayName",
        "hyperparameterTuningJob.labels.cloudtune-run",
        "hyperparameterTuningJob.trialJobSpec.baseOutputDirectory",
        "customJob.displayName",
        "customJob.labels.cloudtune-run",
        "customJob.labels.cloudtune-job",
        "customJob.jobSpec.baseOutputDirectory",
        "customJob.jobSpec.workerPoolSpecs.*.containerSpec.env.CLOUDTUNE_JOB",
        "customJob.jobSpec.workerPoolSpecs.*.pythonPackageSpec.env.CLOUDTUNE_JOB",
    )
    study_fields = STUDY_FIELDS

    @property
    def formats(self) -> Sequence[Format]:
        """Tuning jobs in the JSON of the API, and in gcloud's YAML."""
        from cloudtune_vertex.native import VertexFormat

        return [VertexFormat()]

    def lookup(self, study: Study, settings: VertexSettings, facts: Facts) -> Lookup:
        """Return the known facts about the Google Cloud project; does not call the service."""
        from cloudtune_vertex.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of this service."""
        from cloudtune_vertex.rules import rules

        return rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
    ) -> Json:
        """Return the request of a tuning job, or of the training job of each trial."""
        from cloudtune_vertex.request import request

        return request(fitted, mode, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        from cloudtune_vertex.outline import outline

        return outline(plan)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of Vertex AI's tuning jobs.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            ProviderError: If there are no credentials.
        """
        from cloudtune_vertex.tuning_client import TuningClient

        return TuningClient(_connect(plan, context), plan, context)

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the project and the location of a job's full name."""
        from cloudtune_vertex.job_description import job_settings

        return job_settings(job)

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the tuning job with an id or a full name; raises what the base class names."""
        from cloudtune_vertex.job_description import describe_job

        return describe_job(_connect(plan, context), job, plan.facts.data)

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a trial's log in Cloud Logging; None on an emulator, which has none.

        Raises, also while the lines are read:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            ProviderError: If the caller may not read the log, or Google cannot be reached.
        """
        if context.emulator is not None or not trial.log:
            return None
        from cloudtune_vertex.console import read_log

        return read_log(_connect(plan, context), trial.log)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's outputs and checkpoints in Cloud Storage.

        Raises, also while files are read:
            MissingExtraError: If Google's packages are not installed.
            ProviderError: If the caller may not read them, or Google cannot be reached.
        """
        from cloudtune_vertex.trial_files import emulated_files, trial_files

        if plan.facts.emulated and context.emulator is None:
            return emulated_files(context, trial)
        return trial_files(_connect(plan, context), trial)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the Google Cloud project.

        Raises, also while the checks are read:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            ProviderError: If Google cannot be reached.
        """
        from cloudtune_vertex.account import check_account

        yield from check_account(_connect(plan, context), plan)

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the smallest roles of the caller and of the trials' service account."""
        from cloudtune_vertex.policy import policies

        return policies(plan)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_vertex.verification import answers

        return answers(calls)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads:
        """Return what a run uploads to Cloud Storage.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            ProviderError: If there are no credentials.
        """
        from cloudtune_vertex.uploads import find_uploads

        return find_uploads(_connect(plan, context), plan)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the custom jobs; the first one that is created uploads code and data.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            UsageError: If a variable that the trials need is not set.
            ProviderError: If there are no credentials.
        """
        from cloudtune_vertex.training_client import VertexJobs
        from cloudtune_vertex.uploads import upload

        google = _connect(plan, context)
        return VertexJobs(google, plan, context, lambda: upload(google, plan, context))


def _connect(plan: Plan, context: JobContext) -> Google:
    from cloudtune_vertex.client import Google

    plan.check_context(context)
    assert isinstance(plan.settings, VertexSettings)
    data = plan.facts.data
    return Google(
        data["project"],
        data["location"],
        impersonate=plan.settings.impersonate,
        emulator=context.emulator,
        is_stopping=context.is_stopping,
    )
