"""The noise floor: how far two runs of one setting are apart by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cloudtune.confirmation.confidence_sequence import are_equal, mean

_MIN_DEGREES = 2.0
"""Degrees of freedom from which there is a noise floor. With one, it would be six times as high."""


def noise_floor(values: Sequence[Mapping[int, float]]) -> float | None:
    """Return how far two runs of one setting are apart in at most 1 of 20 cases; None if unknown.

    It is Student's prediction interval, from what is left of all candidates' values without their
    means. Seeds that move all candidates together make these residuals dependent, so the degrees of
    freedom are those of Satterthwaite (1946, Biometrics Bulletin 2(6), 110-114): between the seeds
    without one, and that many for each candidate.
    """
    repeated = [each for each in values if len(each) > 1]
    residuals = [_residuals(each) for each in repeated]
    scale = max((abs(r) for each in residuals for r in each.values()), default=0.0)
    if not scale or not math.isfinite(scale):
        return None
    scaled = [{seed: r / scale for seed, r in each.items()} for each in residuals]
    squares = sum(r * r for each in scaled for r in each.values())
    variance = squares / sum(len(each) - 1 for each in scaled)
    uncertainty = 0.0
    for first in scaled:
        for second in scaled:
            common = [first[seed] * second[seed] for seed in first if seed in second]
            if len(common) > 1:
                uncertainty += math.fsum(common) ** 2 / (len(common) - 1)
    degrees = squares**2 / uncertainty
    if degrees < _MIN_DEGREES:
        return None
    floor = scale * student_quantile(degrees) * math.sqrt(2 * variance)
    return floor if math.isfinite(floor) else None


def student_quantile(degrees: float) -> float:
    """Return the 97.5 % quantile of Student's t distribution, to 4 % from two degrees of freedom.

    By the expansion of Fisher and Cornish (1960, Technometrics 2(2), 209-225).
    """
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))


def _residuals(values: Mapping[int, float]) -> dict[int, float]:
    """Return the values without their mean; zeros if they differ by rounding only."""
    if are_equal(list(values.values())):
        return dict.fromkeys(values, 0.0)
    center = mean(list(values.values()))
    return {seed: value - center for seed, value in values.items()}
