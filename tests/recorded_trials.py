"""Trials in recordings that cannot be: those that are listed twice, or outside the search space."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from cloudtune.study.yaml_reader import is_list, is_map
from tests.recorded_differences import NAMES_OF_ITEMS
from tests.recorded_jobs import NAMES, name_of

Space = dict[str, list[Mapping[str, Any]]]
"""The specifications of each parameter; several definitions of one job may have their own."""
_TAG = "_aml_system_"
_TOKEN = re.compile(r"(?:pageToken|skiptoken|start)=([^&]+)", re.IGNORECASE)


def impossible_trials(recording: Mapping[str, Any]) -> Iterator[str]:
    """Yield which jobs and trials an answer has twice, and which values no trial can have."""
    calls = [each for each in recording["sequence"] if is_map(each["answer"])]
    yield from _on_two_pages(calls)
    spaces: dict[str, Space] = {}
    for item in calls:
        for about in (_body(item["request"]), item["answer"]):
            if space := _space(about):
                spaces[_job(item)] = space
    for item in calls:
        yield from _twice(item["operation"], item["answer"])
        for job, number, values, is_whole in _trials(item):
            space = spaces.get(job) or (next(iter(spaces.values())) if len(spaces) == 1 else {})
            for name, value in values.items() if space else ():
                specs = space.get(name)
                if specs is None and is_whole:
                    yield f"{item['operation']}: {number} has {name}, which is no parameter"
                elif specs is not None and not any(_has(each, value) for each in specs):
                    yield f"{item['operation']}: {number} has {name} {value!r}, not within {specs}"


def _twice(operation: str, value: Any) -> Iterator[str]:
    """Yield the jobs, trials, parameters and metrics that a list has twice."""
    seen: set[str] = set()
    for key in _keys(value):
        if key in seen:
            yield f"{operation}: {key} is listed twice"
        seen.add(key)
    for each in value.values() if is_map(value) else value if is_list(value) else ():
        yield from _twice(operation, each)


def _keys(value: Any) -> Iterator[str]:
    """Yield what names each item of a list."""
    for each in value if is_list(value) else ():
        row: Any = each.get("TrainingJob", each) if is_map(each) else {}
        names = [f"{key} {row[key]}" for key in NAMES_OF_ITEMS if key in row]
        if "id" in row and ("parameters" in row or "finalMeasurement" in row):
            names.insert(0, f"trial {row['id']}")
        yield from [key for key in (name_of(row), *names) if key.strip()][:1]


def _on_two_pages(calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the jobs and trials that two pages of one list have."""
    seen: dict[tuple[str, str], set[str]] = {}
    for item in calls:
        operation, request, answer = item["operation"], item["request"], item["answer"]
        rows = {key for value in answer.values() for key in _keys(value)}
        before = seen.get((operation, _token(request)), set[str]())
        for key in sorted(rows & before):
            yield f"{operation}: {key} is listed twice, on two pages"
        if token := _token(answer):
            seen[operation, token] = rows | before


def _token(value: Mapping[str, Any]) -> str:
    """Return the token of a page in a request, or that of the next page in an answer."""
    query, following = value.get("query"), value.get("next")
    texts = [value.get(name) for name in ("nextPageToken", "NextToken")]
    if is_map(query):
        texts.append(query.get("start"))
    addresses = [value.get(name) for name in ("path", "url", "nextLink")]
    addresses += [following.get("href")] if is_map(following) else []
    found = [_TOKEN.search(str(each)) for each in addresses]
    texts += [unquote(each[1]) for each in found if each]
    return next((str(each) for each in texts if each), "")


def _body(request: Mapping[str, Any]) -> Mapping[str, Any]:
    body = request.get("body_rebuilt_from_answer") or request.get("body") or request
    return body if is_map(body) else {}


def _job(item: Mapping[str, Any]) -> str:
    """Return the name of the tuning job that a call is about."""
    request, answer = item["request"], item["answer"]
    name = request.get(NAMES[0]) or answer.get(NAMES[0]) or answer.get("name")
    arn = str(answer.get("TuningJobArn", ""))
    return str(name or arn.rpartition("/")[2])


def _space(document: Mapping[str, Any]) -> Space:
    """Return the search space in a document about a tuning job; none if it has none."""
    found: Space = {}
    config: Any = document.get("HyperParameterTuningJobConfig") or {}
    own: Any = {"HyperParameterRanges": config.get("ParameterRanges")}
    one: Any = document.get("TrainingJobDefinition") or {}
    more: Any = document.get("TrainingJobDefinitions") or ()
    for each in [own, one, *more]:
        kinds: Any = each.get("HyperParameterRanges") or {}
        for kind, ranges in kinds.items():
            for spec in ranges:
                found.setdefault(spec["Name"], []).append(
                    {**spec, "integer": kind.startswith("Integer")}
                )
    study: Any = document.get("studySpec") or {}
    for spec in study.get("parameters", ()):
        _add(spec, found)
    properties: Any = document.get("properties")
    searched: Any = (properties.get("searchSpace") if is_map(properties) else None) or {}
    for name, (kind, args) in searched.items():
        found[name] = [{kind: args}]
    return found


def _add(spec: Mapping[str, Any], found: Space) -> None:
    """Add a parameter of Vertex AI, and those that depend on it."""
    found.setdefault(spec["parameterId"], []).append(spec)
    for each in spec.get("conditionalParameterSpecs", ()):
        _add(each["parameterSpec"], found)


def _trials(item: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], bool]]:
    """Yield the trials in an answer: their job, name and values, and if they have nothing else."""
    answer: Any = item["answer"]
    job = _job(item)
    rows: list[Any] = [
        *(answer.get("TrainingJobSummaries") or ()),
        answer.get("BestTrainingJob") or {},
    ]
    for row in rows:
        if "TunedHyperParameters" in row:
            yield job, str(row.get(NAMES[1])), row["TunedHyperParameters"], True
    rows = [each.get("TrainingJob") or {} for each in answer.get("Results") or ()]
    for row in [*rows, answer]:
        if arn := row.get("TuningJobArn"):
            values: Any = row.get("HyperParameters") or {}
            yield arn.rpartition("/")[2], str(row.get(NAMES[1])), values, False
    for row in answer.get("trials") or ():
        values = {each["parameterId"]: each.get("value") for each in row.get("parameters", ())}
        yield job, f"trial {row.get('id')}", values, True
    properties: Any = answer.get("properties")
    tags: Any = (properties.get("tags") if is_map(properties) else None) or {}
    for tag, text in tags.items():
        if tag.startswith(f"{_TAG}{answer.get('name')}_") and text.startswith("{"):
            yield job, tag.removeprefix(_TAG), json.loads(text), True


def _has(spec: Mapping[str, Any], value: Any) -> bool:
    """Return whether a parameter can have a value; a text that is masked may be any number."""
    if "Values" in spec:
        return str(value) in spec["Values"]
    if "MinValue" in spec:
        return _is_within(value, spec["MinValue"], spec["MaxValue"], whole=spec["integer"])
    for kind in ("doubleValueSpec", "integerValueSpec"):
        if limits := spec.get(kind):
            least, most = limits.get("minValue", 0), limits.get("maxValue", 0)
            return _is_within(value, least, most, whole=kind == "integerValueSpec")
    if "categoricalValueSpec" in spec:
        return value in spec["categoricalValueSpec"]["values"]
    if "discreteValueSpec" in spec:
        return any(_is_within(value, each, each) for each in spec["discreteValueSpec"]["values"])
    ((kind, args),) = spec.items()
    if kind == "choice":
        return value in args[0]
    if kind == "randint":
        return _is_within(value, 0, args[0] - 1, whole=True)
    if kind in ("loguniform", "qloguniform"):
        return _is_within(value, math.exp(args[0]), math.exp(args[1]))
    return kind not in ("uniform", "quniform") or _is_within(value, args[0], args[1])


def _is_within(value: Any, least: Any, most: Any, *, whole: bool = False) -> bool:
    try:
        number, limits = float(value), (float(least), float(most))
    except ValueError:
        return True
    is_whole = not whole or number == int(number)
    return is_whole and limits[0] * (1 - 1e-9) - 1e-9 <= number <= limits[1] * (1 + 1e-9) + 1e-9
