"""The SageMaker provider: joins the files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.capabilities import Capabilities, Finding, Mode, Note
from cloudtune.errors import ProviderError
from cloudtune.fit import Fitted
from cloudtune.poller import Poller
from cloudtune.provider import Emit, Facts, JobClient, Json, Place, TrialRunner
from cloudtune.study import Study
from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.lookup import lookup
from cloudtune_sagemaker.request import request
from cloudtune_sagemaker.rules import rules
from cloudtune_sagemaker.settings import SageMakerSettings

if TYPE_CHECKING:
    from cloudtune.planning import Plan
    from cloudtune_sagemaker.client import Aws


class SagemakerProvider:
    """Amazon SageMaker: its own tuner, or its training jobs with trials that cloudtune chooses."""

    capabilities: Capabilities = CAPABILITIES
    settings = SageMakerSettings
    emulator = "cloudtune_sagemaker.emulator"
    packages: Mapping[str, Sequence[str]] = {
        "sagemaker": ("boto3",),
        "emulators": ("flask", "flask_cors", "moto", "werkzeug"),
    }
    kept = (
        "HyperParameterTuningJobName",
        "TrainingJobName",
        "Tags",
        "OutputDataConfig.S3OutputPath",
        "TrainingJobDefinition.OutputDataConfig.S3OutputPath",
        "TrainingJobDefinitions.*.OutputDataConfig.S3OutputPath",
    )

    def lookup(self, study: Study, settings: SageMakerSettings, facts: Facts) -> Mapping[str, Any]:
        """Return what must be known of the account, as JSON data; nothing is asked of AWS."""
        return lookup(study, settings, facts)

    def rules(
        self, fitted: Fitted, mode: Mode, settings: SageMakerSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return what only SageMaker refuses or does otherwise."""
        return rules(fitted, mode, settings, facts)

    def request(
        self, fitted: Fitted, mode: Mode, settings: SageMakerSettings, facts: Facts
    ) -> Json:
        """Return the request of a tuning job, or of one training job for each trial."""
        return request(fitted, mode, settings, facts)

    def client(self, plan: Plan, place: Place) -> JobClient:
        """Return what reaches SageMaker's tuning jobs.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If there is no such profile.
        """
        from cloudtune_sagemaker.tuning import TuningClient

        return TuningClient(_reached(plan, place), plan, place)

    def runner(
        self, plan: Plan, place: Place, emit: Emit, say: Callable[[str], None]
    ) -> TrialRunner:
        """Return what runs single trials as training jobs; code and data are brought to S3 now.

        Raises:
            MissingExtraError: If boto3 is not installed.
            UsageError: If a variable that trials are to be given is not set.
            ProviderError: If the bucket is not there, or AWS cannot be reached.
        """
        from cloudtune_sagemaker.training import SageMakerJobs
        from cloudtune_sagemaker.upload import upload

        aws = _reached(plan, place)
        jobs = SageMakerJobs(aws, plan, place)
        upload(aws, plan, place)
        return Poller("sagemaker", jobs, emit, say)


def _reached(plan: Plan, place: Place) -> Aws:
    from cloudtune_sagemaker.client import Aws

    if plan.facts.emulated != (place.emulator is not None):
        raise ProviderError(
            "sagemaker", "an emulated plan runs on its emulator alone, and no other plan does"
        )
    assert isinstance(plan.settings, SageMakerSettings)
    return Aws(plan.facts.own["region"], profile=plan.settings.profile, emulator=place.emulator)
