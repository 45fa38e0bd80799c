"""Results: one format for every provider, and the fold of a job's events into it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal, cast

from cloudtune.diagnostics import Finding
from cloudtune.results.events import RunJobState, TrialState
from cloudtune.study.schema import Mode
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

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
    state: RunJobState
    reason: str
    """Why the job ended."""
    study: Study
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

    @property
    def refused(self) -> bool:
        """Whether the provider cannot run the study at all."""
        return any(finding.kind == "refused" for finding in self.findings)

    @property
    def best(self) -> Trial | None:
        """The trial with the best objective; None if none was measured or there are several."""
        return next(iter(self.best_trials()), None) if len(self.study.objectives) == 1 else None

    @property
    def pareto(self) -> tuple[Trial, ...]:
        """The trials that no other is better than in every objective, by number."""
        return pareto_front(self.trials, self._goals)

    def best_trials(self, trials: Iterable[Trial] | None = None) -> tuple[Trial, ...]:
        """Return the best trial, or the Pareto front unless there is exactly one objective.

        Args:
            trials: The trials to choose from; the result's own by default.
        """
        trials = self.trials if trials is None else trials
        if len(self._goals) != 1:
            return pareto_front(trials, self._goals)
        top = best_trial(trials, self._goals[0])
        return (top,) if top else ()

    @property
    def _goals(self) -> tuple[str, ...]:
        return tuple(objective.goal for objective in self.study.objectives)

    def to_json(self) -> str:
        """Return the result as one JSON text; numbers that are not finite become text."""
        return "".join(iter_json(self, self.trials))

    @staticmethod
    def from_json(document: str) -> StudyResult:
        """Return the result that `to_json` wrote.

        Raises:
            ValueError: If it is no such document or of another version.
        """
        from pydantic import TypeAdapter

        # Stored studies are not checked again: a later version may have stricter rules.
        return TypeAdapter(StudyResult).validate_json(document, context={"parts_only": True})


def job_state(result: StudyResult, *, any_trials: bool | None = None) -> RunJobState:
    """Return how a job stands, in one word.

    Args:
        result: The job.
        any_trials: Whether it has trials, where the result is without them.
    """
    tried = bool(result.trials) if any_trials is None else any_trials
    refused = result.refused and result.state == "failed" and not tried
    return "refused" if refused else result.state


def best_trial(trials: Iterable[Trial], goal: str) -> Trial | None:
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


def pareto_front(trials: Iterable[Trial], goals: Sequence[str]) -> tuple[Trial, ...]:
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


def iter_json(result: StudyResult, trials: Iterable[Trial]) -> Iterator[str]:
    """Yield the parts of one JSON text: a result with these trials in place of its own."""
    head = {name: value for name, value in _plain(result).items() if name != "trials"}
    yield f'{encode_json(head)[:-1]}, "trials": ['
    for place, trial in enumerate(trials):
        yield f"{',' if place else ''}\n{encode_json(trial)}"
    yield "]}"


def trial_json_line(result: StudyResult, trial: Trial) -> str:
    """Return one JSON line: all that is known of a trial, and the job that it belongs to."""
    job = {"run": result.run, "provider": result.provider, "emulated": result.emulated}
    return encode_json(job | _plain(trial))


def _plain(value: Any) -> dict[str, Any]:
    """Return a dataclass without what is not known, or a mapping, as what JSON knows."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if isinstance(value, Study):
        return value.to_json()
    named = ((name, getattr(value, name)) for name in value.__dataclass_fields__)
    return {name: held for name, held in named if held is not None}


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)


def encode_json(value: Any) -> str:
    """Return data as one JSON text; numbers that are not finite become text."""
    try:
        return _ENCODER.encode(value)
    except ValueError:  # a number that is not finite
        return _ENCODER.encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, list | tuple):
        return [_finite(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping | Study) or is_dataclass(value):
        return {name: _finite(held) for name, held in _plain(value).items()}
    return value
