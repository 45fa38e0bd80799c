"""Checks that an answer of SageMaker can be read: its types, and the fields that clients need.

botocore checks neither: fields may be missing, and other types end in errors of its parser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from cloudtune.provider import Json
from cloudtune.provider.answers import Fields
from cloudtune_sagemaker.errors import AwsError

_TUNING = "HyperParameterTuningJob"
_JOB = tuple(f"TrainingJob{name}" for name in ("Name", "Arn", "Status"))
_METRIC = "AlgorithmSpecification?.MetricDefinitions[]?.Name"


def _fields(*paths: str) -> Fields:
    return dict.fromkeys(paths, object)


NEEDED: Mapping[str, Fields] = {
    "DescribeTrainingJob": _fields(*_JOB),
    f"Describe{_TUNING}": _fields(
        *(f"{_TUNING}{name}" for name in ("Name", "Arn", "Status")),
        f"TrainingJobDefinition?.{_METRIC}",
        f"TrainingJobDefinitions[]?.{_METRIC}",
    ),
    f"ListTrainingJobsFor{_TUNING}": _fields(
        *(f"TrainingJobSummaries[]?.{name}" for name in (*_JOB, "CreationTime"))
    ),
    "Search": _fields(*(f"Results[]?.TrainingJob.{name}" for name in (*_JOB, "CreationTime"))),
    "ListTags": _fields("Tags[]?.Key", "Tags[]?.Value"),
    "GetCallerIdentity": _fields("Arn", "Account"),
    "GetRole": _fields("Role.Arn", "Role.RoleName"),
    "SimulatePrincipalPolicy": _fields(
        *(f"EvaluationResults[].Eval{name}" for name in ("ActionName", "Decision"))
    ),
    "GetBucketPolicy": _fields("Policy"),
    "ListServiceQuotas": _fields("Quotas[]?.QuotaName"),
    "ListAWSDefaultServiceQuotas": _fields("Quotas[]?.QuotaName"),
    "ListObjectsV2": _fields("Contents[]?.Key", "Contents[]?.Size"),
    "DescribeLogStreams": _fields("logStreams[]?.logStreamName"),
    "GetLogEvents": _fields("events[]?.message"),
}
"""The fields of each operation that its readers need; see `cloudtune.provider.answers`."""
_LATEST = 2.5e11
"""Seconds since the epoch: the year 9892."""
_NUMBERS = ("integer", "long", "float", "double")
_NOT_FINITE = frozenset(["NaN", "Infinity", "-Infinity"])
"""How the JSON protocols of AWS write such floats and doubles: as texts (the AWS JSON 1.1 protocol
in https://smithy.io/2.0/aws/protocols, and docs.rs/aws-smithy-types, read 2026-12-01)."""
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "structure": ((dict,), "an object"),
    "map": ((dict,), "an object"),
    "list": ((list,), "a list"),
    "string": ((str,), "a text"),
    "boolean": ((bool,), "true or false"),
    **dict.fromkeys(_NUMBERS, ((int, float), "a number")),
    "timestamp": ((int, float, str), "a time"),
}
"""The types of JSON by those of botocore's models."""


def check_types(operation_model: Any, response_dict: Json, **_context: Any) -> None:
    """Check an answer before botocore parses it; an event handler.

    Raises:
        AwsError: If a field has another type than the model says.
    """
    try:
        answer: Any = json.loads(response_dict["body"] or b"{}")
    except ValueError:
        return  # botocore reports it
    wrong = ""
    if not isinstance(answer, dict):
        wrong = "the response is not an object"
    elif response_dict["status_code"] >= 300:
        fields = cast("Mapping[str, Any]", answer).items()
        names = [name for name, value in fields if _is_word(name) and not _is_text(value)]
        wrong = f"the error has no text as {names[0]}" if names else ""
    elif shape := operation_model.output_shape:
        wrong = next(_mistyped(cast("Any", answer), shape, ""), "")
    if wrong:
        raise AwsError(f"{operation_model.name}: {wrong}")


def _is_word(name: str) -> bool:
    return name.lower() in {"__type", "code", "message"}


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _mistyped(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Yield the fields of an answer with another type than in the model; null is absent."""
    kind: str = shape.type_name
    types, word = _TYPES.get(kind, ((object,), ""))
    if not _has_type(value, types, kind):
        yield f"{path.removeprefix('.') or 'the response'} is {value!r:.80}, and not {word}"
    elif kind == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _mistyped(value[name], member, f"{path}.{name}")
    elif kind == "map":
        for name, item in value.items():
            yield from _mistyped(item, shape.value, f"{path}.{name}")
    elif kind == "list":
        for item in value:
            yield from _mistyped(item, shape.member, f"{path}[]")


def _has_type(value: object, types: tuple[type, ...], kind: str) -> bool:
    if kind in {"float", "double"} and isinstance(value, str):
        return value in _NOT_FINITE
    is_flag = isinstance(value, bool) and kind in _NUMBERS
    return isinstance(value, types) and not is_flag and (kind != "timestamp" or _is_time(value))


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return bool(abs(value) < _LATEST)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
