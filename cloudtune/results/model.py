"""Results: one format for every provider, and the fold of a job's events into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cloudtune.fitting.capabilities import Finding, Mode
from cloudtune.results.events import Ended, Event, Measured, Standing, Started, TrialState
from cloudtune.results.objective import complete, selected
from cloudtune.study.schema import Objective, Study
from cloudtune.study.search_space import Value

FORMAT: Literal["cloudtune.results/v1"] = "cloudtune.results/v1"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Metric values at one step of a trial."""

    step: int
    metrics: Mapping[str, float]
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost, and how that is known."""

    amount: float
    currency: str
    basis: Literal["reported", "estimated"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a result. What is not known is None, never invented; times are epoch seconds."""

    id: str
    number: int
    state: TrialState
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The last value of each metric."""
    objective: tuple[float, ...] | None = None
    """One value an objective, as the study selects it; None where one was not measured."""
    measurements: tuple[Measurement, ...] = ()
    word: str | None = None
    """The service's own word for the state."""
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    seconds: float | None = None
    """How long it ran, over all its starts."""
    billed_seconds: float | None = None
    machine: str | None = None
    cost: Cost | None = None
    reason: str = ""
    """Why it did not simply complete."""
    log_tail: str = ""
    """The last lines that a failed trial printed."""
    exit_code: int | None = None
    replaces: int | None = None
    """The number of the interrupted trial whose parameters were asked again."""
    resource: int | None = None
    """How much of hyperband's named resource it has used."""
    log: str | None = None
    """Where its log is."""
    artifacts: str | None = None
    """Where its output is."""


@dataclass(frozen=True)
class StudyResult:
    """What one job of a run found."""

    run: str
    provider: str
    mode: Mode
    emulated: bool
    state: Standing
    reason: str
    """Why the job ended."""
    study: Mapping[str, Any]
    """The study as plain data."""
    study_hash: str
    seed: int
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]
    source_hash: str | None = None
    """Hash of the files that were bundled; None where no code was sent."""
    job: str | None = None
    """What the service calls the job."""
    link: str | None = None
    """Where people look at the job, once there is one."""
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    idle: float | None = None
    """Seconds between its start and its end in which no process drove it; None if managed."""
    format: Literal["cloudtune.results/v1"] = FORMAT

    def _repr_html_(self) -> str:
        from cloudtune.reporting.notebook import results_html

        return results_html([self])

    @property
    def refused(self) -> bool:
        """Whether the provider cannot run the study at all."""
        return any(finding.kind == "refused" for finding in self.findings)

    @property
    def best(self) -> Trial | None:
        """The trial with the best objective; None if none was measured or there are several."""
        goals = self._goals()
        return best(self.trials, goals[0]) if len(goals) == 1 else None

    @property
    def pareto(self) -> tuple[Trial, ...]:
        """The trials that no other is better than in every objective, by number."""
        return pareto(self.trials, self._goals())

    def _goals(self) -> tuple[str, ...]:
        return tuple(o.goal for o in Study.model_validate(self.study).objectives)

    def to_json(self) -> str:
        """Return the result as one JSON text; numbers that are not finite become text."""
        from cloudtune.results.result_text import json_parts

        return "".join(json_parts(self, self.trials))

    @staticmethod
    def from_json(document: str) -> StudyResult:
        """Return the result that `to_json` wrote.

        Raises:
            ValueError: If it is no such document or of another version.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(StudyResult).validate_json(document)


def state_word(result: StudyResult, *, any_trials: bool | None = None) -> Standing:
    """Return how a job stands, in one word.

    Args:
        result: The job.
        any_trials: Whether it has trials, where the result is without them.
    """
    tried = bool(result.trials) if any_trials is None else any_trials
    refused = result.refused and result.state == "failed" and not tried
    return "refused" if refused else result.state


def best(trials: Iterable[Trial], goal: str) -> Trial | None:
    """Return the trial with the best first objective.

    Completed trials come before those that were stopped early, whose training was cut short.
    """
    sign = -1 if goal == "maximize" else 1
    ranked = (
        (trial.state != "completed", sign * trial.objective[0], trial.number, trial)
        for trial in trials
        if trial.objective is not None and trial.state in {"completed", "stopped_early"}
    )
    return min(ranked, key=lambda each: each[:3], default=(None,))[-1]


def pareto(trials: Iterable[Trial], goals: Sequence[str]) -> tuple[Trial, ...]:
    """Return the completed trials that no other is better than in every objective, by number."""
    signs = [-1 if goal == "maximize" else 1 for goal in goals]
    front: list[tuple[Trial, tuple[float, ...]]] = []
    for trial in trials:
        if trial.state != "completed" or trial.objective is None:
            continue
        point = tuple(sign * value for sign, value in zip(signs, trial.objective, strict=True))
        if not any(_dominates(other, point) for _, other in front):
            front = [kept for kept in front if not _dominates(point, kept[1])]
            front.append((trial, point))
    return tuple(sorted((trial for trial, _ in front), key=lambda trial: trial.number))


def _dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True)) and tuple(left) != tuple(right)


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
        return complete(self._known[number].values)

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
                self.values[place] = selected(objective, self.values[place], value)

    def end(self, event: Ended) -> None:
        self.ended = event
        self.seconds = (self.seconds or 0.0) + seconds_between(self.begun, event)
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
            objective=complete(self.values),
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


def seconds_between(begun: float | None, end: Ended) -> float:
    """Return how long a start of a trial took: as it was measured, else by the clock's times."""
    if end.seconds is not None:
        return end.seconds
    return 0.0 if begun is None else max(0.0, end.time - begun)


def _sum(left: float | None, right: float | None) -> float | None:
    return left if right is None else (left or 0.0) + right
