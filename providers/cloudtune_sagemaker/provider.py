"""The SageMaker provider: joins the files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.engine.job_poller import JobPoller
from cloudtune.errors import ProviderError
from cloudtune.fitting.capabilities import Capabilities
from cloudtune.provider.base import BaseProvider
from cloudtune.provider.models import JobContext
from cloudtune.provider.protocols import Emit, JobClient, TrialRunner
from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.lookup import lookup
from cloudtune_sagemaker.request import request
from cloudtune_sagemaker.rules import rules
from cloudtune_sagemaker.settings import SageMakerSettings

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan
    from cloudtune_sagemaker.client import Aws


class SagemakerProvider(BaseProvider[SageMakerSettings]):
    """Amazon SageMaker: its own tuner, or its training jobs with trials that cloudtune chooses."""

    capabilities: Capabilities = CAPABILITIES
    settings = SageMakerSettings
    emulator = "cloudtune_sagemaker.emulator"
    packages: Mapping[str, Sequence[str]] = {
        "sagemaker": ("boto3",),
        "emulators": ("flask", "flask_cors", "moto", "werkzeug"),
    }
    protected_paths = (
        "HyperParameterTuningJobName",
        "TrainingJobName",
        "Tags",
        "OutputDataConfig.S3OutputPath",
        "TrainingJobDefinition.OutputDataConfig.S3OutputPath",
        "TrainingJobDefinitions.*.OutputDataConfig.S3OutputPath",
    )

    lookup = staticmethod(lookup)
    rules = staticmethod(rules)
    request = staticmethod(request)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return what reaches SageMaker's tuning jobs.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If there is no such profile.
        """
        from cloudtune_sagemaker.tuning_client import TuningClient

        return TuningClient(_reached(plan, context), plan, context)

    def runner(
        self, plan: Plan, context: JobContext, emit: Emit, notify: Callable[[str], None]
    ) -> TrialRunner:
        """Return what runs single trials as training jobs; code and data are brought to S3 now.

        Raises:
            MissingExtraError: If boto3 is not installed.
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If the bucket is not there, or AWS cannot be reached.
        """
        from cloudtune_sagemaker.training_client import SageMakerJobs
        from cloudtune_sagemaker.uploads import upload

        aws = _reached(plan, context)
        jobs = SageMakerJobs(aws, plan, context)
        upload(aws, plan, context)
        return JobPoller("sagemaker", jobs, emit, notify)


def _reached(plan: Plan, context: JobContext) -> Aws:
    from cloudtune_sagemaker.client import Aws

    if plan.facts.emulated != (context.emulator is not None):
        raise ProviderError(
            "sagemaker", "an emulated plan runs on its emulator alone, and no other plan does"
        )
    assert isinstance(plan.settings, SageMakerSettings)
    return Aws(plan.facts.data["region"], profile=plan.settings.profile, emulator=context.emulator)
