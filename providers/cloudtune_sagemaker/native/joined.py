"""Joins the requests of several studies to one tuning job with several definitions."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from cloudtune.formats import Report
from cloudtune.provider import Json

_CONFIG = "HyperParameterTuningJobConfig"
_ONE, _MANY = "TrainingJobDefinition", "TrainingJobDefinitions"
_MOVED = {
    "HyperParameterTuningJobObjective": "TuningObjective",
    "ParameterRanges": "HyperParameterRanges",
}
"""What a job has in its config if it has one definition, and in each one if it has several."""


def join_jobs(jobs: Sequence[Json], report: Report) -> Json:
    """Return one job with the definitions of several, which are alike in all else."""
    split = [_split(job) for job in jobs]
    first, _ = split[0]
    for job, _ in split[1:]:
        for path in sorted(_differences(first, job)):
            text = (
                "the studies differ in it, and a tuning job has one value; export them one by one"
            )
            report.refuse(path, text)
    definitions = [definition for _, each in split for definition in each]
    used: set[str] = set()
    for index, definition in enumerate(definitions, start=1):
        name = str(definition.get("DefinitionName") or f"definition-{index}")
        if name.lower() in used:
            report.refuse(_MANY, f"two definitions are named {name}")
        used.add(name.lower())
        definition["DefinitionName"] = name
    return {**first, _MANY: definitions}


def _split(job: Json) -> tuple[Json, list[Json]]:
    """Return a job without its definitions, and these in the form of a list."""
    rest = copy.deepcopy(job)
    if _MANY in rest:
        return rest, rest.pop(_MANY)
    definition = rest.pop(_ONE, {})
    for outer, inner in _MOVED.items():
        if (moved := rest[_CONFIG].pop(outer, None)) is not None:
            definition = {inner: moved, **definition}
    return rest, [definition]


def _differences(one: Json, other: Json) -> set[str]:
    config = {f"{_CONFIG}.{key}" for key in _unequal(one[_CONFIG], other[_CONFIG])}
    return (_unequal(one, other) - {_CONFIG}) | config


def _unequal(one: Json, other: Json) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
