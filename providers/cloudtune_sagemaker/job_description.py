"""Finds a tuning job that was started elsewhere, and describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from cloudtune.provider import (
    CategoricalParameter,
    JobDescription,
    JobRef,
    Json,
    Parameter,
    Plan,
    Study,
    UsageError,
    format_value,
)
from cloudtune_sagemaker import response
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.errors import PROVIDER, AwsError
from cloudtune_sagemaker.metrics import defined_metrics
from cloudtune_sagemaker.native.hyperparameters import decode
from cloudtune_sagemaker.request.layout import RUN_TAG

_ARN = re.compile(r"arn:aws[a-z\-]*:sagemaker:([a-z0-9\-]+):\d{12}:([a-z\-]+)/(.+)")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
"""HyperParameterTuningJobName (botocore 1.44.8 model)."""
_TUNING_JOB = "hyper-parameter-tuning-job"


def job_settings(job: str) -> Json:
    """Return the region of an ARN."""
    match = _ARN.fullmatch(job)
    return {"region": match[1]} if match else {}


def describe_job(aws: Aws, job: str, plan: Plan) -> JobDescription:
    """Return the tuning job with a name or an ARN.

    Raises:
        UsageError: If it is neither, or the ARN of another kind of job.
        AwsError: If there is no such tuning job, or AWS refuses or cannot be reached.
    """
    name = _job_name(job)
    described = aws.find("describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)
    if described is None:
        raise AwsError(_missing(aws, name, plan.facts.data["region"]), code="ResourceNotFound")
    arn: str = described["HyperParameterTuningJobArn"]
    if _ARN.fullmatch(job) and job != arn:
        raise AwsError(f"the caller reaches {arn}, and not {job}; check the profile")
    tags = _tags(aws, arn)
    runs = [tag["Value"] for tag in tags if tag["Key"] == RUN_TAG]
    document = {**described, **({"Tags": tags} if tags else {})}
    return JobDescription(
        ref=JobRef(PROVIDER, name),
        address=arn,
        document=json.loads(json.dumps(document, default=_to_json)),
        job_name=name,
        run=runs[0] if runs else None,
        created=response.to_seconds(described.get("CreationTime")),
        data={"metrics": defined_metrics(described)},
    )


def trial_values(raw: Mapping[str, str], study: Study) -> Json:
    """Return the values of a trial, decoded from JSON unless their parameter has the text itself.

    SageMaker's SDK encodes the values of scripts, and its toolkit decodes them.
    """
    return {
        name: text
        if any(_has_text(each, text) for each in study.parameters.get(name, ()))
        else decode(text)
        for name, text in raw.items()
    }


def _has_text(parameter: Parameter, text: str) -> bool:
    if not isinstance(parameter, CategoricalParameter):
        return False
    return any(format_value(value) == text for value in parameter.values)


def _job_name(job: str) -> str:
    match = _ARN.fullmatch(job)
    if match and match[2] != _TUNING_JOB:
        raise UsageError(
            f"{job} is a {match[2].replace('-', ' ')}; only tuning jobs can be attached, whose ARN "
            f"has {_TUNING_JOB}/NAME"
        )
    name = match[3] if match else job
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{job!r} is no tuning job: give its name, at most 32 letters, digits and hyphens, or "
            "its ARN"
        )
    return name


def _missing(aws: Aws, name: str, region: str) -> str:
    text = f"no tuning job named {name} in {region}"
    try:
        if aws.find("describe_training_job", TrainingJobName=name):
            return f"{text}: {name} is a single training job, and only tuning jobs can be attached"
    except AwsError:  # the other permission may be missing
        return text
    return f"{text}; check the name, providers.{PROVIDER}.region and the account of the profile"


def _tags(aws: Aws, arn: str) -> list[Json]:
    try:
        pages = list(aws.pages("sagemaker", "list_tags", ResourceArn=arn))
    except AwsError as error:
        if error.unavailable:
            return []
        raise
    return [{"Key": tag["Key"], "Value": tag["Value"]} for p in pages for tag in p.get("Tags", ())]


def _to_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
