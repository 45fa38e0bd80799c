"""Translates IBM's descriptions of searches into cloudtune's states and trials.

Unknown states are kept as text and translated to ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cloudtune.provider import Json, Objective, RawTrial, Study
from cloudtune.results import (
    FINAL_STATES,
    JobState,
    Measurement,
    TrialState,
    explain_missing_objective,
    objective_values,
)
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.response import to_seconds
from cloudtune_watson.wmla.native.names import LATEST

N = TypeVar("N", int, float)

SEARCH_STATES: Mapping[str, JobState] = {
    "SUBMITTED": "pending",
    "WAITING": "pending",
    "RUNNING": "running",
    "RECOVERPEND": "running",
    "FINISHED": "completed",
    "FAILED": "failed",
    "ERROR": "failed",
    "STOPPED": "cancelled",
    "KILLED": "cancelled",
}
"""States of searches and their trials, as IBM/wmla-assets at fe322c8 prints them."""


def search_state(search: Json) -> JobState:
    """Return the state of a search."""
    return SEARCH_STATES.get(str(search.get("state", "")), "unknown")


def to_trials(search: Json, study: Study) -> list[RawTrial]:
    """Return the trials of a search that have their parameters, ordered by number.

    Args:
        search: The search as WML Accelerator describes it.
        study: The fitted study.
    """
    experiments: list[Json] = [e for e in search.get("experiments") or () if e.get("hyperParams")]
    first = min((_number(experiment, "id") for experiment in experiments), default=1)
    offset = 1 if first == 0 else 0
    trials = [_to_trial(each, _number(each, "id") + offset, study) for each in experiments]
    return sorted(trials, key=lambda trial: trial.number)


def _to_trial(experiment: Json, number: int, study: Study) -> RawTrial:
    word = str(experiment.get("state", ""))
    state: TrialState = SEARCH_STATES.get(word, "unknown")
    state = "waiting" if state == "pending" else state
    over = state in FINAL_STATES
    parameters = {each["name"]: each.get("fixedVal") for each in experiment["hyperParams"]}
    resource = _resource(parameters, study)
    measurements = _measurements(experiment, study, resource) if over else []
    reason = "the search was stopped" if state == "cancelled" else ""
    if state == "completed" and objective_values(study, [m.metrics for m in measurements]) is None:
        state, reason = "failed", explain_missing_objective(study, measurements, "")
    elif state == "completed" and resource is not None and resource < (study.strategy.max or 0):
        name, most = study.strategy.resource, study.strategy.max
        state, reason = "stopped_early", f"a rung of hyperband with {name} {resource} of {most}"
    return RawTrial(
        number=number,
        id=str(experiment.get("appId") or experiment["id"]),
        state=state,
        word=word,
        parameters=parameters,
        resource=resource,
        measurements=measurements,
        started=to_seconds(experiment.get("startTime")),
        ended=to_seconds(experiment.get("endTime")) if over else None,
        reason=reason,
    )


def _resource(parameters: Mapping[str, Any], study: Study) -> int | None:
    """Return how much of hyperband's resource a trial had: each rung is a trial of its own."""
    value = parameters.get(study.strategy.resource or "")
    try:
        return None if value is None else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _measurements(experiment: Json, study: Study, resource: int | None) -> list[Measurement]:
    """Return one value of each metric, at the last iteration of a trial that has ended.

    A trial of hyperband whose iterations IBM does not report is measured at its resource.

    IBM does not document which measurement of a trial ``metricVal`` is. The launcher reports only
    one, which the study selects. Of other metrics WML Accelerator keeps the minimum, the maximum
    and the latest value.
    """
    objectives = {objective.metric: objective for objective in study.objectives}
    values: dict[str, float] = {}
    for metric in experiment.get("metrics") or ():
        field = _value_field(objectives.get(metric["name"]))
        if metric.get(field) is not None:
            values[metric["name"]] = _number(metric, field, float)
    for name in objectives:
        if name not in values and experiment.get("metricVal") is not None:
            values[name] = _number(experiment, "metricVal", float)
    step = _number(experiment, "maxiteration") if experiment.get("maxiteration") else resource or 1
    return [Measurement(step, values)] if values else []


def _number(entry: Json, name: str, kind: Callable[[Any], N] = int) -> N:
    """Return a number of an entry of a search, which may be given as text.

    Raises:
        WatsonError: If it is no such number.
    """
    try:
        return kind(entry[name])
    except (ValueError, OverflowError) as error:
        raise WatsonError(f"a search has {name} {entry[name]!r}, which is no number") from error


def _value_field(objective: Objective | None) -> str:
    if objective is None or objective.select != "best":
        return LATEST
    return "max" if objective.goal == "maximize" else "min"
