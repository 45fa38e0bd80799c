"""The trials of a job as strategies see them, built from the job's events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.results.events import MEASURED_STATES, Measured, SearchEvent, Started, TrialState
from cloudtune.results.objective import (
    constrained_metrics,
    objective_values,
    selected_values,
)
from cloudtune.study.constraints import outcome_constraints, outcome_margins
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

_BROKEN = 1e300
"""A score that is worse than any other."""


@dataclass
class TrialRecord:
    """One suggested trial. A repeat of an interrupted trial continues its record."""

    index: int
    """The position among the suggested trials, from 0."""
    number: int
    """The number of the latest repeat."""
    parameters: Mapping[str, Value]
    memory: Mapping[str, Any]
    state: TrialState = "running"
    resource: int | None = None
    seed: int | None = None
    measurements: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    out_of_memory: bool = False
    starts: int = 0
    seconds: float | None = None
    """The duration, if the trial has completed in its only start and it is known."""
    measured_before_start: int = 0
    """How many measurements precede the latest start. An interruption discards the later ones."""


class History:
    """All suggested trials of a job so far, in order."""

    def __init__(self, study: Study) -> None:
        self.trials: list[TrialRecord] = []
        self._study = study
        self._signs = [-1.0 if o.goal == "maximize" else 1.0 for o in study.objectives]
        self._by_number: dict[int, TrialRecord] = {}
        self.constraints = outcome_constraints(study)

    def tell(self, event: SearchEvent) -> TrialRecord | None:
        """Record an event and return its trial, or None if a repeat has replaced that trial."""
        if isinstance(event, Started):
            return self._start(event)
        trial = self._by_number.get(event.number)
        if trial is None:
            return None
        if isinstance(event, Measured):
            trial.measurements.append(event.metrics)
        else:
            trial.state = event.state
            is_whole = event.state == "completed" and trial.starts == 1
            trial.seconds = event.seconds if is_whole else None
            trial.out_of_memory = event.out_of_memory
        return trial

    def get(self, number: int) -> TrialRecord | None:
        """Return a trial by its number."""
        return self._by_number.get(number)

    def objective(self, trial: TrialRecord) -> tuple[float, ...] | None:
        """Return the objective values of a trial so far, or None if they were not measured."""
        return objective_values(self._study, trial.measurements)

    def final_objective(self, trial: TrialRecord) -> tuple[float, ...] | None:
        """Return the objective values of a completed or early-stopped trial, else None."""
        if trial.state not in MEASURED_STATES:
            return None
        return self.objective(trial)

    def margins(self, trial: TrialRecord) -> tuple[float, ...] | None:
        """Return by how much an ended trial breaks each constraint on metrics, None if unknown.

        One that ran out of memory breaks those that it did not measure, and if it measured and kept
        all, it says nothing, as any other failed one. Without constraints, there are no margins.
        """
        ran_out = trial.state == "failed" and trial.out_of_memory
        has_result = trial.state in MEASURED_STATES or ran_out
        if not self.constraints or not has_result:
            return None
        metrics, values = selected_values(self._study, trial.measurements)
        known = constrained_metrics(self._study, metrics, values)
        margins = outcome_margins(self.constraints, trial.parameters, known)
        return None if ran_out and max(margins) <= 0 else margins

    def rank(self, trial: TrialRecord, values: Sequence[float]) -> list[float]:
        """Return objective values as scores that put each trial that breaks a constraint last.

        Of these, the one that breaks them least comes first (Deb, 2000,
        <https://doi.org/10.1016/S0045-7825(99)00389-8>).
        """
        excess = sum(max(margin, 0.0) for margin in self.margins(trial) or ())
        if not excess:
            return self.to_scores(values)
        return [_BROKEN * (1 + math.atan(excess))] * len(self._signs)

    def to_scores(self, values: Sequence[float]) -> list[float]:
        """Return objective values as scores, of which lower is better."""
        return [sign * value for sign, value in zip(self._signs, values, strict=True)]

    def _start(self, event: Started) -> TrialRecord:
        trial = self._by_number.get(event.number)
        if trial is None and event.replaces is not None:
            trial = self._by_number.pop(event.replaces, None)
            if trial is not None:
                del trial.measurements[trial.measured_before_start :]
        if trial is None:
            parameters = dict(event.parameters)
            trial = TrialRecord(len(self.trials), event.number, parameters, event.memory)
            self.trials.append(trial)
        trial.number = event.number
        trial.state = "running"
        trial.starts += 1
        trial.resource = event.resource
        trial.seed = event.seed
        trial.measured_before_start = len(trial.measurements)
        self._by_number[event.number] = trial
        return trial
