"""The names of AI Platform that its readers share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.study.yaml_reader import is_list, is_map

HOME = "ai-platform"
INPUT = "trainingInput"
SEARCH = "hyperparameters"
STUDY = "studyConfig"
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
ALGORITHMS: dict[str, Json] = {
    "ALGORITHM_UNSPECIFIED": {"name": "bayesian"},
    "GRID_SEARCH": {"name": "grid"},
    "RANDOM_SEARCH": {"name": "random"},
    "GAUSSIAN_PROCESS_BANDIT": {"name": "bayesian", "method": "gp"},
}
SCALES = {
    "NONE": "auto",
    "SCALE_TYPE_UNSPECIFIED": "auto",
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}
_USER_KEYS = frozenset(["labels"])
"""Maps whose keys are the user's."""
_SNAKE = re.compile(r"_([a-z0-9])")


def camel_case(data: Any, names: dict[str, str]) -> Any:
    """Return a document in camelCase; `names` receives the spelling of each field in it."""
    if is_list(data):
        return [camel_case(item, names) for item in data]
    if not is_map(data):
        return data
    result: Json = {}
    for key, value in data.items():
        name = _SNAKE.sub(lambda match: match[1].upper(), str(key))
        names[name] = str(key)
        result[name] = value if name in _USER_KEYS else camel_case(value, names)
    return result


def original_path(path: str, names: Mapping[str, str]) -> str:
    """Return a path in the spelling of the document."""
    return ".".join(names.get(part, part) for part in path.split("."))


def read_scale(fields: Fields) -> Json:
    """Take the scale of a parameter; linear is the study's default."""
    value = fields.word("scaleType") or "NONE"
    if value not in SCALES:
        fields.mistake("scaleType", f"unknown scale {value!r}", f"use {', '.join(SCALES)}")
        return {}
    scale = SCALES[str(value)]
    return {} if scale == "linear" else {"scale": scale}


def read_algorithm(fields: Fields) -> Json:
    """Take the algorithm, bayesian by default."""
    value = fields.word("algorithm") or "ALGORITHM_UNSPECIFIED"
    if value not in ALGORITHMS:
        hint = f"use {', '.join(ALGORITHMS)}"
        fields.mistake("algorithm", f"unknown algorithm {value!r}", hint)
        return {}
    return dict(ALGORITHMS[str(value)])


def read_goal(fields: Fields) -> str | None:
    """Take the goal of a metric; MAXIMIZE by default, with a note."""
    value = fields.word("goal")
    if value in {None, "", "GOAL_TYPE_UNSPECIFIED"}:
        fields.note("goal", "absent, so AI Platform's default MAXIMIZE")
        value = "MAXIMIZE"
    if value not in GOALS:
        fields.mistake("goal", f"must be MAXIMIZE or MINIMIZE, not {value!r}")
        return None
    return GOALS[str(value)]


def restore_paths(
    report: Report, origins: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Write the paths of a report in the spelling of the document, and return the origins so."""
    report.findings[:] = [
        replace(each, path=original_path(each.path, names)) for each in report.findings
    ]
    report.problems[:] = [
        replace(each, path=original_path(each.path, names)) for each in report.problems
    ]
    return {key: original_path(where, names) for key, where in origins.items()}
