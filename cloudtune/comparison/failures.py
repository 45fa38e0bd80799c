"""The trials that failed, by cause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial

_COUNTED = re.compile(r"\S*\d\S*")
"""A word with a digit: a number, or a path or the name of a job that holds one."""


@dataclass(frozen=True)
class Failure:
    """Trials of one group that failed of one cause."""

    label: str
    provider: str
    reason: str
    """As the first of them says it; the others may differ in words with a digit."""
    trials: int
    run: str
    """The run of the first of them."""
    number: int
    log_tail: str
    """The last lines that it printed."""


def failures(groups: Sequence[Group]) -> tuple[Failure, ...]:
    """Return the failures of each group, the most frequent cause first."""
    found: list[Failure] = []
    for group in groups:
        causes: dict[str, list[tuple[str, Trial]]] = {}
        for job in group.jobs:
            for trial in job.trials:
                if trial.state == "failed":
                    causes.setdefault(_cause(trial), []).append((job.run, trial))
        for same in sorted(causes.values(), key=len, reverse=True):
            run, first = same[0]
            reason = _reason(first) or "no reason was given"
            at = group.label, group.provider
            found.append(Failure(*at, reason, len(same), run, first.number, first.log_tail))
    return tuple(found)


def _cause(trial: Trial) -> str:
    """Return what trials that failed alike have in common: the reason but for its numbers."""
    return _COUNTED.sub("#", _reason(trial))


def _reason(trial: Trial) -> str:
    """Return why a trial failed, with its last words where the reason does not hold them."""
    last = next(
        (line.strip() for line in reversed(trial.log_tail.splitlines()) if line.strip()), ""
    )
    return trial.reason if last in trial.reason else f"{trial.reason}: {last}".lstrip(": ")
