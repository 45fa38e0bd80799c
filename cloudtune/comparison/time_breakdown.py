"""Where the time of a group's trials went, and how busy it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cloudtune.comparison.best_so_far import job_duration, start_time
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial

PHASES = {
    "waiting": "in a queue, for a machine, or paused between rungs",
    "starting": "up to the first metric",
    "training": "from the first metric to the last",
    "ending": "after the last metric",
    "not told": "trials whose metrics or times are not known",
}


@dataclass(frozen=True)
class TimeBreakdown:
    """The time of one group's trials, in seconds over all its runs."""

    label: str
    wall: float | None
    """From the start of each job to its end, added up; None if one is not known."""
    before_first: float | None
    """From the start of each job to its first trial, added up."""
    trials: float
    """From the start of each trial to its end, added up."""
    phases: dict[str, float]
    """The same by what was done; the names are those of `PHASES`."""

    @property
    def at_a_time(self) -> float | None:
        """How many trials were running at a time, on average."""
        return self.trials / self.wall if self.wall else None


def time_breakdown(group: Group) -> TimeBreakdown:
    """Return where the time of a group went."""
    phases = dict.fromkeys(PHASES, 0.0)
    for trial in group.trials:
        for phase, seconds in _phases(trial).items():
            phases[phase] += seconds
    first = [
        max(0.0, min(starts) - begin)
        for job in group.jobs
        if (begin := start_time(job)) is not None
        and (starts := [t.started for t in job.trials if t.started is not None])
    ]
    return TimeBreakdown(
        label=group.label,
        wall=_sum(job_duration(job) for job in group.jobs),
        before_first=sum(first) if first else None,
        trials=sum(phases.values()),
        phases=phases,
    )


def _phases(trial: Trial) -> dict[str, float]:
    if trial.started is None or trial.ended is None:
        return {}
    span = trial.ended - trial.started
    ran = trial.seconds if trial.billed_seconds is None else trial.billed_seconds
    waiting = 0.0 if ran is None else max(0.0, span - ran)
    times = [m.time for m in trial.measurements if m.time is not None]
    if not times:
        return {"waiting": waiting, "not told": span - waiting}
    begin = trial.started + waiting
    starting = min(max(0.0, min(times) - begin), span - waiting)
    ending = min(max(0.0, trial.ended - max(times)), span - waiting - starting)
    training = span - waiting - starting - ending
    return {"waiting": waiting, "starting": starting, "training": training, "ending": ending}


def _sum(values: Iterable[float | None]) -> float | None:
    whole = 0.0
    for value in values:
        if value is None:
            return None
        whole += value
    return whole
