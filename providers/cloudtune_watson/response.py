"""What IBM tells of trainings and of searches, as cloudtune's own states and trials.

A word that is not known here is kept, and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudtune.provider import (
    FINAL_STATES,
    JobState,
    Json,
    Measurement,
    Objective,
    RawTrial,
    Study,
    TrialState,
    explain_missing_objective,
    objective_values,
)

TRAINING_STATES: Mapping[str, TrialState] = {
    "queued": "pending",
    "pending": "pending",
    "running": "running",
    "storing": "running",
    "completed": "completed",
    "failed": "failed",
    "error": "failed",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
"""Of trainings: TrainingStatus in IBM's watsonx-ai-node-sdk 1.7.14, and the older words that
ibm-watson-machine-learning 1.0.370 waits for."""

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
"""Of searches and of their trials, as IBM/wmla-assets at fe322c8 prints them."""

_LONGEST = 1_000


def word_of(training: Json) -> str:
    """Return IBM's own word for how a training stands."""
    return str(_status(training).get("state", ""))


def state_of(training: Json) -> TrialState:
    """Return how a training stands."""
    return TRAINING_STATES.get(word_of(training).lower(), "unknown")


def is_over(training: Json) -> bool:
    """Tell whether a training has come to its end."""
    return state_of(training) in FINAL_STATES


def reason_of(training: Json) -> str:
    """Return why a training stands as it does, where it says so."""
    status = _status(training)
    failure: Json = status.get("failure") or {}
    message: Json = status.get("message") or {}
    said = [str(error.get("message", "")) for error in failure.get("errors") or ()]
    said.append(str(message.get("text", "")))
    reason = next((each for each in said if each), "")[:_LONGEST]
    if state_of(training) == "failed":
        return reason or "IBM gives no reason"
    return ""


def _status(training: Json) -> Json:
    status: Json = training.get("entity", {}).get("status", {})
    return status


def seconds(when: Any) -> float | None:
    """Return a time of an answer in seconds since the epoch; numbers are milliseconds."""
    if isinstance(when, int | float):
        return when / 1000
    if not isinstance(when, str) or not when:
        return None
    if when.isdigit():
        return int(when) / 1000
    try:
        moment = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", when))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def search_state(search: Json) -> JobState:
    """Return how a search stands."""
    return SEARCH_STATES.get(_word(search), "unknown")


def trials_of(search: Json, study: Study) -> list[RawTrial]:
    """Return the trials of a search that have their parameters, by number.

    Args:
        search: As the Accelerator tells it.
        study: What was sent.
    """
    told: list[Json] = [each for each in search.get("experiments") or () if each.get("hyperParams")]
    first = min((int(each["id"]) for each in told), default=1)
    offset = 1 if first == 0 else 0
    found = [_trial(each, int(each["id"]) + offset, study) for each in told]
    return sorted(found, key=lambda trial: trial.number)


def _trial(told: Json, number: int, study: Study) -> RawTrial:
    word = _word(told)
    state: TrialState = SEARCH_STATES.get(word, "unknown")
    over = state in FINAL_STATES
    measured = _measured(told, study) if over else []
    reason = "the search was stopped" if state == "cancelled" else ""
    if state == "completed" and objective_values(study, [m.metrics for m in measured]) is None:
        state, reason = "failed", explain_missing_objective(study, measured, "")
    return RawTrial(
        number=number,
        id=str(told.get("appId") or told["id"]),
        state=state,
        word=word,
        parameters={each["name"]: each.get("fixedVal") for each in told["hyperParams"]},
        measurements=measured,
        started=seconds(told.get("startTime")),
        ended=seconds(told.get("endTime")) if over else None,
        reason=reason,
    )


def _measured(told: Json, study: Study) -> list[Measurement]:
    """Return the values of a trial that has ended: of each metric one, at its last iteration.

    The Accelerator keeps the smallest, the largest and the latest. What is optimised is taken as
    the study wants it; of the rest the latest is.
    """
    objectives = {objective.metric: objective for objective in study.objectives}
    values: dict[str, float] = {}
    for metric in told.get("metrics") or ():
        value = metric.get(_kept(objectives.get(metric["name"])))
        if value is not None:
            values[metric["name"]] = float(value)
    for name in objectives:
        if name not in values and told.get("metricVal") is not None:
            values[name] = float(told["metricVal"])
    step = int(told.get("maxiteration") or 1)
    return [Measurement(step, values)] if values else []


def _kept(objective: Objective | None) -> str:
    """Return which of the three values of a metric counts."""
    if objective is None or objective.select != "best":
        return "latest"
    return "max" if objective.goal == "maximize" else "min"


def _word(told: Json) -> str:
    return str(told.get("state", ""))
