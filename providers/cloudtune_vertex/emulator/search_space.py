"""Converts a StudySpec into a study that cloudtune's search can run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.emulator_kit import Json, Study
from cloudtune_vertex.emulator.state import TuningJob

_SCALES: Mapping[str, str] = {
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}
"""SCALE_TYPE_UNSPECIFIED: "By default, no scaling is applied"."""
_ALGORITHMS: Mapping[str, str] = {"GRID_SEARCH": "grid", "RANDOM_SEARCH": "random"}
"""ALGORITHM_UNSPECIFIED is the service's Bayesian search."""
_GOALS: Mapping[str, str] = {"MINIMIZE": "minimize"}
"""GOAL_TYPE_UNSPECIFIED: "Goal Type will default to maximize"."""
_SELECTIONS: Mapping[str, str] = {"BEST_MEASUREMENT": "best"}
CONDITIONS: Mapping[str, str] = {
    "parentDiscreteValues": "discreteValueSpec",
    "parentIntValues": "integerValueSpec",
    "parentCategoricalValues": "categoricalValueSpec",
}
"""The kinds of conditions, each with its kind of parent."""
TOLERANCE = 1e-10
"""The maximum distance of a condition on a discrete parent from the parent's value, and the minimum
distance between such values (types, ConditionalParameterSpec and DiscreteValueSpec)."""


def matching_value(parent: Json, kind: str, value: Any) -> Any:
    """Return the value of a parameter that matches a condition on it; None if it has none.

    Args:
        parent: The parameter.
        kind: The kind of its value spec, one of `CONDITIONS`.
        value: The condition's value.
    """
    values = parent[kind].get("values", ())
    if kind == "integerValueSpec":
        low, high = (int(parent[kind].get(bound, 0)) for bound in ("minValue", "maxValue"))
        return int(value) if low <= int(value) <= high else None
    if kind == "discreteValueSpec":
        distances = [(abs(float(value) - float(each)), float(each)) for each in values]
        distance, nearest = min(distances, default=(math.inf, 0.0))
        return nearest if distance <= TOLERANCE else None
    return value if value in values else None


def study_of(job: TuningJob) -> Study:
    """Return the study of a tuning job; of its limits, it only has the counts.

    Raises:
        ValueError: If it does not fit into a study.
        StudyError: Likewise.
    """
    spec = job.study
    parameters: dict[str, list[dict[str, Any]]] = {}
    for item in spec["parameters"]:
        for name, definition in _definitions(item, {}):
            parameters.setdefault(name, []).append(definition)
    data: dict[str, Any] = {
        "objective": [
            {
                "metric": metric["metricId"],
                "goal": _GOALS.get(metric.get("goal", ""), "maximize"),
                "select": _SELECTIONS.get(spec.get("measurementSelectionType", ""), "last"),
            }
            for metric in spec["metrics"]
        ],
        "parameters": parameters,
        "strategy": _ALGORITHMS.get(spec.get("algorithm", ""), "bayesian"),
        "limits": {
            "max_trials": job.request["maxTrialCount"],
            "parallel_trials": job.request["parallelTrialCount"],
        },
    }
    if "medianAutomatedStoppingSpec" in spec and len(spec["metrics"]) == 1:
        data["early_stopping"] = {"rule": "median"}
    return Study.model_validate(data)


def _definitions(item: Json, when: Mapping[str, list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a parameter and all that depend on it, each with the conditions on its ancestors."""
    name: str = item["parameterId"]
    definition = _values(item)
    if when:
        definition["when"] = dict(when)
    yield name, definition
    for child in item.get("conditionalParameterSpecs", ()):
        condition = next(child[key] for key in CONDITIONS if key in child)
        kind = next(kind for kind in CONDITIONS.values() if kind in item)
        values = [matching_value(item, kind, value) for value in condition["values"]]
        yield from _definitions(child["parameterSpec"], {**when, name: values})


def _values(item: Json) -> dict[str, Any]:
    scale = _SCALES.get(item.get("scaleType", ""), "linear")
    for key, kind in (("doubleValueSpec", float), ("integerValueSpec", int)):
        if key in item:
            low, high = (kind(item[key].get(bound, 0)) for bound in ("minValue", "maxValue"))
            return {"type": kind.__name__, "min": low, "max": high, "scale": scale}
    if "discreteValueSpec" in item:
        numbers = [float(value) for value in item["discreteValueSpec"]["values"]]
        return {"type": "discrete", "values": numbers, "scale": scale}
    return {"type": "categorical", "values": list(item["categoricalValueSpec"]["values"])}
