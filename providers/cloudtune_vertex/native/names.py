"""The names of Vertex AI that the reader and the writer of its files share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cloudtune.provider import Json, is_list, is_map

JOB = "hyperparameterTuningJob"
"""The key of the job in a call, and in ``providers.vertex.native``."""
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
ALGORITHMS = {
    "ALGORITHM_UNSPECIFIED": "bayesian",
    "GRID_SEARCH": "grid",
    "RANDOM_SEARCH": "random",
}
SCALES = {
    "SCALE_TYPE_UNSPECIFIED": "auto",
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}
SELECTIONS = {
    "MEASUREMENT_SELECTION_TYPE_UNSPECIFIED": "last",
    "LAST_MEASUREMENT": "last",
    "BEST_MEASUREMENT": "best",
}
NUMBERS: Mapping[str, Mapping[int, str]] = {
    "goal": {0: "", 1: "MAXIMIZE", 2: "MINIMIZE"},
    "algorithm": {0: "ALGORITHM_UNSPECIFIED", 2: "GRID_SEARCH", 3: "RANDOM_SEARCH"},
    "scaleType": dict(enumerate(SCALES)),
    "measurementSelectionType": dict(enumerate(SELECTIONS)),
}
"""The names of enum values by their numbers (study.proto)."""
_USER_KEYS = frozenset(["labels"])
"""Maps whose keys are the user's."""
_SNAKE = re.compile(r"_([a-z0-9])")


def camel_case(data: Any, names: dict[str, str]) -> Any:
    """Return a document in the JSON of protobuf, from either spelling of its fields.

    Args:
        data: The document.
        names: Receives the spelling of each field in the document.
    """
    if is_list(data):
        return [camel_case(item, names) for item in data]
    if not is_map(data):
        return data
    result: Json = {}
    for key, value in data.items():
        name = _SNAKE.sub(lambda match: match[1].upper(), key)
        names[name] = key
        result[name] = value if name in _USER_KEYS else camel_case(value, names)
    return result


def original_path(path: str, names: Mapping[str, str]) -> str:
    """Return a path in the spelling of the document."""
    return ".".join(names.get(part, part) for part in path.split("."))
