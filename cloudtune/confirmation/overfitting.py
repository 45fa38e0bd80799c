"""Whether a search has overfitted: its winner gains in the metric of the search only."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cloudtune.confirmation.confidence_sequence import mean, pooled_deviation
from cloudtune.confirmation.decision import Values, paired_differences
from cloudtune.study.confirmation import Confirmation

_CLEAR = 4.0
"""Standard errors from which a gain is clear."""
_MIN_DEGREES = 4
"""Degrees of freedom from which a standard error is known well enough."""
_LOST = 0.5
"""The share of a gain that other data must not show for a warning, if both are on one scale."""
_SPLITS = {"val", "valid", "validation", "dev", "eval", "test", "testing", "holdout", "heldout"}


@dataclass(frozen=True)
class Overfitting:
    """A gain of the search's winner that data do not show which the search never saw."""

    over: str
    """The label of the candidate that the winner is compared with."""
    search_gain: float
    """How much better the winner is by the metric of the search, when both are repeated."""
    gain: float
    """The same by the metric that decides."""


def find_overfitting(
    plan: Confirmation, metric: str, search_values: Values, values: Values
) -> Overfitting | None:
    """Return the largest gain of the winner that the deciding metric does not show.

    Both metrics have an offset of their own, so the winner's gains over other candidates are
    compared, on the same seeds. A gain in the search's metric must be clear. On different scales,
    the other metric must clearly show a loss; on one scale, less than half of the gain.

    Args:
        plan: What is repeated.
        metric: The metric that decides.
        search_values: For each candidate, its values of the search's metric by seed, all such that
            higher is better.
        values: The same of the metric that decides.
    """
    share = _LOST if _is_one_scale(plan, metric) else 0.0
    others = range(1, len(plan.candidates))
    gains = {index: paired_differences(search_values, 0, index) for index in others}
    real = {index: paired_differences(values, 0, index) for index in others}
    compared = [i for i in others if gains[i] and len(gains[i]) == len(real[i])]
    lost = {
        i: [share * gain - other for gain, other in zip(gains[i], real[i], strict=True)]
        for i in compared
    }
    degrees = sum(len(gains[index]) - 1 for index in compared)
    if degrees < _MIN_DEGREES:
        return None
    noise = pooled_deviation([gains[index] for index in compared])
    noise_of_lost = pooled_deviation(list(lost.values()))
    if not noise_of_lost:  # the same with every seed, so nothing says what is chance
        return None
    found = [
        Overfitting(plan.candidates[index].label, mean(gains[index]), mean(real[index]))
        for index in compared
        if _is_clear(gains[index], noise) and _is_clear(lost[index], noise_of_lost)
    ]
    return max(found, key=lambda each: each.search_gain - each.gain, default=None)


def find_disagreement(
    plan: Confirmation, leader: int, search_values: Values, values: Values, broken: Collection[int]
) -> str | None:
    """Return the candidate that the search's metric clearly prefers to the one that is taken.

    The deciding metric must clearly prefer the other way round: two noisy metrics often have
    different candidates as their best by chance.

    Args:
        plan: What is repeated.
        leader: The candidate to take.
        search_values: As for `find_overfitting`.
        values: The same.
        broken: The candidates that are not taken.
    """
    others = [
        index
        for index, each in enumerate(plan.candidates)
        if each.role == "candidate" and index != leader and index not in broken
    ]
    promised = {index: paired_differences(search_values, index, leader) for index in others}
    real = {index: paired_differences(values, leader, index) for index in others}
    compared = [index for index in others if promised[index] and real[index]]
    if sum(len(promised[index]) - 1 for index in compared) < _MIN_DEGREES:
        return None
    noise = pooled_deviation([promised[index] for index in compared])
    real_noise = pooled_deviation([real[index] for index in compared])
    clear = {
        mean(promised[index]): index
        for index in compared
        if _is_clear(promised[index], noise) and _is_clear(real[index], real_noise)
    }
    return plan.candidates[clear[max(clear)]].label if clear else None


def _is_clear(values: Sequence[float], noise: float) -> bool:
    return mean(values) > _CLEAR * noise / math.sqrt(len(values))


def _is_one_scale(plan: Confirmation, metric: str) -> bool:
    return plan.search_goal == plan.goal and is_same_measure(plan.search_metric, metric)


def is_same_measure(metric: str, other: str) -> bool:
    """Return whether two metrics are the same measure on different data, by their names."""
    return _measure(metric) == _measure(other)


def _measure(metric: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", metric.lower().replace("held_out", "heldout"))
    return [word for word in words if word not in _SPLITS]
