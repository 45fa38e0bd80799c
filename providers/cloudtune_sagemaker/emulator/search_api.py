"""Search: filters on the properties of jobs.

Source: botocore 1.44.8 model, documentation of Filter and SearchExpression; the shape of the
resource determines its properties and their types. Text is compared as it is, except that Contains
ignores case. Nested filters, and properties within lists, are not emulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.errors import invalid
from cloudtune_sagemaker.emulator.wire import service

SHAPES: Mapping[str, str] = {
    "TrainingJob": "TrainingJob",
    "HyperParameterTuningJob": "HyperParameterTuningJobSearchEntity",
}
"""The shape of each resource."""
_USER_NAMED = frozenset({"Metrics", "HyperParameters", "Tags"})
"""Properties with members that users name."""
_TIMES = frozenset(
    [
        *("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime"),
        "HyperParameterTuningEndTime",
    ]
)
_DATE = "%Y-%m-%dT%H:%M:%S"


def record(resource: str, described: Json) -> Json:
    """Return the description of a job without what a search does not have of its resource."""
    shape: Any = service("sagemaker").shape_for(SHAPES[resource])
    return {name: value for name, value in described.items() if name in shape.members}


def matching(records: Sequence[Json], request: Json) -> list[Json]:
    """Return the records that match a search, in its order.

    Raises:
        ServiceError: If it names an unknown property, or is not emulated.
    """
    expression: Json = request.get("SearchExpression", {})
    by: str = request.get("SortBy", "LastModifiedTime")
    for name in [by, *_property_names(expression)]:
        _demand_property(request["Resource"], name)
    records = [record for record in records if _matches(record, expression)]
    descending = request.get("SortOrder", "Descending") == "Descending"
    return sorted(records, key=lambda record: _sortable(_value(record, by)), reverse=descending)


def suggestions(records: Sequence[Json], request: Json) -> list[str]:
    """Return the names of properties, of those that users name, that begin with a hint.

    Source: botocore 1.44.8 model, GetSearchSuggestions: "Provides suggestions for HyperParameters,
    Tags, and Metrics". How the service writes and orders them is not verified against the live
    service; here they are as a filter of Search takes them, sorted.
    """
    query: Json = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {})
    hint: str = query.get("PropertyNameHint", "")
    names: set[str] = set()
    for record in records:
        names.update(f"HyperParameters.{name}" for name in record.get("HyperParameters", {}))
        names.update(f"Tags.{tag['Key']}" for tag in record["Tags"])
        metrics = record.get("FinalMetricDataList", ())
        names.update(f"Metrics.{metric['MetricName']}" for metric in metrics)
    return sorted(name for name in names if name.startswith(hint))


def _property_names(expression: Json) -> Iterator[str]:
    for each in expression.get("Filters", ()):
        yield each["Name"]
    for each in expression.get("SubExpressions", ()):
        yield from _property_names(each)


def _demand_property(resource: str, name: str) -> None:
    head, _, rest = name.partition(".")
    if head in _USER_NAMED and rest:
        return
    shape: Any = service("sagemaker").shape_for(SHAPES[resource])
    for part in name.split("."):
        if part not in getattr(shape, "members", {}):
            raise invalid(f"{name} is not a property of {resource} that this emulator searches by.")
        shape = shape.members[part]


def _matches(record: Json, expression: Json) -> bool:
    if expression.get("NestedFilters"):
        raise invalid("This emulator has no NestedFilters.")
    results = [_passes(record, each) for each in expression.get("Filters", ())]
    results += [_matches(record, each) for each in expression.get("SubExpressions", ())]
    return any(results) if expression.get("Operator") == "Or" else all(results)


def _passes(record: Json, test: Json) -> bool:
    operator: str = test.get("Operator", "Equals")
    value: Any = _value(record, test["Name"])
    if operator in {"Exists", "NotExists"}:
        return (value is not None) == (operator == "Exists")
    if "Value" not in test:
        raise invalid(f"Filter {test['Name']} with the operator {operator} needs a Value.")
    if value is None:
        return operator == "NotEquals"
    text: str = test["Value"]
    if operator == "In":
        return str(value) in text.split(",")
    return _OPERATORS[operator](*_comparable(value, text, is_time=test["Name"] in _TIMES))


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda value, other: value == other,
    "NotEquals": lambda value, other: value != other,
    "GreaterThan": lambda value, other: value > other,
    "GreaterThanOrEqualTo": lambda value, other: value >= other,
    "LessThan": lambda value, other: value < other,
    "LessThanOrEqualTo": lambda value, other: value <= other,
    "Contains": lambda value, other: str(other).lower() in str(value).lower(),
}


def _comparable(value: Any, text: str, *, is_time: bool) -> tuple[Any, Any]:
    if is_time:
        try:
            return value, datetime.strptime(text, _DATE).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise invalid(f"{text!r} is not a date of the form YYYY-mm-dd'T'HH:MM:SS.") from None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return value, float(text)
        except ValueError:
            raise invalid(f"{text!r} is not a number.") from None
    return str(value), text


def _value(record: Any, path: str) -> Any:
    """Return the value of a property such as ``Tags.team`` or ``ResourceConfig.X``."""
    if not path or record is None:
        return record
    if isinstance(record, list):
        items = cast("list[Json]", record)
        return next(
            (i["Value"] for i in items if path in (i.get("Key"), i.get("MetricName"))), None
        )
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
