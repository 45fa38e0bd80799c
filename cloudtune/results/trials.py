"""The trials of one job: a fold over its events."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.results.model import Measurement, Trial
from cloudtune.results.objective import complete_objective, select_value
from cloudtune.study.schema import Objective
from cloudtune.study.study import Study


class Trials:
    """The trials of one job so far: a fold over its events.

    Taking note of an event costs the same however many there were.
    """

    def __init__(self, study: Study, run: str) -> None:
        self._objectives = study.objectives
        self._run = run
        self._known: dict[int, _Known] = {}

    def tell(self, event: Event) -> None:
        """Take note of the next event."""
        if isinstance(event, Started):
            self._start(event)
            return
        known = self._known[event.number]
        known.trial = None
        if isinstance(event, Measured):
            known.measure(event, self._objectives)
        else:
            known.end(event)

    def __len__(self) -> int:
        """Return how many trials were ever started."""
        return len(self._known)

    def get(self, number: int) -> Trial:
        """Return one trial as it stands, with its metrics and objective so far."""
        known = self._known[number]
        if known.trial is None:
            known.trial = known.made()
        return known.trial

    def objective(self, number: int) -> tuple[float, ...] | None:
        """Return what one trial has as its objective so far."""
        return complete_objective(self._known[number].values)

    def all(self) -> tuple[Trial, ...]:
        """Return every trial as it stands, by number."""
        return tuple(map(self.get, self._known))

    def _start(self, event: Started) -> None:
        known = self._known.get(event.number)
        if known is None:
            count = len(self._objectives)
            known = self._known[event.number] = _Known(event, f"{self._run}-{event.number}", count)
        known.trial = None
        known.started = event
        known.ended = None
        known.begun = event.time


class _Known:
    """What is known of one trial."""

    __slots__ = (
        "artifacts",
        "begun",
        "billed",
        "ended",
        "exit_code",
        "first",
        "id",
        "log",
        "machine",
        "measurements",
        "metrics",
        "seconds",
        "started",
        "trial",
        "values",
    )

    def __init__(self, first: Started, made_id: str, objectives: int) -> None:
        self.trial: Trial | None = None
        """The trial as it stands, once somebody has asked for it."""
        self.first = first
        self.started = first
        self.ended: Ended | None = None
        self.begun: float | None = first.time
        self.id = made_id
        self.measurements: list[Measurement] = []
        self.metrics: dict[str, float] = {}
        self.values: list[float | None] = [None] * objectives
        self.seconds: float | None = None
        self.exit_code: int | None = None
        self.log: str | None = None
        self.artifacts: str | None = None
        self.billed: float | None = None
        self.machine: str | None = None

    def measure(self, event: Measured, objectives: Sequence[Objective]) -> None:
        self.measurements.append(Measurement(event.step, event.metrics, event.time))
        self.metrics.update(event.metrics)
        for place, objective in enumerate(objectives):
            if objective.metric in event.metrics:
                value = event.metrics[objective.metric]
                self.values[place] = select_value(objective, self.values[place], value)

    def end(self, event: Ended) -> None:
        self.ended = event
        self.seconds = (self.seconds or 0.0) + start_duration(self.begun, event)
        self.begun = None  # a waiting trial ends without a start
        self.exit_code = self.exit_code if event.exit_code is None else event.exit_code
        self.log = event.log or self.log
        self.artifacts = event.artifacts or self.artifacts
        self.billed = _sum(self.billed, event.billed_seconds)
        self.machine = event.machine or self.machine

    def made(self) -> Trial:
        first, last, ended = self.first, self.started, self.ended
        return Trial(
            id=last.id or self.id,
            number=first.number,
            state=ended.state if ended else "running",
            parameters=last.parameters,
            metrics=dict(self.metrics),
            objective=complete_objective(self.values),
            measurements=tuple(self.measurements),
            word=ended.word if ended else None,
            created=first.time,
            started=first.time,
            ended=max(ended.time, first.time) if ended else None,
            seconds=self.seconds,
            billed_seconds=self.billed,
            machine=self.machine,
            reason=ended.reason if ended else "",
            log_tail=ended.log_tail if ended else "",
            exit_code=self.exit_code,
            replaces=first.replaces,
            resource=last.resource,
            log=self.log,
            artifacts=self.artifacts,
        )


def start_duration(begun: float | None, end: Ended) -> float:
    """Return how long a start of a trial took: as it was measured, else by the clock's times."""
    if end.seconds is not None:
        return end.seconds
    return 0.0 if begun is None else max(0.0, end.time - begun)


def _sum(left: float | None, right: float | None) -> float | None:
    return left if right is None else (left or 0.0) + right
