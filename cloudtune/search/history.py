"""The trials of a job as strategies see them: a fold over its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.results.events import Event, Measured, Started, TrialState
from cloudtune.results.objective import objective_values
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study


@dataclass
class TrialRecord:
    """One draw and what became of it, also under the number that replaced an interrupted one."""

    draw: int
    number: int
    parameters: Mapping[str, Value]
    memory: Mapping[str, Any]
    state: TrialState
    resource: int | None
    measurements: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    kept: int = 0
    """How many measurements were made before its last start, and stay if that is interrupted."""


class History:
    """Every draw of a job so far, in order."""

    def __init__(self, study: Study) -> None:
        self.trials: list[TrialRecord] = []
        self._study = study
        self._by_number: dict[int, TrialRecord] = {}

    def tell(self, event: Event) -> TrialRecord | None:
        """Take note of an event and return its trial, or None if another has taken its place."""
        if isinstance(event, Started):
            return self._start(event)
        past = self._by_number.get(event.number)
        if past is None:
            return None
        if isinstance(event, Measured):
            past.measurements.append(event.metrics)
        else:
            past.state = event.state
        return past

    def of(self, number: int) -> TrialRecord | None:
        """Return a trial by its number."""
        return self._by_number.get(number)

    def objective(self, past: TrialRecord) -> tuple[float, ...] | None:
        """Return a trial's objective so far, or None if it was not measured."""
        return objective_values(self._study, past.measurements)

    def _start(self, event: Started) -> TrialRecord:
        past = self._by_number.get(event.number)
        if past is None and event.replaces is not None:
            past = self._by_number.pop(event.replaces, None)
            if past is not None:
                del past.measurements[past.kept :]
        if past is None:
            past = TrialRecord(
                draw=len(self.trials),
                number=event.number,
                parameters=dict(event.parameters),
                memory=event.memory,
                state="running",
                resource=event.resource,
            )
            self.trials.append(past)
        past.number = event.number
        past.state = "running"
        past.resource = event.resource
        past.kept = len(past.measurements)
        self._by_number[event.number] = past
        return past


def finished(past: TrialRecord) -> bool:
    """Tell whether a trial has ended for good, so that its objective counts if it was measured."""
    return past.state in {"completed", "stopped_early"}
