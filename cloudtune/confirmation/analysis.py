"""What a confirmation found, as plain data: which trial to take, and what the search promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cloudtune.confirmation.confidence_sequence import (
    Interval,
    are_equal,
    mean_interval,
    pooled_deviation,
)
from cloudtune.confirmation.decision import (
    ALPHA,
    MIN_SEEDS,
    Values,
    are_repetitions_equal,
    barely_measured,
    difference,
    find_leader,
    open_candidates,
    pair_alpha,
    paired_differences,
)
from cloudtune.confirmation.noise import noise_floor
from cloudtune.confirmation.overfitting import (
    Overfitting,
    find_disagreement,
    find_overfitting,
)
from cloudtune.confirmation.repetitions import (
    by_seed,
    ended_seeds,
    measured_trials,
    metric_mean,
    repeats,
    shortage,
)
from cloudtune.results.model import StudyResult
from cloudtune.study.confirmation import Confirmation, Role
from cloudtune.study.search_space import Value

_MIN_DEGREES = 4
"""Degrees of freedom from which on a spread is known well enough to be used elsewhere."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval; a bound that is unknown is None."""

    mean: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 is outside the interval."""
        return (self.low is not None and self.low > 0) or (self.high is not None and self.high < 0)


@dataclass(frozen=True)
class ConfirmedCandidate:
    """What confirming trials measured of one candidate."""

    label: str
    role: Role
    number: int | None
    parameters: dict[str, Value]
    value: float | None
    """The value of the objective in the search."""
    seeds: int
    """The number of seeds with a value."""
    failed: int
    broken: int
    """The repetitions that break a constraint of the study."""
    broken_in: str
    """Another confirmation in which it breaks a constraint; empty if there is none."""
    is_barely_measured: bool
    """Whether it is not taken since some repetitions have no value, as if they fail, and fewer than
    two have one, or fewer than have none, or fewer than two on the seeds of another candidate, for
    which enough have one."""
    confirmed: Estimate | None
    """The mean of the deciding metric over the seeds."""
    worse: Estimate | None
    """How much worse it is than the trial to take, on the seeds that both have. None for that one.
    In an ablation, how much it is worse than the winner."""
    is_constant: bool
    """Whether it is worse by the same amount on each of its seeds, so that nothing says by how much
    chance moves that; with at least two."""
    search_mean: float | None
    """The mean of the search's objective over the seeds."""
    train_mean: float | None
    """The mean of the metric on the training data."""

    @property
    def is_broken(self) -> bool:
        """Whether it breaks a constraint, here or in another confirmation."""
        return bool(self.broken or self.broken_in)


@dataclass(frozen=True)
class ConfirmationResult:
    """What a confirmation of one job found."""

    run: str
    confirms: str
    """The run whose trials were repeated."""
    searched_on: str
    """Where they ran in that run."""
    provider: str
    emulated: bool
    complete: bool
    """Whether it has ended as planned, or by a limit after each candidate had two seeds."""
    reason: str
    """Why it ended, if another reason than its plan ended it."""
    source_hash: str | None
    metric: str
    """The metric that decides."""
    goal: Literal["maximize", "minimize"]
    search_metric: str
    train_metric: str | None
    level: float
    """The probability that the intervals of all differences hold; the same for those of means."""
    trials: int
    is_ablation: bool
    deterministic: bool
    """Whether all repetitions were bit-equal in every metric, so that the seed has no effect."""
    coarse: bool
    """Whether only the deciding metric was equal in all repetitions of each candidate."""
    settled: bool
    """Whether the trial to take is better than each other trial, by its interval."""
    take: int | None
    """The index of the candidate to take; None if no candidate has a value, or if each breaks a
    constraint. In an ablation, that is the winner."""
    candidates: tuple[ConfirmedCandidate, ...]
    luck: float | None
    """By how much the winner's value in the search is better than when it is repeated."""
    lead: float | None
    """The winner's lead over the second best in the search."""
    confirmed_lead: Estimate | None
    """The same lead when both are repeated."""
    noise_floor: float | None
    """How far two runs of one setting are apart by chance, in about 19 of 20 cases."""
    spread: float | None
    """The standard deviation of the differences between candidates on one seed."""
    overfitted: Overfitting | None
    """What the search's metric promises and the one that decides does not show."""
    disagreement: str | None
    """The label of a candidate that the search clearly prefers to the one to take, which the
    deciding metric clearly prefers."""
    baseline: int | None
    """The index of the candidate that stands for the script's defaults, or for the first trial."""
    notes: tuple[str, ...]
    """What was asked for and is not repeated as asked, and why."""
    is_next_best: bool
    """Whether better trials of the search are not repeated, as they have broken a constraint."""
    newer: int | None = None
    """The search's best trial if it ended later and was not repeated; then this does not decide."""

    @property
    def winner(self) -> ConfirmedCandidate:
        """The candidate that won the search."""
        return self.candidates[0]

    @property
    def taken(self) -> ConfirmedCandidate | None:
        """The candidate to take."""
        return None if self.take is None else self.candidates[self.take]

    @property
    def ties(self) -> list[ConfirmedCandidate]:
        """The candidates that are exactly as good as the one to take on all seeds of both."""
        return [
            each
            for each in self.candidates
            if each.role == "candidate" and each.is_constant and each.worse
            if not (each.worse.mean or each.is_broken or each.is_barely_measured)
        ]

    @property
    def rival(self) -> ConfirmedCandidate | None:
        """The candidate that beats the one to take by most on the seeds that both have.

        There is one only if each candidate is beaten by another, on other seeds.
        """
        ahead = [
            (each.worse.mean, index)
            for index, each in enumerate(self.candidates)
            if each.role == "candidate" and each.worse and each.worse.mean < 0
            if not (each.is_broken or each.is_barely_measured)
        ]
        return self.candidates[min(ahead)[1]] if ahead and not self.is_ablation else None

    @property
    def better_baseline(self) -> ConfirmedCandidate | None:
        """The baseline, if it is better on average than the one to take but cannot be taken."""
        each = None if self.baseline is None else self.candidates[self.baseline]
        if each is None or each.role != "baseline" or each.is_broken or each.worse is None:
            return None
        return each if each.worse.mean < 0 else None

    @property
    def compares(self) -> bool:
        """Whether at least two of the best trials have been measured."""
        return sum(each.role == "candidate" and each.seeds > 0 for each in self.candidates) > 1

    @property
    def none_keeps(self) -> bool:
        """Whether no candidate is to be taken since each breaks a constraint when repeated."""
        measured = any(each.confirmed and each.role == "candidate" for each in self.candidates)
        return measured and self.take is None

    @property
    def refutes_all(self) -> bool:
        """Whether that is certain, also before the confirmation has ended."""
        repeated = (each for each in self.candidates if each.role == "candidate")
        return self.none_keeps and (self.complete or all(each.is_broken for each in repeated))


def analyze(result: StudyResult) -> ConfirmationResult | None:
    """Return what a confirming job found so far; None for a job that confirms nothing."""
    plan = result.confirmation
    if plan is None:
        return None
    sign = 1.0 if plan.goal == "maximize" else -1.0
    measured = [measured_trials(result, each) for each in plan.candidates]
    values = [
        {t.seed: sign * t.objective[0] for t in trials if t.seed is not None and t.objective}
        for trials in measured
    ]
    broken = [sum(bool(trial.broken) for trial in trials) for trials in measured]
    excluded = plan.broken_elsewhere | {index for index, count in enumerate(broken) if count}
    ended = [ended_seeds(result, each) for each in plan.candidates]
    missing = [count - len(own) for count, own in zip(ended, values, strict=True)]
    barely = barely_measured(plan, values, missing, excluded)
    leader = find_leader(plan, values, excluded | barely)
    alpha = pair_alpha(plan)
    worse = [
        None
        if leader in {None, index}
        else _estimate(difference(values, leader or 0, index, alpha))
        for index in range(len(values))
    ]
    rivals = [
        each
        for index, each in enumerate(worse)
        if each and plan.candidates[index].role != "baseline" and index not in excluded
    ]
    metric = result.study.objectives[0].metric
    search_sign = sign if metric == plan.search_metric else _search_sign(plan)
    searched = [by_seed(trials, plan.search_metric, search_sign) for trials in measured]
    reports = [
        {
            t.seed: (t.objective, [each.metrics for each in t.measurements])
            for t in trials
            if t.seed is not None
        }
        for trials in measured
    ]
    deterministic = are_repetitions_equal(reports)
    least = min(ended)
    repeated = least >= MIN_SEEDS
    is_open = bool(open_candidates(plan, values, missing, excluded))
    decided = not plan.fixed and (deterministic or not is_open)
    is_done = least == len(plan.seeds) or (repeated and decided)
    has_ended = result.state in {"completed", "failed"}
    reason = result.reason or (shortage(result, plan, least) if has_ended and not is_done else "")
    candidates = tuple(
        ConfirmedCandidate(
            label=each.label,
            role=each.role,
            number=each.number,
            parameters=dict(each.parameters),
            value=each.value,
            seeds=len(values[index]),
            failed=sum(t.state == "failed" for t in result.trials if repeats(t, each)),
            broken=broken[index],
            broken_in=each.broken_in,
            is_barely_measured=index in barely,
            confirmed=_scaled(_mean(list(values[index].values()), len(values)), sign),
            worse=worse[index],
            is_constant=_is_constant(paired_differences(values, leader or 0, index)),
            search_mean=metric_mean(measured[index], plan.search_metric),
            train_mean=metric_mean(measured[index], plan.train_metric),
        )
        for index, each in enumerate(plan.candidates)
    )
    return ConfirmationResult(
        run=result.run,
        confirms=plan.run,
        searched_on=plan.provider,
        provider=result.provider,
        emulated=result.emulated,
        complete=has_ended and (is_done or repeated),
        reason=reason,
        source_hash=result.source_hash,
        metric=metric,
        goal=plan.goal,
        search_metric=plan.search_metric,
        train_metric=plan.train_metric,
        level=1 - ALPHA,
        trials=sum(len(each) for each in measured),
        is_ablation=plan.is_ablation,
        deterministic=deterministic,
        coarse=not deterministic and are_repetitions_equal(values),
        settled=bool(rivals) and all(each.low is not None and each.low > 0 for each in rivals),
        take=None if plan.is_ablation and 0 in excluded else leader,
        candidates=candidates,
        luck=_luck(candidates[0], search_sign),
        lead=_lead(plan, search_sign),
        confirmed_lead=_confirmed_lead(plan, searched, alpha),
        noise_floor=noise_floor(values),
        spread=_spread(values, leader),
        overfitted=None
        if metric == plan.search_metric
        else find_overfitting(plan, metric, searched, values),
        disagreement=None
        if leader is None or metric == plan.search_metric
        else find_disagreement(plan, leader, searched, values, excluded | barely),
        baseline=plan.baseline,
        notes=plan.notes,
        is_next_best=plan.is_next_best,
    )


def _mean(values: Sequence[float], candidates: int) -> Estimate | None:
    return _estimate(mean_interval(values, ALPHA / candidates)) if values else None


def _estimate(interval: Interval | None) -> Estimate | None:
    if interval is None:
        return None
    low, high = (bound if math.isfinite(bound) else None for bound in interval[1:])
    return Estimate(interval.mean, low, high)


def _is_constant(differences: Sequence[float]) -> bool:
    return len(differences) >= MIN_SEEDS and are_equal(differences)


def _scaled(estimate: Estimate | None, sign: float) -> Estimate | None:
    if estimate is None or sign > 0:
        return estimate
    low, high = (None if bound is None else 0.0 - bound for bound in (estimate.low, estimate.high))
    return Estimate(0.0 - estimate.mean, high, low)


def _search_sign(plan: Confirmation) -> float:
    return 1.0 if plan.search_goal == "maximize" else -1.0


def _luck(winner: ConfirmedCandidate, sign: float) -> float | None:
    if winner.value is None or winner.search_mean is None:
        return None
    if are_equal([winner.value, winner.search_mean]):
        return 0.0
    return sign * (winner.value - winner.search_mean)


def _second(plan: Confirmation) -> int | None:
    others = (i for i, each in enumerate(plan.candidates) if i and each.role == "candidate")
    return next(others, None)


def _lead(plan: Confirmation, sign: float) -> float | None:
    second = _second(plan)
    if second is None:
        return None
    first, other = plan.candidates[0].value, plan.candidates[second].value
    return None if first is None or other is None else sign * (first - other) + 0.0


def _confirmed_lead(plan: Confirmation, values: Values, alpha: float) -> Estimate | None:
    """Return the lead of the search's winner over its second, in the metric of the search."""
    second = _second(plan)
    return None if second is None else _estimate(difference(values, 0, second, alpha))


def _spread(values: Values, leader: int | None) -> float | None:
    """Return the pooled standard deviation of the differences from the leader.

    None if there are too few of them, or of one pair only, or if one pair differs by a constant.
    """
    if leader is None:
        return None
    samples = [paired_differences(values, leader, i) for i in range(len(values)) if i != leader]
    repeated = [each for each in samples if len(each) >= MIN_SEEDS]
    if len(repeated) < MIN_SEEDS or any(map(_is_constant, repeated)):
        return None
    if sum(len(each) - 1 for each in repeated) < _MIN_DEGREES:
        return None
    return pooled_deviation(repeated)
