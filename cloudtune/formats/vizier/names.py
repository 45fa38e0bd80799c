"""The names of Vizier's StudySpec, and the two spellings of the fields of a protobuf message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudtune.formats.fields import Json, Report
from cloudtune.study.yaml_reader import is_list, is_map

HOME = "vizier"
SPEC = "studySpec"
GOALS = {"MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
GOAL_NUMBERS = {0: "GOAL_TYPE_UNSPECIFIED", 1: "MAXIMIZE", 2: "MINIMIZE"}
UNSPECIFIED, DEFAULT, HALTON = "ALGORITHM_UNSPECIFIED", "DEFAULT", "QUASI_RANDOM_SEARCH"
ALGORITHMS: dict[str, Json] = {
    UNSPECIFIED: {"name": "bayesian"},
    DEFAULT: {"name": "bayesian"},
    "GAUSSIAN_PROCESS_BANDIT": {"name": "bayesian", "method": "gp"},
    "GP_UCB_PE": {"name": "bayesian", "method": "gp"},
    "EMUKIT_GP_EI": {"name": "bayesian", "method": "gp"},
    "CMA_ES": {"name": "bayesian", "method": "cmaes"},
    "GRID_SEARCH": {"name": "grid"},
    "SHUFFLED_GRID_SEARCH": {"name": "grid"},
    "RANDOM_SEARCH": {"name": "random"},
    HALTON: {"name": "random", "method": "sobol"},
    "NSGA2": {"name": "genetic", "method": "nsga2"},
}
"""The strategy of each algorithm; of several with the same strategy, the first is written."""
ALGORITHM_NUMBERS = dict(
    enumerate(
        (
            *(UNSPECIFIED, "GAUSSIAN_PROCESS_BANDIT", "GRID_SEARCH", "RANDOM_SEARCH"),
            *(HALTON, "NSGA2", "EMUKIT_GP_EI", "BOCS", "HARMONICA"),
        )
    )
)
"""The numbers of algorithms in the messages of 2022, which had an enum."""
SELECTIONS = ("MEASUREMENT_SELECTION_TYPE_UNSPECIFIED", "LAST_MEASUREMENT", "BEST_MEASUREMENT")
RULES = {"defaultStoppingSpec": "auto", "medianAutomatedStoppingSpec": "median"}
"""The rule of each message for early stopping; that for medians is older."""
EXTERNAL_TYPES = ("AS_INTERNAL", "AS_BOOLEAN", "AS_INTEGER", "AS_FLOAT")
BOOLEANS = ["False", "True"]
"""The categories of a boolean."""
SCALES = {
    "SCALE_TYPE_UNSPECIFIED": "auto",
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}
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
        name = _SNAKE.sub(lambda match: match[1].upper(), str(key))
        names[name] = str(key)
        result[name] = value if name in _USER_KEYS else camel_case(value, names)
    return result


def restore_paths(
    report: Report, origins: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Write the paths of a report in the spelling of the document, and return the origins so."""
    report.findings[:] = [
        replace(each, path=_original_path(each.path, names)) for each in report.findings
    ]
    report.problems[:] = [
        replace(each, path=_original_path(each.path, names)) for each in report.problems
    ]
    return {key: _original_path(where, names) for key, where in origins.items()}


def _original_path(path: str, names: Mapping[str, str]) -> str:
    return ".".join(names.get(part, part) for part in path.split("."))
