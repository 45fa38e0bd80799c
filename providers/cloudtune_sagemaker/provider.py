"""The SageMaker provider: connects the files of this folder."""

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
from cloudtune_sagemaker.capabilities import CAPABILITIES
from cloudtune_sagemaker.request_fields import STUDY_FIELDS
from cloudtune_sagemaker.settings import SageMakerSettings

if TYPE_CHECKING:
    from cloudtune.formats import Format
    from cloudtune.provider import (
        Emulator,
        JobClient,
        JobContext,
        JobDescription,
        Plan,
        TrainingJobs,
    )
    from cloudtune.provider.account import Policy
    from cloudtune.provider.call_record import Answer, Call
    from cloudtune.provider.trial_files import TrialFiles
    from cloudtune.provider.uploads import Uploads
    from cloudtune.results import Started, Trial
    from cloudtune_sagemaker.client import Aws


class SagemakerProvider(BaseProvider[SageMakerSettings]):
    """Amazon SageMaker: its own tuner, or its training jobs with trials that cloudtune chooses."""

    capabilities = CAPABILITIES
    settings = SageMakerSettings
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

    def lookup(self, study: Study, settings: SageMakerSettings, facts: Facts) -> Lookup:
        """Return what is known of the AWS account; does not call the service."""
        from cloudtune_sagemaker.lookup import lookup

        return lookup(study, settings, facts)

    def rules(
        self, fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
    ) -> Sequence[Finding | Note]:
        """Return the findings and notes of this service."""
        from cloudtune_sagemaker.rules import rules

        return rules(fitted, mode, settings, facts)

    def request(
        self, fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
    ) -> Json:
        """Return the request of a tuning job, or of the training job of each trial."""
        from cloudtune_sagemaker.request import request

        return request(fitted, mode, settings, facts)

    def outline(self, plan: Plan) -> Mapping[str, str]:
        """Return what a run uses and creates there, in words."""
        from cloudtune_sagemaker.outline import outline

        return outline(plan)

    def client(self, plan: Plan, context: JobContext) -> JobClient:
        """Return a client of SageMaker's tuning jobs.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the AWS profile does not exist.
        """
        from cloudtune_sagemaker.tuning_client import TuningClient

        return TuningClient(_connect(plan, context), plan, context)

    def job_settings(self, job: str, given: Mapping[str, Any]) -> Json:
        """Return the region of a job's ARN."""
        from cloudtune_sagemaker.job_description import job_settings

        return job_settings(job)

    def describe_job(self, job: str, plan: Plan, context: JobContext) -> JobDescription:
        """Return the tuning job with a name or an ARN; raises what the base class names."""
        from cloudtune_sagemaker.job_description import describe_job

        return describe_job(_connect(plan, context), job, plan.facts.data["region"])

    def read_log(self, plan: Plan, context: JobContext, trial: Trial) -> Iterator[str]:
        """Return the lines of a trial's log in CloudWatch.

        Raises, also while the lines are read:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the caller may not read the log, or AWS cannot be reached.
        """
        from cloudtune_sagemaker.console import read_log

        return read_log(_connect(plan, context), trial.id)

    def trial_files(
        self, plan: Plan, context: JobContext, trial: Trial, started: Started
    ) -> TrialFiles:
        """Return a trial's model, output and checkpoints in S3.

        Raises, also while files are read:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the caller may not read them, or AWS cannot be reached.
        """
        from cloudtune_sagemaker.trial_files import emulated_files, trial_files

        if plan.facts.emulated and context.emulator is None:
            return emulated_files(plan, context, trial)
        return trial_files(_connect(plan, context), plan, trial, started)

    def check_account(self, plan: Plan, context: JobContext) -> Iterator[Check]:
        """Yield what read-only calls show of the AWS account.

        Raises, also while the checks are read:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the AWS profile does not exist, or AWS cannot be reached.
        """
        from cloudtune_sagemaker.account import check_account

        yield from check_account(_connect(plan, context, impatient=True), plan)

    def policies(self, plan: Plan) -> Iterable[Policy]:
        """Return the smallest policies of the caller and of the role."""
        from cloudtune_sagemaker.policy import policies

        return policies(plan)

    def verify(self, calls: Sequence[Call]) -> Iterable[Answer]:
        """Return what the calls of a verification answer about the service."""
        from cloudtune_sagemaker.verification import answers

        return answers(calls)

    def uploads(self, plan: Plan, context: JobContext) -> Uploads:
        """Return what a run uploads to S3.

        Raises:
            MissingExtraError: If boto3 is not installed.
            ProviderError: If the AWS profile does not exist.
        """
        from cloudtune.provider.uploads import Uploads
        from cloudtune_sagemaker.request.layout import job_prefix
        from cloudtune_sagemaker.uploads import S3Storage, uploaded_folders

        outputs = [f"{job_prefix(plan.facts.data, plan.facts.job_name)}/"]
        storage = S3Storage(_connect(plan, context))
        return Uploads(storage, uploaded_folders(plan), outputs=outputs)

    def training_jobs(self, plan: Plan, context: JobContext) -> TrainingJobs:
        """Return the training jobs; the first one that is created uploads code and data to S3.

        Raises:
            MissingExtraError: If boto3 is not installed.
            UsageError: If a variable that the trials need is not set.
            ProviderError: If the AWS profile does not exist.
        """
        from cloudtune_sagemaker.training_client import SageMakerJobs
        from cloudtune_sagemaker.uploads import upload

        aws = _connect(plan, context)
        return SageMakerJobs(aws, plan, context, lambda: upload(aws, plan, context))


def _connect(plan: Plan, context: JobContext, *, impatient: bool = False) -> Aws:
    from cloudtune_sagemaker.client import Aws

    plan.check_context(context)
    assert isinstance(plan.settings, SageMakerSettings)
    return Aws(
        plan.facts.data["region"],
        profile=plan.settings.profile,
        emulator=context.emulator,
        is_stopping=(lambda: True) if impatient else context.is_stopping,
        impatient=impatient,
    )
