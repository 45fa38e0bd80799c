"""The Vertex AI provider: joins the files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.engine.job_poller import JobPoller
from cloudtune.errors import ProviderError
from cloudtune.fitting.capabilities import Capabilities
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.models import JobContext
from cloudtune.provider.protocols import Emit, JobClient, TrialRunner
from cloudtune_vertex.capabilities import CAPABILITIES
from cloudtune_vertex.lookup import lookup
from cloudtune_vertex.request import request
from cloudtune_vertex.rules import rules
from cloudtune_vertex.settings import VertexSettings

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan
    from cloudtune_vertex.client import Google


class VertexProvider(BaseProvider[VertexSettings]):
    """Google Vertex AI: its own tuner, or its custom jobs with trials that cloudtune chooses."""

    capabilities: Capabilities = CAPABILITIES
    settings = VertexSettings
    emulator = "cloudtune_vertex.emulator"
    packages: Mapping[str, Sequence[str]] = {
        "vertex": ("google.cloud.aiplatform_v1", "google.cloud.storage"),
        "emulators": ("gcp_storage_emulator.server", "werkzeug"),
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

    lookup = staticmethod(lookup)
    rules = staticmethod(rules)
    request = staticmethod(request)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return what reaches Vertex AI's tuning jobs.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            ProviderError: If there are no credentials.
        """
        from cloudtune_vertex.tuning_client import TuningClient

        return TuningClient(_reached(plan, context), plan, context)

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> TrialRunner:
        """Return what runs single trials as custom jobs; code and data are brought there now.

        Raises:
            MissingExtraError: If google-cloud-aiplatform is not installed.
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If the bucket is not there, or Google cannot be reached.
        """
        from cloudtune_vertex.training_client import VertexJobs
        from cloudtune_vertex.uploads import upload

        google = _reached(plan, context)
        jobs = VertexJobs(google, plan, context)
        upload(google, plan, context)
        return JobPoller("vertex", jobs, emit, notify)


def _reached(plan: Plan, context: JobContext) -> Google:
    from cloudtune_vertex.client import Google

    if plan.facts.emulated != (context.emulator is not None):
        raise ProviderError(
            "vertex", "an emulated plan runs on its emulator alone, and no other plan does"
        )
    assert isinstance(plan.settings, VertexSettings)
    data = plan.facts.data
    return Google(
        data["project"],
        data["location"],
        impersonate=plan.settings.impersonate,
        emulator=context.emulator,
    )
