"""Sweep jobs in the words of the REST API, and back: the YAML of ``az ml`` has the same fields.

Names are in camel case instead of snake case, words have a capital, durations are ISO 8601 instead
of seconds, and a parameter is ``["uniform", [0, 1]]`` (recorded, tests/recordings/azure/sweep_*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.provider import Json, is_list, is_map
from cloudtune_azure.native.short import EXPRESSIONS

_KINDS = {"sampling_algorithm": "samplingAlgorithmType", "early_termination": "policyType"}
"""The fields that are a map with a type, and the name of the type in the REST API."""
_WORDS = frozenset({"samplingAlgorithmType", "policyType", "rule"})
"""The fields whose words begin with a capital in the REST API."""
_TIMES = frozenset({"timeout", "trial_timeout"})
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_UNITS = (86_400, 3_600, 60, 1)
_FIELDS = (
    *("description", "display_name", "experiment_name", "sampling_algorithm", "early_termination"),
    *("objective", "limits", "search_space"),
)
"""The fields of a sweep job that say what is searched, and how."""


def to_rest(document: Mapping[str, Any]) -> Json:
    """Return the properties of a sweep job of the REST API, as far as the search has them."""
    properties: Json = {"jobType": "Sweep"}
    for key in _FIELDS:
        value: Any = document.get(key)
        if value is None:
            continue
        if key == "search_space":
            value = {name: _expression(each) for name, each in value.items()}
        elif key in _KINDS:
            value = _map(key, value if is_map(value) else {"type": value})
        elif is_map(value):
            value = _map(key, value)
        properties[_camel(key)] = value
    if "limits" in properties:
        properties["limits"]["jobLimitsType"] = "Sweep"
    return properties


def from_rest(properties: Mapping[str, Any]) -> Json:
    """Return the YAML of a sweep job, by the answer of the API: what is searched, and the code."""
    document: Json = {"type": "sweep"}
    trial: Json = properties.get("trial") or {}
    references = {"code": trial.get("codeId"), "environment": trial.get("environmentId")}
    found = {key: f"azureml:{id_}" for key, id_ in references.items() if id_}
    if command := trial.get("command"):
        document["trial"] = {**found, "command": command}
    for key in _FIELDS:
        value: Any = properties.get(_camel(key))
        if value is None:
            continue
        if key == "search_space":
            value = {name: _definition(each) for name, each in value.items()}
        elif is_map(value):
            value = {
                ("type" if name == _KINDS.get(key) else snake(name)): _yaml_value(name, each)
                for name, each in value.items()
                if each is not None and name != "jobLimitsType"
            }
        document[key] = value
    return document


def seconds(duration: str) -> float | None:
    """Return the seconds of a duration in ISO 8601; None if it is none.

    >>> seconds("PT5M"), seconds("PT1H0.5S"), seconds("5 minutes")
    (300.0, 3600.5, None)
    """
    match = _DURATION.fullmatch(duration)
    if match is None or duration[-1] in "PT":
        return None
    return sum(float(n or 0) * unit for n, unit in zip(match.groups(), _UNITS, strict=True))


def duration(seconds_: float) -> str:
    """Return a duration in ISO 8601.

    >>> duration(300), duration(5430)
    ('PT5M', 'PT1H30M30S')
    """
    hours, rest = divmod(int(seconds_), 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (rest, "S"))
    return "PT" + "".join(f"{n}{unit}" for n, unit in parts if n)


def snake(name: str) -> str:
    """Return a name in snake case.

    >>> snake("MedianStopping"), snake("slackFactor")
    ('median_stopping', 'slack_factor')
    """
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _map(key: str, value: Json) -> Json:
    found: Json = {}
    for name, each in value.items():
        rest = _KINDS[key] if name == "type" and key in _KINDS else _camel(name)
        if rest in _WORDS:
            word = _camel(str(each).lower())
            found[rest] = word[:1].upper() + word[1:]
        elif name in _TIMES:
            found[rest] = duration(each)
        else:
            found[rest] = each
    return found


def _yaml_value(name: str, value: Any) -> Any:
    if name in _WORDS or name == "goal":
        return snake(str(value))
    if snake(name) in _TIMES:
        found = seconds(str(value))
        return value if found is None else int(found) if found == int(found) else found
    return value


def _expression(definition: Mapping[str, Any]) -> list[Any]:
    kind: str = definition["type"]
    if kind == "choice":
        values = [
            {k: _expression(v) if is_map(v) else v for k, v in each.items()}
            if is_map(each)
            else each
            for each in definition["values"]
        ]
        return [kind, [values]]
    return [kind, [definition[key] for key in EXPRESSIONS[kind]]]


def _definition(expression: Any) -> Any:
    """Return a definition; what is none, as it is, so that its reader says so."""
    if not is_list(expression) or len(expression) != 2 or not is_list(expression[1]):
        return expression
    kind, arguments = str(expression[0]).lower(), expression[1]
    if kind == "choice" and arguments and is_list(arguments[0]):
        values = [
            {k: _definition(v) for k, v in each.items()} if is_map(each) else each
            for each in arguments[0]
        ]
        return {"type": kind, "values": values}
    return {"type": kind, **dict(zip(EXPRESSIONS.get(kind, ()), arguments, strict=False))}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)
