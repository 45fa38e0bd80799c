"""The Vertex AI provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudtune.provider import ServiceProvider
from cloudtune_vertex.capabilities import CAPABILITIES
from cloudtune_vertex.request_fields import STUDY_FIELDS
from cloudtune_vertex.settings import VertexSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import JobContext, Plan, TrainingJobs
    from cloudtune.provider.call_record import Answer, Call
    from cloudtune.results import Trial
    from cloudtune_vertex.client import Google


class VertexProvider(ServiceProvider[VertexSettings]):
    """Google Vertex AI: its own tuner, or its custom jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = VertexSettings
    folder = "cloudtune_vertex"
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

    def connect(self, plan: Plan, context: JobContext) -> Google:
        """Return a client of Google's services, without sending a request."""
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

    @property
    def formats(self) -> Sequence[Format]:
        """Tuning jobs in the JSON of the API, and in gcloud's YAML."""
        from cloudtune_vertex.native import VertexFormat

        return [VertexFormat()]

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
        """Return the lines of a log in Cloud Logging; None on an emulator, which has none."""
        if context.emulator is not None or not trial.log:
            return None
        from cloudtune_vertex.console import read_log

        return read_log(self.connect(plan, context), trial.log)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_vertex.verification import answers

        return answers(calls)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the custom jobs; the first one that is created uploads code and data."""
        from cloudtune_vertex.training_client import VertexJobs
        from cloudtune_vertex.uploads import upload

        google = self.connect(plan, context)
        return VertexJobs(google, plan, context, partial(upload, google, plan, context))
