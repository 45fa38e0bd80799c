"""The failed trials of each group, by cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.groups import Group
from cloudtune.results.aggregate import failures_by_cause


@dataclass(frozen=True)
class Failure:
    """Failed trials of one group with one cause."""

    label: str
    provider: str
    reason: str
    """The reason of the first trial. The others differ only in words with a digit."""
    trials: int
    run: str
    """The run of the first trial."""
    number: int
    """The number of the first trial."""
    log_tail: str
    """The last lines of its log."""


def find_failures(groups: Sequence[Group]) -> tuple[Failure, ...]:
    """Return the failures of each group, the most frequent cause first."""
    return tuple(
        Failure(
            label=group.label,
            provider=group.provider,
            reason=cause.reason,
            trials=cause.count,
            run=cause.run,
            number=cause.first.number,
            log_tail=cause.first.log_tail,
        )
        for group in groups
        for cause in failures_by_cause(group.jobs)
    )
