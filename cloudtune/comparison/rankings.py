"""Who was best, first and cheapest, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated, Literal

from pydantic import Field

from cloudtune.comparison.best_so_far import best_so_far, eligible_trials
from cloudtune.comparison.groups import Group
from cloudtune.comparison.intervals import difference_interval, mean_interval
from cloudtune.results.model import Trial

NEAR_BEST_SHARE = 0.01
"""How near to the best, as a share of the way from the median trial to it, is near enough."""

Question = Literal["best", "first", "cheapest"]
Certainty = Literal["settled", "not settled", "nothing to compare"]


@dataclass(frozen=True)
class RankedGroup:
    """How one group stands in a ranking."""

    label: str
    values: tuple[float | None, ...]
    """One a run; None where it is not known, or was not reached."""
    mean: float | None
    """None if a value is missing."""
    low: float | None = None
    """The ends of the 95 % interval of the mean; None for a single run."""
    high: float | None = None


@dataclass(frozen=True)
class Ranking:
    """The answer to one question."""

    question: Question
    unit: str
    entries: Annotated[tuple[RankedGroup, ...], Field(serialization_alias="standings")]
    """The first comes first; those without a mean come last."""
    leaders: tuple[str, ...]
    """Several where they are equal; none if nobody has a mean."""
    certainty: Certainty
    reason: Annotated[str, Field(serialization_alias="why")]
    method: str


def rank_groups(
    question: Question,
    unit: str,
    groups: Sequence[Group],
    values: Sequence[Sequence[float | None]],
    *,
    goal: str = "minimize",
    margin: float = 0.0,
) -> Ranking:
    """Return how groups stand.

    Args:
        question: What is asked.
        unit: In what the values are.
        groups: The groups.
        values: For each group one value a run.
        goal: Whether more or less is better.
        margin: How far apart means may be that count as equal.
    """
    sign = -1 if goal == "maximize" else 1
    entries = [_entry(group, each) for group, each in zip(groups, values, strict=True)]
    known = [s.mean for s in entries if s.mean is not None]
    top = min(known, key=lambda mean: sign * mean, default=None)
    leaders = tuple(
        s.label
        for s in entries
        if s.mean is not None and top is not None and abs(s.mean - top) <= margin
    )
    certainty, why, method = _certainty(groups, entries, leaders)
    entries.sort(key=lambda s: (s.mean is None, sign * (s.mean or 0.0)))
    return Ranking(question, unit, tuple(entries), leaders, certainty, why, method)


def _entry(group: Group, values: Sequence[float | None]) -> RankedGroup:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return RankedGroup(group.label, tuple(values), None)
    interval = mean_interval(known) if group.independent else None
    ends = (interval.low, interval.high) if interval else (None, None)
    return RankedGroup(group.label, tuple(values), fmean(known), *ends)


def _certainty(
    groups: Sequence[Group], entries: Sequence[RankedGroup], leaders: Sequence[str]
) -> tuple[Certainty, str, str]:
    if len(groups) < 2:
        return "nothing to compare", "there is one group of runs", ""
    if not leaders:
        return "not settled", "no group has a value of each run", ""
    missing = [s.label for s in entries if s.mean is None]
    if missing:
        return "not settled", f"a value is missing of {_and(missing)}", ""
    few = [group.label for group in groups if len(group.jobs) < 2]
    if few:
        one = "each was run once" if len(few) == len(groups) else f"{_and(few)} was run once"
        return "not settled", f"{one}, and another run may come out otherwise", ""
    copies = [group.label for group in groups if not group.independent]
    if copies:
        return (
            "not settled",
            f"runs of {_and(copies)} had the same seed, so they repeat nothing",
            "",
        )
    if len(leaders) > 1:
        return "not settled", f"{_and(leaders)} are equal, or differ by next to nothing", ""
    count = len(groups) * (len(groups) - 1) // 2
    method = "Welch's t intervals of differences of means over runs, 95 % for all pairs together"
    lead = next(s for s in entries if s.label == leaders[0])
    for other in entries:
        if other is lead:
            continue
        interval = difference_interval(_known(lead), _known(other), count)
        if interval is None:
            return "not settled", "repeated runs agree exactly, so chance cannot be judged", method
        if interval.low <= 0 <= interval.high:
            why = (
                f"the difference from {other.label} lies between {interval.low:.4g} and "
                f"{interval.high:.4g}, so it may be chance"
            )
            return "not settled", why, method
    return "settled", "no difference from the others is likely to be chance", method


def rank_by_best(groups: Sequence[Group], metric: str, goal: str) -> Ranking:
    """Return who found the best value of the only objective.

    Who is within 1 % of the way from the median trial to the best counts as equal: services round
    what they read from a log.
    """
    better: Callable[[Sequence[float]], float] = max if goal == "maximize" else min
    values = [
        [better(found) if (found := _objectives(job.trials)) else None for job in group.jobs]
        for group in groups
    ]
    found = [v for group in groups for job in group.jobs for v in _objectives(job.trials)]
    margin = NEAR_BEST_SHARE * abs(better(found) - median(found)) if found else 0.0
    return rank_groups("best", metric, groups, values, goal=goal, margin=margin)


def near_best_threshold(groups: Sequence[Group], goal: str) -> float | None:
    """Return the value from which a trial is within 1 % of the way from the median to the best.

    The median and the best are those of all trials of all groups that count.
    """
    found = [v for group in groups for job in group.jobs for v in _objectives(job.trials)]
    if not found:
        return None
    best = max(found) if goal == "maximize" else min(found)
    return best + NEAR_BEST_SHARE * (median(found) - best)


def rank_by_time(groups: Sequence[Group], goal: str) -> Ranking:
    """Return who was the first to come near enough to the best, in seconds since its start."""
    limit = near_best_threshold(groups, goal)
    values = [[_arrival(group, n, goal, limit) for n in range(len(group.jobs))] for group in groups]
    return rank_groups("first", "s", groups, values)


def _arrival(group: Group, job: int, goal: str, limit: float | None) -> float | None:
    if limit is None:
        return None
    for point in best_so_far(group.jobs[job], 0, goal):
        if point.value >= limit if goal == "maximize" else point.value <= limit:
            return point.seconds
    return None


def rank_by_cost(groups: Sequence[Group]) -> Ranking:
    """Return who cost least; a run counts where the cost of each of its trials is known."""
    currencies = {t.cost.currency for group in groups for t in group.trials if t.cost}
    one = next(iter(currencies)) if len(currencies) == 1 else ""
    values: list[list[float | None]] = []
    for group in groups:
        costs = [[trial.cost for trial in job.trials] for job in group.jobs]
        values.append(
            [
                sum(cost.amount for cost in each if cost) if one and each and all(each) else None
                for each in costs
            ]
        )
    return rank_groups("cheapest", one, groups, values)


def _objectives(trials: Sequence[Trial]) -> list[float]:
    return [trial.objective[0] for trial in eligible_trials(trials) if trial.objective]


def _known(entry: RankedGroup) -> list[float]:
    return [value for value in entry.values if value is not None]


def _and(words: Sequence[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"
