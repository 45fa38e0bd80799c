"""Results of jobs: one format for every provider."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, cast, runtime_checkable

from cloudtune.common.display import Displayable
from cloudtune.diagnostics import Finding
from cloudtune.results.events import MEASURED_STATES, RunJobState, TrialState
from cloudtune.study.confirmation import Confirmation
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
    """A cost, and whether the service reported it or cloudtune estimated it."""

    amount: float
    currency: str
    basis: Literal["reported", "estimated"]
    at_least: float | None = None
    """The least amount, if the billed time is only known to be between two bounds; the amount is
    then the most. None otherwise."""


class _Times:
    """What has times in seconds since the epoch, as datetimes."""

    __slots__ = ()

    created: float | None
    started: float | None
    ended: float | None

    @property
    def created_at(self) -> datetime | None:
        """The time of its creation in UTC."""
        return to_datetime(self.created)

    @property
    def started_at(self) -> datetime | None:
        """The time of its start in UTC."""
        return to_datetime(self.started)

    @property
    def ended_at(self) -> datetime | None:
        """The time of its end in UTC."""
        return to_datetime(self.ended)


def to_datetime(seconds: float | None) -> datetime | None:
    """Return a time in seconds since the epoch as a datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True, repr=False)
class Trial(Displayable, _Times):
    """One trial of a result. Unknown values are None. Times are seconds since the epoch.

    `created_at`, `started_at` and `ended_at` are the times as datetimes.
    """

    id: str
    number: int
    state: TrialState
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """The value of each metric: the last one, unless ``trial.select`` says otherwise."""
    objective: tuple[float, ...] | None = None
    """The value of each objective as the study selects it; None if one was not measured."""
    broken: tuple[str, ...] | None = None
    """The study's constraints on metrics that an ended trial breaks, or which confirmation shows
    that it breaks one; None if there are none."""
    measurements: tuple[Measurement, ...] = ()
    word: str | None = None
    """The service's name for the state."""
    created: float | None = None
    started: float | None = None
    """When it first ran, rather than waited for a machine."""
    ended: float | None = None
    seconds: float | None = None
    """The run time over all its starts, without the time that it waited for machines."""
    waited: float | None = None
    """The seconds for which its starts waited for machines, as far as known; None if none did."""
    billed_seconds: float | None = None
    """What the service bills over all its starts; the most if there is `billed_at_least`."""
    billed_at_least: float | None = None
    """The least that it bills, if the service reports only bounds; None otherwise."""
    machine: str | None = None
    cost: Cost | None = None
    reason: str = ""
    """Why it ended, or what it waits for; of one that completed, why its metrics may be wrong."""
    log_tail: str = ""
    """The last lines of a failed trial's log."""
    exit_code: int | None = None
    replaces: int | None = None
    """The number of the interrupted trial that this one repeats."""
    resource: int | None = None
    """The amount of hyperband's resource that it has used."""
    retries: int | None = None
    """How often it started again because it ran out of memory; None if never."""
    seed: int | None = None
    """The seed of a confirming trial; None for the seed that all trials of a search share."""
    proposal: str | None = None
    """The id of the proposal from outside that it runs; None if the strategy has suggested it."""
    why: str = ""
    """Why it was proposed, in the words of who did."""
    log: str | None = None
    """The path or address of its log."""
    artifacts: str | None = None
    """The path or address of its output files."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the confirmations of a run say about the best trial of one of its jobs."""

    trial: int | None
    """The number of the job's best trial; None if there is none to take."""
    elsewhere: bool
    """Whether another job of the run has the trial to take."""
    reason: str
    by: tuple[str, str] | None = None
    """The run and the provider of the confirmation that decides; None if none does."""


@dataclass(frozen=True, repr=False)
class StudyResult(Displayable, _Times):
    """The result of one job of a run. Unknown values are None. Times are as those of `Trial`."""

    run: str
    provider: str
    mode: Mode
    emulated: bool
    state: RunJobState
    reason: str
    """Why the job ended, unless it just completed."""
    study: Study
    study_hash: str
    seed: int | None
    findings: tuple[Finding, ...]
    trials: tuple[Trial, ...]
    source_hash: str | None = None
    """A hash of the files that were bundled; None if no code was sent."""
    job: str | None = None
    """The service's name for the job."""
    link: str | None = None
    """The address of the job in the service's console."""
    attached: str | None = None
    """The address of a job that was started elsewhere: its study was rebuilt from what the service
    returns, unless it was given."""
    changes: tuple[Mapping[str, Any], ...] | None = None
    """The changes of its limits since it was created: each has its ``time``, and ``fields``, the
    old and the new value by path. None if there are none."""
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    confirmation: Confirmation | None = None
    """What the run repeats, if it confirms an earlier one."""
    decision: Decision | None = None
    """What its confirmations say about its best trial; None if they say nothing, or if it was read
    without them."""
    idle: float | None = None
    """Seconds between start and end in which no process drove the job; None in managed mode."""
    format: Literal["cloudtune.results/v1"] = FORMAT

    @property
    def refused(self) -> bool:
        """Whether the provider cannot run the study at all."""
        return any(finding.kind == "refused" for finding in self.findings)

    @property
    def best(self) -> Trial | None:
        """The best trial, by the confirmations of its run if they have decided.

        None if there is none, of several objectives, and of a confirmation: the best of its
        repetitions is luck.
        """
        is_search = len(self._goals) == 1 and self.confirmation is None
        return next(iter(self.chosen_trials()), None) if is_search else None

    @property
    def pareto(self) -> tuple[Trial, ...]:
        """The trials that no other trial is better than in every objective, by number."""
        return pareto_front(self.trials, self._goals)

    @property
    def is_outranked(self) -> bool:
        """Whether another job of its run has the trial to take, by a confirmation."""
        return self.decision is not None and self.decision.elsewhere

    def best_trials(self, trials: Iterable[Trial] | None = None) -> tuple[Trial, ...]:
        """Return the best trial of the search, or the Pareto front unless there is one objective.

        Args:
            trials: The trials to choose from; the result's own by default.
        """
        trials = self.trials if trials is None else trials
        if len(self._goals) != 1:
            return pareto_front(trials, self._goals)
        top = best_trial(trials, self._goals[0])
        return (top,) if top else ()

    def chosen_trials(self, trials: Iterable[Trial] | None = None) -> tuple[Trial, ...]:
        """Return the best trial by the confirmations of its run, if they have decided.

        Else it is the best trial of the search, or the Pareto front unless there is one objective.

        Args:
            trials: The trials to choose from; the result's own by default.
        """
        if self.decision is None:
            return self.best_trials(trials)
        every = self.trials if trials is None else trials
        return tuple(trial for trial in every if trial.number == self.decision.trial)

    @property
    def _goals(self) -> tuple[str, ...]:
        return tuple(objective.goal for objective in self.study.objectives)

    def to_json(self) -> str:
        """Return the result as JSON text. Numbers that are not finite become strings."""
        return "".join(iter_json(self, self.trials))

    @staticmethod
    def from_json(document: str) -> StudyResult:
        """Return the result from the text that `to_json` returned.

        Raises:
            ValueError: If the text is not a result, or one of another version.
        """
        from pydantic import TypeAdapter

        # Stored studies are not checked again: a later version may have stricter rules.
        return TypeAdapter(StudyResult).validate_json(document, context={"parts_only": True})


@runtime_checkable
class JobResults(Protocol):
    """The results of several jobs of a run."""

    @property
    def jobs(self) -> tuple[StudyResult, ...]:
        """The result of each job."""
        ...


def job_state(result: StudyResult, *, any_trials: bool | None = None) -> RunJobState:
    """Return the state of a job. A failed job that never started because of its plan is refused.

    Args:
        result: The job.
        any_trials: Whether the job has trials, if the result comes without them.
    """
    started = bool(result.trials) if any_trials is None else any_trials
    refused = result.refused and result.state == "failed" and not started
    return "refused" if refused else result.state


def script_values(study: Study, trial: Trial) -> dict[str, Value]:
    """Return what the script of a trial got: constants, seed, resource, and parameters."""
    name, amount = study.strategy.resource, trial.resource
    resource = {name: amount} if name and amount is not None else {}
    argument = study.trial.seed_argument
    seed = {argument: trial.seed} if argument and trial.seed is not None else {}
    return {**study.script_constants, **seed, **resource, **trial.parameters}


def is_candidate(trial: Trial) -> bool:
    """Return whether a trial can be the best: it measured the objective and breaks no constraint.

    It has completed, or was stopped early.
    """
    has_ended = trial.state in MEASURED_STATES
    return has_ended and trial.objective is not None and not trial.broken


def trial_rank(trial: Trial, goal: str) -> tuple[bool, float, int]:
    """Return a key that is least for the best of the trials that measured the first objective.

    Completed trials come before those that were stopped early, and of equal ones the first.
    """
    value = trial.objective[0] if trial.objective else math.inf
    return trial.state != "completed", -value if goal == "maximize" else value, trial.number


def best_trial(trials: Iterable[Trial], goal: str) -> Trial | None:
    """Return the trial with the best first objective, of those that can be the best."""
    candidates = filter(is_candidate, trials)
    return min(candidates, key=lambda trial: trial_rank(trial, goal), default=None)


def pareto_front(trials: Iterable[Trial], goals: Sequence[str]) -> tuple[Trial, ...]:
    """Return the completed trials that no other trial is better than in every objective."""
    signs = [-1 if goal == "maximize" else 1 for goal in goals]
    front: list[tuple[Trial, tuple[float, ...]]] = []
    for trial in trials:
        if trial.state != "completed" or trial.objective is None or trial.broken:
            continue
        point = tuple(sign * value for sign, value in zip(signs, trial.objective, strict=True))
        if not any(_dominates(other, point) for _, other in front):
            front = [each for each in front if not _dominates(point, each[1])]
            front.append((trial, point))
    return tuple(sorted((trial for trial, _ in front), key=lambda trial: trial.number))


def _dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True)) and tuple(left) != tuple(right)


def iter_json(result: StudyResult, trials: Iterable[Trial]) -> Iterator[str]:
    """Yield the parts of one JSON text: a result with these trials instead of its own."""
    head = {name: value for name, value in _to_dict(result).items() if name != "trials"}
    yield f'{encode_json(head)[:-1]}, "trials": ['
    for index, trial in enumerate(trials):
        yield f"{',' if index else ''}\n{encode_json(trial)}"
    yield "]}"


def trial_json_line(result: StudyResult, trial: Trial) -> str:
    """Return a trial and the job it belongs to as one line of JSON."""
    job = {"run": result.run, "provider": result.provider, "emulated": result.emulated}
    return encode_json(job | _to_dict(trial))


def _to_dict(value: Any) -> dict[str, Any]:
    """Return a mapping, a study, or a dataclass as a dict; a dataclass without its None values."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if isinstance(value, Study):
        return value.to_json()
    items = ((name, getattr(value, name)) for name in value.__dataclass_fields__)
    return {name: item for name, item in items if item is not None}


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_to_dict)


def encode_json(value: Any) -> str:
    """Return data as JSON text. Numbers that are not finite become strings."""
    try:
        return _ENCODER.encode(value)
    except ValueError:  # a number that is not finite
        return _ENCODER.encode(_replace_non_finite(value))


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, list | tuple):
        return [_replace_non_finite(each) for each in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping | Study) or is_dataclass(value):
        return {name: _replace_non_finite(item) for name, item in _to_dict(value).items()}
    return value
