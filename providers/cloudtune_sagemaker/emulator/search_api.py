"""Search over jobs: filters on what a job tells of itself.

Source: botocore 1.44.8 model, documentation of Filter and SearchExpression; what a property is, and
of which type, by the shape of what is found. Text is compared as it is, except that Contains does
not mind the case. Nested filters, and properties within lists, are not emulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from cloudtune.study.schema import Json
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.wire import service

SHAPES: Mapping[str, str] = {
    "TrainingJob": "TrainingJob",
    "HyperParameterTuningJob": "HyperParameterTuningJobSearchEntity",
}
"""What is searched for, and the shape in which it is told."""
_MANY = frozenset({"In"})
_NAMED = frozenset({"Metrics", "HyperParameters", "Tags"})
"""Properties that hold others by names of the user's own."""
_TIMES = frozenset(
    [
        *("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime"),
        "HyperParameterTuningEndTime",
    ]
)
_DATE = "%Y-%m-%dT%H:%M:%S"


def found(records: Sequence[Json], request: Json) -> list[Json]:
    """Return the records that a search leaves, in the order that it wants.

    Raises:
        ServiceError: If it names a property that there is not, or searches in a way that is not
            emulated.
    """
    expression: Json = request.get("SearchExpression", {})
    by: str = request.get("SortBy", "LastModifiedTime")
    for name in [by, *_named(expression)]:
        _demand_property(request["Resource"], name)
    records = [record for record in records if _matches(record, expression)]
    descends = request.get("SortOrder", "Descending") == "Descending"
    return sorted(records, key=lambda record: _sortable(_value(record, by)), reverse=descends)


def _named(expression: Json) -> Iterator[str]:
    for each in expression.get("Filters", ()):
        yield each["Name"]
    for each in expression.get("SubExpressions", ()):
        yield from _named(each)


def _demand_property(resource: str, name: str) -> None:
    head, _, rest = name.partition(".")
    if head in _NAMED and rest:
        return
    shape: Any = service("sagemaker").shape_for(SHAPES[resource])
    for part in name.split("."):
        if part not in getattr(shape, "members", {}):
            raise invalid(f"{name} is no property of {resource} that this emulator searches by.")
        shape = shape.members[part]


def _matches(record: Json, expression: Json) -> bool:
    if expression.get("NestedFilters"):
        raise invalid("This emulator has no NestedFilters.")
    answers = [_passes(record, each) for each in expression.get("Filters", ())]
    answers += [_matches(record, each) for each in expression.get("SubExpressions", ())]
    either = expression.get("Operator") == "Or"
    return any(answers) if either else all(answers)


def _passes(record: Json, wanted: Json) -> bool:
    operator: str = wanted.get("Operator", "Equals")
    value: Any = _value(record, wanted["Name"])
    if operator in {"Exists", "NotExists"}:
        there = value is not None
        return there if operator == "Exists" else not there
    if "Value" not in wanted:
        raise invalid(f"Filter {wanted['Name']} with the operator {operator} needs a Value.")
    if value is None:
        return operator == "NotEquals"
    text: str = wanted["Value"]
    if operator in _MANY:
        return str(value) in text.split(",")
    return _OPERATORS[operator](*_comparable(value, text, is_time=wanted["Name"] in _TIMES))


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "NotEquals": lambda value, wanted: value != wanted,
    "GreaterThan": lambda value, wanted: value > wanted,
    "GreaterThanOrEqualTo": lambda value, wanted: value >= wanted,
    "LessThan": lambda value, wanted: value < wanted,
    "LessThanOrEqualTo": lambda value, wanted: value <= wanted,
    "Contains": lambda value, wanted: str(wanted).lower() in str(value).lower(),
}


def _comparable(value: Any, text: str, *, is_time: bool) -> tuple[Any, Any]:
    if is_time:
        try:
            return value, datetime.strptime(text, _DATE).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise invalid(f"{text!r} is no date of the form YYYY-mm-dd'T'HH:MM:SS.") from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return value, float(text)
        except ValueError:
            raise invalid(f"{text!r} is no number.") from None
    return str(value), text


def _value(record: Any, path: str) -> Any:
    """Return what a record has under a name such as ``Tags.team`` or ``ResourceConfig.X``."""
    if not path or record is None:
        return record
    if isinstance(record, list):
        listed = cast("list[Json]", record)
        for key, value in (("Key", "Value"), ("MetricName", "Value")):
            for each in listed:
                if each.get(key) == path:
                    return each.get(value)
        return None
    if not isinstance(record, dict):
        return None
    entries = cast("Json", record)
    if path in entries:
        return entries[path]
    head, _, rest = path.partition(".")
    return _value(entries.get({"Metrics": "FinalMetricDataList"}.get(head, head)), rest)


def _sortable(value: Any) -> tuple[int, Any]:
    if isinstance(value, int | float):
        return (1, value)
    return (0, "") if value is None else (2, str(value))
