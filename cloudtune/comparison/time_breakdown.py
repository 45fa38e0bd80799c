"""Where the time of a group's trials went, and how many ran at a time."""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.comparison.curves import start_time
from cloudtune.comparison.groups import Group
from cloudtune.results.model import Trial

PHASES = {
    "waiting": "in a queue, for a machine, or paused between rungs",
    "starting": "until the first metric",
    "training": "from the first metric to the last",
    "ending": "after the last metric",
    "not told": "trials whose metrics or times are not known",
}
"""The phases of a trial. The names are keys of the report's JSON."""


@dataclass(frozen=True)
class TimeBreakdown:
    """The time of one group's trials, in seconds over all its runs."""

    label: str
    wall: float | None
    """The sum of the jobs' durations; None if one is unknown."""
    before_first: float | None
    """The sum of the times from each job's start to its first trial."""
    trials: float
    """The sum of the trials' durations."""
    phases: dict[str, float]
    """The trials' durations by phase; see `PHASES`."""

    @property
    def parallel_trials(self) -> float | None:
        """The average number of trials that ran at the same time, apart from those that waited."""
        ran = self.trials - self.phases["waiting"]
        return ran / self.wall if self.wall and self.trials else None


def time_breakdown(group: Group) -> TimeBreakdown:
    """Return where the time of a group went."""
    phases = dict.fromkeys(PHASES, 0.0)
    for trial in group.trials:
        for phase, seconds in _phases(trial).items():
            phases[phase] += seconds
    before_first = [
        max(0.0, min(starts) - start)
        for job in group.jobs
        if (start := start_time(job)) is not None
        and (starts := [begin for t in job.trials if (begin := _begin(t)) is not None])
    ]
    durations = [run.seconds for run in group.runs]
    return TimeBreakdown(
        label=group.label,
        wall=None if None in durations else sum(filter(None, durations)),
        before_first=sum(before_first) if before_first else None,
        trials=sum(phases.values()),
        phases=phases,
    )


def _begin(trial: Trial) -> float | None:
    """Return when a trial began to wait or to run."""
    return trial.started if trial.created is None else trial.created


def _phases(trial: Trial) -> dict[str, float]:
    begin = _begin(trial)
    if begin is None or trial.ended is None:
        return {"not told": trial.seconds or 0.0}
    span = trial.ended - begin
    seconds = span if trial.seconds is None else trial.seconds
    # Earlier versions counted the time in a queue as run time. Spot machines are billed for less.
    billed = seconds if trial.waited or not trial.billed_seconds else trial.billed_seconds
    queued = max(0.0, seconds - billed)
    waiting = max(0.0, span - seconds + queued)
    times = [m.time for m in trial.measurements if m.time is not None]
    if not times:
        return {"waiting": waiting, "not told": span - waiting}
    start = (begin if trial.started is None else trial.started) + queued
    starting = min(max(0.0, min(times) - start), span - waiting)
    ending = min(max(0.0, trial.ended - max(times)), span - waiting - starting)
    training = span - waiting - starting - ending
    return {"waiting": waiting, "starting": starting, "training": training, "ending": ending}
