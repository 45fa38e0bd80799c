"""Whether the planned job's name is free, and with it, whether SageMaker responds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cloudtune.provider import Check, Plan
from cloudtune.provider.account import account_error, account_ok
from cloudtune_sagemaker.account.ask import ask, unknown
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.request.layout import NUMBER

_OPERATIONS = {
    "HyperParameterTuningJobName": "describe_hyper_parameter_tuning_job",
    "TrainingJobName": "describe_training_job",
}


def check_names(aws: Aws, plan: Plan) -> Iterator[Check]:
    """Yield whether the name of the planned job, or of its first trial, is free."""
    for member, operation in _OPERATIONS.items():
        if not (name := plan.request.get(member)):
            continue
        first = str(name).replace(NUMBER, "1")
        missing = object()
        right = f"sagemaker:{''.join(word.capitalize() for word in operation.split('_'))}"
        job = yield from ask(
            partial(_find, aws, operation, {member: first}, missing),
            unknown("job-name", f"whether a job is named {first}", right),
        )
        if job is missing:
            yield account_ok(id="job-name", message=f"job name {first} is free")
        elif job is not None:
            yield account_error(
                id="job-name",
                message=f"the account has a job named {first} in this region",
                fix="plan the study again to get a new name",
            )


def _find(aws: Aws, operation: str, members: dict[str, str], missing: object) -> object:
    return aws.find(operation, **members) or missing
