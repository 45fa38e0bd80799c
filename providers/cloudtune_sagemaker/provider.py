"""The SageMaker provider: connects the files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudtune.provider import Check, ServiceProvider
from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.request_fields import STUDY_FIELDS
from cloudtune_sagemaker.settings import SageMakerSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import Emulator, JobContext, Plan, TrainingJobs
    from cloudtune.provider.call_record import Answer, Call


class SagemakerProvider(ServiceProvider[SageMakerSettings]):
    """Amazon SageMaker: its own tuner, or its training jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = SageMakerSettings
    folder = "cloudtune_sagemaker"
    emulator = "cloudtune_sagemaker.emulator"
    emulates_images = True
    connection_settings = ("region", "profile")
    packages: Mapping[str, Sequence[str]] = {
        "sagemaker": ("boto3",),
        "emulators": ("flask", "flask_cors", "moto", "werkzeug"),
    }
    script_variables = ("SM_",)
    input_variables = ("SM_CHANNEL_",)
    container_folders = ("/opt/ml",)
    price_list_region: Mapping[str, str] = {"region": "us-east-1"}
    most_unpriced: Mapping[str, int] = {"volume_size": 30}
    smallest_machine: Mapping[str, Any] = {
        "instance_type": "ml.m5.large",
        "framework": {"name": "sklearn", "version": "1.2-1"},
    }
    protected_paths = (
        "HyperParameterTuningJobName",
        "TrainingJobName",
        "Tags",
        "OutputDataConfig.S3OutputPath",
        "TrainingJobDefinition.OutputDataConfig.S3OutputPath",
        "TrainingJobDefinitions.*.OutputDataConfig.S3OutputPath",
    )
    study_fields = STUDY_FIELDS

    @property
    def formats(self) -> Sequence[Format]:
        """The requests of tuning jobs, and what describe returns."""
        from cloudtune_sagemaker.native import SageMakerFormat

        return [SageMakerFormat()]

    def reachable_emulator(self, settings: SageMakerSettings) -> Emulator | None:
        """Return the emulator to which boto3's endpoint variables lead, if any."""
        from cloudtune_sagemaker.lookup import reachable_emulator

        return reachable_emulator(settings.profile)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the AWS account; none is repeated for long."""
        from cloudtune_sagemaker.account import check_account
        from cloudtune_sagemaker.client import connect

        yield from check_account(connect(plan, context, impatient=True), plan)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_sagemaker.verification import answers

        return answers(calls)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the training jobs; the first one that is created uploads code and data to S3."""
        from cloudtune_sagemaker.training_client import SageMakerJobs
        from cloudtune_sagemaker.uploads import upload

        aws = self.connect(plan, context)
        return SageMakerJobs(aws, plan, context, partial(upload, aws, plan, context))
