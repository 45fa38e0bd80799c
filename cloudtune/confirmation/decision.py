"""Which candidates of a confirmation are still open, from their values by seed."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence

from cloudtune.confirmation.confidence_sequence import (
    Interval,
    are_equal,
    half_width,
    mean,
    mean_interval,
    pooled_deviation,
)
from cloudtune.confirmation.noise import noise_floor
from cloudtune.study.confirmation import Confirmation

ALPHA = 0.05
"""The probability that an interval of a difference is ever wrong, and that one of a mean is."""
MIN_SEEDS = 2
_REACH = 0.5
"""A difference is within reach if it is at least this share of the interval's half-width after the
last seed. More seeds for a smaller one would most likely not decide."""
_LARGEST = sys.float_info.max

Values = Sequence[Mapping[int, float]]
"""For each candidate, its values by seed, all such that higher is better."""


def difference(values: Values, left: int, right: int, alpha: float) -> Interval | None:
    """Return how much better one candidate is than another, from the seeds that both have."""
    pairs = paired_differences(values, left, right)
    return mean_interval(pairs, alpha) if pairs else None


def paired_differences(values: Values, left: int, right: int) -> list[float]:
    """Return the differences of two candidates on the seeds that both have, in order.

    Those that differ by the rounding of the values only are equal.
    """
    pairs = [(v, values[right][seed]) for seed, v in values[left].items() if seed in values[right]]
    differences = [max(-_LARGEST, min(_LARGEST, first - second)) for first, second in pairs]
    magnitude = max((abs(value) for pair in pairs for value in pair), default=0.0)
    if differences and are_equal(differences, magnitude):
        return [differences[0]] * len(differences)
    return differences


def pair_alpha(plan: Confirmation) -> float:
    """Return the alpha of one difference, so that all that may be read hold together."""
    count = len(plan.candidates)
    pairs = count - 1 if plan.is_ablation else count * (count - 1) // 2
    return ALPHA / max(1, pairs)


def find_leader(plan: Confirmation, values: Values, excluded: Collection[int] = ()) -> int | None:
    """Return the candidate that is best against each other one on their common seeds.

    None without values, and if all candidates are excluded. An ablation has the winner as its
    reference.

    Args:
        plan: What is repeated.
        values: The values by seed.
        excluded: The candidates that are not taken: those that break a constraint with at least
            one seed, and the `barely_measured`.
    """
    if plan.is_ablation:
        return 0 if values[0] else None
    eligible = _eligible(plan, values, excluded)

    def worst_margin(index: int) -> float:
        margins = [
            mean(pairs)
            for other in eligible
            if other != index and (pairs := paired_differences(values, index, other))
        ]
        return min(margins, default=-math.inf)

    return max(eligible, key=worst_margin, default=None)


def barely_measured(
    plan: Confirmation, values: Values, missing: Sequence[int], broken: Collection[int]
) -> set[int]:
    """Return the candidates that are not taken since others are measured more often.

    Some repetitions of theirs have no value, and fewer than two have one, or fewer than have none,
    or fewer than two on the seeds of another one with as many: what remains may be the lucky ones.
    There are none if this is so of all that keep the constraints.

    Args:
        plan: What is repeated.
        values: The values by seed.
        missing: For each candidate, the number of seeds with which it ended without a value.
        broken: The candidates that break a constraint with at least one seed.
    """
    eligible = _eligible(plan, values, broken)
    kept = {
        index
        for index in eligible
        if not missing[index] or len(values[index]) >= max(MIN_SEEDS, missing[index])
    }
    compared: list[int] = []
    for index in sorted(kept, key=lambda each: (-len(values[each]), not missing[each], each)):
        shared = (len(values[index].keys() & values[other].keys()) for other in compared)
        if not missing[index] or min(shared, default=MIN_SEEDS) >= MIN_SEEDS:
            compared.append(index)
    return {*eligible} - {*compared} if compared else set()


def _eligible(plan: Confirmation, values: Values, broken: Collection[int]) -> list[int]:
    """Return the candidates that can be taken."""
    return [
        index
        for index, each in enumerate(plan.candidates)
        if each.role == "candidate" and values[index] and index not in broken
    ]


def _ahead(values: Values, leader: int, others: Sequence[int]) -> set[int]:
    """Return who is better than the leader on common seeds, or than one of those, and so on.

    There are some only if each candidate is beaten by another one, on other seeds.
    """
    found, ahead = [leader], set[int]()
    while found:
        beaten = found.pop()
        new = {
            index
            for index in {*others} - ahead
            if (pairs := paired_differences(values, index, beaten)) and mean(pairs) > 0
        }
        ahead |= new
        found += new
    return ahead - {leader}


def are_repetitions_equal(reports: Sequence[Mapping[int, object]]) -> bool:
    """Return whether repetitions with other seeds are bit-equal, for every candidate.

    Args:
        reports: For each candidate, what its repetitions reported by seed: all metrics, or one.
    """
    repeated = [list(each.values()) for each in reports if len(each) >= MIN_SEEDS]
    return bool(repeated) and all(each.count(each[0]) == len(each) for each in repeated)


def open_candidates(
    plan: Confirmation, values: Values, missing: Sequence[int], broken: Collection[int]
) -> list[int]:
    """Return the candidates that another seed may decide about, with the leader; else none.

    A candidate is open if its interval against the leader contains 0, and its difference is within
    reach of the seeds that remain. The winner of the search and the baseline are open until their
    intervals decide, since they are the question, and get the seeds of the others; that of the
    baseline also decides whether the gain exceeds the noise floor. Another candidate that breaks a
    constraint is not open, since it is not taken whatever else it measures. If each candidate is
    beaten by another one on their common seeds, those of this cycle are open.

    Args:
        plan: What is repeated.
        values: The values by seed.
        missing: For each candidate, the number of seeds with which it ended without a value.
        broken: The candidates that break a constraint with at least one seed.
    """
    leader = find_leader(plan, values, {*broken} | barely_measured(plan, values, missing, broken))
    if leader is None:
        return []
    alpha = pair_alpha(plan)
    excluded = {leader, *(() if plan.is_ablation else {*broken} - {plan.baseline})}
    others = [index for index in range(len(values)) if index not in excluded and values[index]]
    differences = {index: paired_differences(values, leader, index) for index in others}
    spread = pooled_deviation(list(differences.values()))
    reach = _REACH * half_width(len(plan.seeds), spread, alpha)
    undecided: list[int] = []
    asked = {0, plan.baseline}
    floor = noise_floor(values) or 0.0
    for index, pairs in differences.items():
        interval = mean_interval(pairs, alpha) if pairs else None
        limits = (0.0, floor) if index == plan.baseline else (0.0,)
        is_open = interval and any(interval.low <= each <= interval.high for each in limits)
        if is_open and (index in asked or abs(mean(pairs)) >= reach):
            undecided.append(index)
    if not plan.is_ablation:
        undecided += _ahead(values, leader, _eligible(plan, values, broken))
    if not undecided:
        return []
    return sorted({leader, *undecided, *(index for index in others if index in asked)})
