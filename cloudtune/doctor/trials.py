"""The trials that the doctor runs: the corners of the space, one of them stopped half-way."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from cloudtune.doctor.points import point, varied_point
from cloudtune.doctor.probe import Probe, Start
from cloudtune.study.search_space import Space, Value
from cloudtune.study.study import Study

GRACE = 10.0
"""Seconds that the doctor lets a script take to stop. Services wait longer, from 30 s on."""
_MIN_SPREAD = 0.2
"""Seconds between the first and the last measurement of a script that reports while it trains."""
_MAX_SUSPECTS = 3
"""Parameters that seem to be ignored and are varied one by one."""
_MAX_VARIED = 8
"""Other parameters that are varied one by one, as long as that takes the seconds of one start."""


@dataclass
class Trials:
    """The starts of the script."""

    first: Start
    """At one corner of the space."""
    second: Start | None = None
    """At the opposite corner; None if the first one failed."""
    stopped: Start | None = None
    """The start that was asked to stop while it ran, if any."""
    resumed: Start | None = None
    """The start after `stopped` that continues its trial, if the study has such starts."""
    more: list[Start] = field(default_factory=list[Start])
    """Starts at further points, only where the corners have the same metrics."""
    ignored: list[str] = field(default_factory=list[str])
    """The parameters without any effect, of those in question."""
    without_effect: list[str] = field(default_factory=list[str])
    """The other parameters that change no measurement when they are varied at either corner."""

    @property
    def starts(self) -> list[Start]:
        """All starts that ran to their end, or as long as they may."""
        complete = [self.first, self.second, *self.more]
        return [each for each in complete if each is not None]

    @property
    def moves(self) -> bool:
        """Whether any two starts measured different values."""
        return len({_series(each) for each in self.starts}) > 1


def run_trials(probe: Probe, study: Study, seconds: float, suspects: list[str]) -> Trials:
    """Run the script a few times.

    Args:
        probe: Starts the script.
        study: The study.
        seconds: How long each start may run.
        suspects: The parameters that the script does not seem to read.

    Raises:
        ProbeError: If the script cannot be started at all.
    """
    space, grace = Space.from_study(study), min(GRACE, max(seconds, 1.0))
    resource, next_resource = _resources(study)
    low, high = point(space, 0.0), point(space, 1.0)

    def start(
        number: int,
        parameters: Mapping[str, Value],
        stop_when: Callable[[Start], bool] = lambda _: False,
    ) -> Start:
        return probe.run(
            number, parameters, seconds, grace=grace, stop_when=stop_when, resource=resource
        )

    trials = Trials(start(1, low))
    first = trials.first
    if first.out_of_time:
        trials.stopped = first
        if first.ended is not None:
            trials.second = start(2, high)
        return trials
    if first.failed:
        trials.second = start(2, high)
        return trials
    second = start(2, high, _stop_point(first))
    numbers = itertools.count(3)
    if second.stopped is None or second.out_of_time:
        trials.second = second
    else:
        trials.stopped = second
        if second.ended is not None and _continues(probe, study):
            after = max((each.step for each in second.measured), default=0)
            trials.resumed = probe.run(
                2, high, seconds, grace=grace, resource=next_resource, after_step=after
            )
        trials.second = start(next(numbers), high)
    if trials.second.failed:
        return trials
    if not trials.moves and low != high:
        trials.more.append(start(next(numbers), point(space, 0.5)))
    doubtful = [n for n in suspects if n in low and n in high and low[n] != high[n]]
    if not trials.moves:
        trials.ignored += doubtful
    else:
        for name in doubtful[:_MAX_SUSPECTS]:
            varied = {**low, name: high[name]}
            if not space.allows(varied):
                continue
            changed = start(next(numbers), varied)
            if not changed.failed and _series(changed) == _series(first):
                trials.ignored.append(name)
        corners = ((first, 0.0, 1.0), (trials.second, 1.0, 0.0))
        due = time.monotonic() + seconds - first.seconds
        for name in _varied_names(low, high, doubtful):
            for corner, fraction, other in corners:
                if time.monotonic() > due:
                    return trials
                varied = varied_point(space, name, fraction, other)
                if not space.allows(varied):
                    break
                changed = start(next(numbers), varied)
                is_cut = changed.failed or changed.out_of_time
                if is_cut or _series(changed) != _series(corner):
                    break
            else:
                trials.without_effect.append(name)
    return trials


def _varied_names(
    low: Mapping[str, Value], high: Mapping[str, Value], others: Collection[str]
) -> list[str]:
    """Return the parameters to vary one by one: with a single one, the corners differ in it."""
    names = [name for name in low if name in high and low[name] != high[name]]
    return [name for name in names if name not in others][:_MAX_VARIED] if len(names) > 1 else []


def _stop_point(first: Start) -> Callable[[Start], bool]:
    """Return when to stop a start like an earlier one, so that it is in the middle of its work."""
    if reports_early(first):
        middle = max(1, len(first.arrivals) // 2)  # the first state is saved after the first report
        return lambda start: len(start.measured) >= middle
    return lambda start: start.seconds > 0.6 * first.seconds


def reports_early(start: Start) -> bool:
    """Return whether a start reports while it trains, and not only at its end."""
    arrivals = start.arrivals
    return bool(arrivals) and arrivals[-1] - arrivals[0] > _MIN_SPREAD


def _resources(study: Study) -> tuple[int | None, int | None]:
    """Return the amounts of hyperband's resource on the first two rungs; None without one."""
    strategy = study.strategy
    if strategy.name != "hyperband" or strategy.resource is None or strategy.max is None:
        return None, None
    low = strategy.min or 1
    return low, min(low * int(strategy.eta or 3), strategy.max)


def _continues(probe: Probe, study: Study) -> bool:
    """Return whether a real run starts trials again that are to continue from a checkpoint."""
    return _resources(study)[0] is not None or bool(getattr(probe.plan.settings, "spot", False))


def _series(start: Start) -> tuple[object, ...]:
    return tuple(tuple(sorted(each.metrics.items())) for each in start.measured)
