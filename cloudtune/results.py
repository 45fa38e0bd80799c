"""Results: one format for every provider, and the fold of a job's events into it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from cloudtune.capabilities import Finding, Mode
from cloudtune.events import Ended, Event, JobState, Measured, Started, TrialState
from cloudtune.objective import objective_values
from cloudtune.space import Value
from cloudtune.study import Study

if TYPE_CHECKING:
    from cloudtune.ledger import JobRecord, RunRecord

FORMAT: Literal["cloudtune.results/v1"] = "cloudtune.results/v1"


@dataclass(frozen=True)
class Measurement:
    """Metric values at one step of a trial."""

    step: int
    metrics: Mapping[str, float]
    time: float | None = None


@dataclass(frozen=True)
class Cost:
    """What something cost, and how that is known."""

    amount: float
    currency: str
    basis: Literal["reported", "estimated"]


@dataclass(frozen=True)
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
    state: JobState
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
    format: Literal["cloudtune.results/v1"] = FORMAT

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
        return json.dumps(_jsonable(self), ensure_ascii=False, allow_nan=False)

    @staticmethod
    def from_json(document: str) -> StudyResult:
        """Return the result that `to_json` wrote.

        Raises:
            ValueError: If it is no such document or of another version.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(StudyResult).validate_json(document)


def best(trials: Iterable[Trial], goal: str) -> Trial | None:
    """Return the trial with the best first objective.

    Completed trials come before those that were stopped early, whose training was cut short.
    """
    for state in ("completed", "stopped_early"):
        measured = [t for t in trials if t.state == state and t.objective is not None]
        if measured:
            sign = -1 if goal == "maximize" else 1
            return min(measured, key=lambda t: (sign * (t.objective or (0.0,))[0], t.number))
    return None


def pareto(trials: Iterable[Trial], goals: Sequence[str]) -> tuple[Trial, ...]:
    """Return the completed trials that no other is better than in every objective, by number."""
    signs = [-1 if goal == "maximize" else 1 for goal in goals]
    points = [
        (trial, tuple(sign * value for sign, value in zip(signs, trial.objective, strict=True)))
        for trial in trials
        if trial.state == "completed" and trial.objective is not None
    ]
    points.sort(key=lambda item: (item[1], item[0].number))
    front: list[tuple[Trial, tuple[float, ...]]] = []
    for trial, point in points:
        if not any(_dominates(other, point) for _, other in front):
            front.append((trial, point))
    return tuple(sorted((trial for trial, _ in front), key=lambda trial: trial.number))


def _dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True)) and tuple(left) != tuple(right)


class Trials:
    """The trials of one job so far: a fold over its events."""

    def __init__(self, study: Study, run: str) -> None:
        self._study = study
        self._run = run
        self._trials: dict[int, Trial] = {}
        self._measurements: dict[int, list[Measurement]] = {}
        self._begun: dict[int, float] = {}

    def tell(self, event: Event) -> None:
        """Take note of the next event."""
        match event:
            case Started():
                self._start(event)
            case Measured():
                self._measurements[event.number].append(
                    Measurement(event.step, event.metrics, event.time)
                )
            case Ended():
                self._end(event)

    def __len__(self) -> int:
        """Return how many trials were ever started."""
        return len(self._trials)

    def get(self, number: int) -> Trial:
        """Return one trial as it stands, with its metrics and objective so far."""
        trial = self._trials[number]
        if trial.state != "running":
            return trial
        return self._measured(trial)

    def all(self) -> tuple[Trial, ...]:
        """Return every trial as it stands, by number."""
        return tuple(self.get(number) for number in self._trials)

    def _start(self, event: Started) -> None:
        before = self._trials.get(event.number)
        if before is None:
            self._measurements[event.number] = []
        self._trials[event.number] = Trial(
            id=event.id or f"{self._run}-{event.number}",
            number=event.number,
            state="running",
            parameters=dict(event.parameters),
            created=before.created if before else event.time,
            started=before.started if before else event.time,
            replaces=before.replaces if before else event.replaces,
            resource=event.resource,
            seconds=before.seconds if before else None,
            exit_code=before.exit_code if before else None,
            log=before.log if before else None,
            artifacts=before.artifacts if before else None,
            billed_seconds=before.billed_seconds if before else None,
            machine=before.machine if before else None,
        )
        self._begun[event.number] = event.time

    def _end(self, event: Ended) -> None:
        before = self._trials[event.number]
        begun = self._begun.pop(event.number, event.time)  # a waiting trial ends without a start
        self._trials[event.number] = self._measured(
            replace(
                before,
                state=event.state,
                ended=event.time,
                seconds=(before.seconds or 0.0) + event.time - begun,
                reason=event.reason,
                exit_code=before.exit_code if event.exit_code is None else event.exit_code,
                log_tail=event.log_tail,
                word=event.word,
                log=event.log or before.log,
                artifacts=event.artifacts or before.artifacts,
                billed_seconds=_sum(before.billed_seconds, event.billed_seconds),
                machine=event.machine or before.machine,
            )
        )

    def _measured(self, trial: Trial) -> Trial:
        measurements = self._measurements[trial.number]
        last: dict[str, float] = {}
        for measurement in measurements:
            last.update(measurement.metrics)
        return replace(
            trial,
            metrics=last,
            measurements=tuple(measurements),
            objective=objective_values(self._study, [m.metrics for m in measurements]),
        )


def _sum(left: float | None, right: float | None) -> float | None:
    return left if right is None else (left or 0.0) + right


def _jsonable(value: Any) -> Any:
    from dataclasses import fields, is_dataclass

    if is_dataclass(value):
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        return {k: _jsonable(v) for k, v in found.items() if v is not None}
    if isinstance(value, Mapping):
        return {k: _jsonable(v) for k, v in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in cast("Sequence[Any]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def result_of(record: RunRecord, job: JobRecord, events: Iterable[Event]) -> StudyResult:
    """Return what a job found so far, from what the ledger holds."""
    plan = job.plan
    study = Study.model_validate(record.study)
    own = plan["facts"]["own"]
    trials = Trials(study, record.id)
    for event in events:
        trials.tell(event)
    made = bool(job.job or trials.all())
    return StudyResult(
        run=record.id,
        provider=job.provider,
        mode=plan["mode"],
        emulated=job.emulated,
        state=job.state,
        reason=job.reason,
        study=record.study,
        study_hash=study.fingerprint(),
        source_hash=plan["facts"]["source_hash"],
        seed=plan["facts"]["seed"],
        job=job.job,
        findings=tuple(Finding(**finding) for finding in plan["findings"]),
        trials=tuple(_priced(trial, {} if job.emulated else own) for trial in trials.all()),
        link=None if job.emulated or not made else own.get("links", {}).get(plan["mode"]),
        created=record.created,
        started=job.started,
        ended=job.ended,
    )


def _priced(trial: Trial, own: Mapping[str, Any]) -> Trial:
    price, currency = own.get("price_per_second"), own.get("currency")
    seconds = trial.seconds if trial.billed_seconds is None else trial.billed_seconds
    if price is None or currency is None or seconds is None:
        return trial
    return replace(trial, cost=Cost(seconds * price, currency, "estimated"))


def trial_lines(result: StudyResult) -> Iterator[str]:
    """Yield one JSON line a trial, with all that is known of it and the job that it belongs to."""
    job = {"run": result.run, "provider": result.provider, "emulated": result.emulated}
    for trial in result.trials:
        yield json.dumps(job | _jsonable(trial), ensure_ascii=False, allow_nan=False)
