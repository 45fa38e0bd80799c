"""Rankings of groups by objective, time, and cost, and how certain they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated, Literal

from pydantic import Field

from cloudtune.comparison.curves import best_so_far, counted_trials
from cloudtune.comparison.groups import Group
from cloudtune.comparison.intervals import difference_interval, mean_interval
from cloudtune.results.model import StudyResult

NEAR_BEST_SHARE = 0.01
"""Near the best is within this share of the way from the median trial to the best trial."""

Question = Literal["best", "first", "cheapest"]
Certainty = Literal["settled", "not settled", "nothing to compare"]

_METHOD = "Welch's t intervals of differences of means over runs, 95 % for all pairs together"


@dataclass(frozen=True)
class RankedGroup:
    """One group in a ranking."""

    label: str
    values: tuple[float | None, ...]
    """One for each run; None if it is unknown or was not reached."""
    mean: float | None
    """None if a value is missing."""
    low: float | None = None
    """The lower end of the 95 % interval of the mean; None for a single run."""
    high: float | None = None


@dataclass(frozen=True)
class Ranking:
    """The answer to one question."""

    question: Question
    unit: str
    entries: Annotated[tuple[RankedGroup, ...], Field(serialization_alias="standings")]
    """The best first; groups without a mean last."""
    leaders: tuple[str, ...]
    """The groups that share the lead; empty if no group has a mean."""
    certainty: Certainty
    reason: Annotated[str, Field(serialization_alias="why")]
    """Why the ranking is that certain."""
    method: str
    """The statistical method, if one was used."""


def rank_groups(
    question: Question,
    unit: str,
    groups: Sequence[Group],
    values: Sequence[Sequence[float | None]],
    *,
    goal: str = "minimize",
    margin: float = 0.0,
    outranked: Collection[str] = (),
) -> Ranking:
    """Return the ranking of groups by the means of their values, one for each run of each group.

    Means that differ by at most the margin count as equal. Outranked groups come after the others.
    """
    sign = -1 if goal == "maximize" else 1
    entries = [_entry(group, each) for group, each in zip(groups, values, strict=True)]
    leading = [e for e in entries if e.mean is not None and e.label not in outranked]
    top = min((e.mean for e in leading if e.mean is not None), key=lambda m: sign * m, default=None)
    leaders = tuple(
        entry.label
        for entry in leading
        if entry.mean is not None and top is not None and abs(entry.mean - top) <= margin
    )
    compared = [entry for entry in entries if entry.label not in outranked]
    certainty, reason, method = _certainty(groups, compared, leaders)
    entries.sort(key=lambda e: (e.mean is None, e.label in outranked, sign * (e.mean or 0.0)))
    return Ranking(question, unit, tuple(entries), leaders, certainty, reason, method)


def _entry(group: Group, values: Sequence[float | None]) -> RankedGroup:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return RankedGroup(group.label, tuple(values), None)
    ends = (mean_interval(known) if group.independent else None) or (None, None)
    return RankedGroup(group.label, tuple(values), fmean(known), *ends)


def _certainty(
    groups: Sequence[Group], entries: Sequence[RankedGroup], leaders: Sequence[str]
) -> tuple[Certainty, str, str]:
    """Return how certain a ranking is, why, and by which method."""
    if len(groups) < 2:
        return "nothing to compare", "there is only one group of runs", ""
    if not leaders:
        return "not settled", "no group has a value for every run", ""
    missing = [entry.label for entry in entries if entry.mean is None]
    if missing:
        return "not settled", f"values are missing for {join_words(missing)}", ""
    single = [group.label for group in groups if len(group.jobs) < 2]
    if single:
        once = (
            "each group ran once"
            if len(single) == len(groups)
            else f"{join_words(single)} ran once"
        )
        return "not settled", f"{once}, and another run may give a different result", ""
    copies = [group.label for group in groups if not group.independent]
    if copies:
        reason = f"runs of {join_words(copies)} used the same seed, so they are not independent"
        return "not settled", reason, ""
    if len(leaders) > 1:
        return "not settled", f"{join_words(leaders)} are equal or almost equal", ""
    pairs = len(groups) * (len(groups) - 1) // 2
    leader = next(entry for entry in entries if entry.label == leaders[0])
    for other in entries:
        if other is leader:
            continue
        interval = difference_interval(_known(leader), _known(other), pairs)
        if interval is None:
            reason = "repeated runs have identical values, so chance cannot be estimated"
            return "not settled", reason, _METHOD
        if interval.low <= 0 <= interval.high:
            reason = (
                f"the difference from {other.label} is between {interval.low:.4g} and "
                f"{interval.high:.4g}, so it may be chance"
            )
            return "not settled", reason, _METHOD
    return "settled", "the differences from the other groups are unlikely to be chance", _METHOD


def rank_by_best(groups: Sequence[Group], metric: str, goal: str) -> Ranking:
    """Return the ranking by the best value of the only objective.

    Groups within 1 % of the way from the median trial to the best trial count as equal, because
    services round the values that they read from a log.
    """
    better: Callable[[Sequence[float]], float] = max if goal == "maximize" else min
    by_job = [[_objectives(job) for job in group.jobs] for group in groups]
    bests = [[better(values) if values else None for values in jobs] for jobs in by_job]
    near, best = near_best_threshold(groups, goal), _best_value(groups, goal)
    margin = 0.0 if near is None or best is None else abs(best - near)
    outranked = _outranked(groups)
    return rank_groups("best", metric, groups, bests, goal=goal, margin=margin, outranked=outranked)


def _outranked(groups: Sequence[Group]) -> set[str]:
    """Return the groups whose best trial is not the one to take, as another group has that one.

    This is by a confirmation of a run with jobs in both groups, whatever these have measured.
    """
    decided = {
        job.run
        for group in groups
        for job in group.jobs
        if job.decision and not job.is_outranked and job.best
    }
    outranked = {
        group.label
        for group in groups
        if any(job.is_outranked and job.run in decided for job in group.jobs)
    }
    return outranked if len(outranked) < len(groups) else set()


def near_best_threshold(groups: Sequence[Group], goal: str) -> float | None:
    """Return the value that is 99 % of the way from the median trial to the best trial.

    Median and best are those of the trials of all groups that count. None if there are none.
    """
    pooled = [v for group in groups for job in group.jobs for v in _objectives(job)]
    best = _best_value(groups, goal)
    return None if best is None else best + NEAR_BEST_SHARE * (median(pooled) - best)


def _best_value(groups: Sequence[Group], goal: str) -> float | None:
    outranked = _outranked(groups)
    leading = (group for group in groups if group.label not in outranked)
    values = [value for group in leading for job in group.jobs for value in _objectives(job)]
    return (max if goal == "maximize" else min)(values, default=None)


def rank_by_time(groups: Sequence[Group], goal: str) -> Ranking:
    """Return the ranking by the seconds that a job took to come near the best value."""
    threshold = near_best_threshold(groups, goal)
    values = [[_seconds_to(threshold, job, goal) for job in group.jobs] for group in groups]
    return rank_groups("first", "s", groups, values)


def _seconds_to(threshold: float | None, job: StudyResult, goal: str) -> float | None:
    if threshold is None:
        return None
    for point in best_so_far(job, 0, goal, counted_trials(job)):
        if point.value >= threshold if goal == "maximize" else point.value <= threshold:
            return point.seconds
    return None


def rank_by_cost(groups: Sequence[Group]) -> Ranking:
    """Return the ranking by cost. A run counts if the cost of each of its trials is known."""
    currencies = {run.currency for group in groups for run in group.runs if run.currency}
    currency = currencies.pop() if len(currencies) == 1 else ""
    values = [[run.cost if currency else None for run in group.runs] for group in groups]
    return rank_groups("cheapest", currency, groups, values)


def _objectives(job: StudyResult) -> list[float]:
    return [trial.objective[0] for trial in counted_trials(job) if trial.objective]


def _known(entry: RankedGroup) -> list[float]:
    return [value for value in entry.values if value is not None]


def join_words(words: Sequence[str]) -> str:
    """Return words as an enumeration in a sentence."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
