"""Search over training jobs: filters on what a training job tells of itself.

Source: botocore 1.44.8 model, documentation of Filter and SearchExpression. Text is compared as it
is, except that Contains does not mind the case. Nested filters are not emulated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from cloudtune_sagemaker.emulator import describe
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.jobs import Json, TrainingJob

_MANY = frozenset({"In"})


def found(jobs: Sequence[TrainingJob], request: Json) -> list[Json]:
    """Return the records that a search finds, in the order that it wants.

    Raises:
        ServiceError: If it searches for something else, or in a way that is not emulated.
    """
    if request["Resource"] != "TrainingJob":
        raise invalid(f"This emulator searches for TrainingJob, not for {request['Resource']}.")
    records = [describe.training_record(job) for job in jobs]
    expression = request.get("SearchExpression")
    if expression:
        records = [record for record in records if _matches(record, expression)]
    by = request.get("SortBy", "LastModifiedTime")
    descends = request.get("SortOrder", "Descending") == "Descending"
    return sorted(records, key=lambda record: _sortable(_value(record, by)), reverse=descends)


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
    return _OPERATORS[operator](*_comparable(value, text))


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "NotEquals": lambda value, wanted: value != wanted,
    "GreaterThan": lambda value, wanted: value > wanted,
    "GreaterThanOrEqualTo": lambda value, wanted: value >= wanted,
    "LessThan": lambda value, wanted: value < wanted,
    "LessThanOrEqualTo": lambda value, wanted: value <= wanted,
    "Contains": lambda value, wanted: str(wanted).lower() in str(value).lower(),
}


def _comparable(value: Any, text: str) -> tuple[Any, Any]:
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
