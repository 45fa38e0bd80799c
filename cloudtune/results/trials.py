"""The trials of one job, built from its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudtune.results.events import MEASURED_STATES, UNKNOWN_TIME, Ended, Event, Measured, Started
from cloudtune.results.model import Measurement, Trial
from cloudtune.results.objective import (
    complete_objective,
    constrained_metrics,
    select_metric,
    select_value,
)
from cloudtune.results.run_time import RunTime
from cloudtune.study.own_metrics import own_metrics
from cloudtune.study.schema import MetricSelect, Objective
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.study.constraints import Constraint


class Trials:
    """The trials of one job so far.

    Each event takes constant time, no matter how many came before it.
    """

    def __init__(self, study: Study, run: str, price: float | None = None) -> None:
        """Create the trials of a run; ``price`` is that of a second, if it is known."""
        self._own = own_metrics(study)
        self._price = price
        self._objectives = study.objectives
        self._select = study.trial.select
        self._study = study
        self._constraints: Sequence[Constraint] = ()
        if study.constraints:
            from cloudtune.study.constraints import outcome_constraints

            self._constraints = outcome_constraints(study)
        self._run = run
        self._builders: dict[int, _TrialBuilder] = {}

    def tell(self, event: Event) -> None:
        """Add the next event."""
        if isinstance(event, Started):
            self._start(event)
            return
        builder = self._builders[event.number]
        builder.trial = None
        if isinstance(event, Measured):
            builder.measure(event, self._objectives, self._select)
            return
        builder.time.tell(event)
        if isinstance(event, Ended):
            builder.end(event)
            own = builder.own_values(self._own, self._price)
            builder.metrics |= own
            for index, objective in enumerate(self._objectives):
                builder.values[index] = own.get(objective.metric, builder.values[index])

    def __len__(self) -> int:
        """Return the number of trials that were started."""
        return len(self._builders)

    def get(self, number: int) -> Trial:
        """Return one trial with its metrics and objective so far."""
        builder = self._builders[number]
        if builder.trial is None:
            builder.trial = builder.build()
            if self._constraints and builder.trial.state in MEASURED_STATES:
                builder.trial = replace(builder.trial, broken=self.broken(number))
        return builder.trial

    def last_start(self, number: int) -> Started:
        """Return the last start of one trial."""
        return self._builders[number].started

    def last_time(self, number: int) -> RunTime:
        """Return how long the last start of one trial waited and ran."""
        return self._builders[number].time

    def objective(self, number: int) -> tuple[float, ...] | None:
        """Return the objective of one trial so far."""
        return complete_objective(self._builders[number].values)

    def own_measurements(self, event: Event) -> Sequence[Measured]:
        """Return what cloudtune measured of a trial that has ended, and the study uses."""
        builder = self._builders[event.number]
        values = builder.own_values(self._own, self._price) if isinstance(event, Ended) else {}
        step = builder.measurements[-1].step if builder.measurements else 1
        return [Measured(event.number, event.time, step, values)] if values else ()

    def broken(self, number: int) -> tuple[str, ...] | None:
        """Return the constraints on metrics that a trial breaks so far; None without any."""
        if not self._constraints:
            return None
        from cloudtune.study.constraints import outcome_margins

        builder = self._builders[number]
        metrics = constrained_metrics(self._study, builder.metrics, builder.values)
        margins = outcome_margins(self._constraints, builder.started.parameters, metrics)
        pairs = zip(self._constraints, margins, strict=True)
        return tuple(constraint.text for constraint, margin in pairs if margin > 0)

    def all(self) -> tuple[Trial, ...]:
        """Return all trials so far, by number."""
        return tuple(map(self.get, self._builders))

    def _start(self, event: Started) -> None:
        builder = self._builders.get(event.number)
        if builder is None:
            values: list[float | None] = [None] * len(self._objectives)
            id_ = f"{self._run}-{event.number}"
            builder = _TrialBuilder(event, event, id_, values, RunTime.begin(event))
            self._builders[event.number] = builder
        else:
            builder.earlier.append(builder.time)
            builder.time = RunTime.begin(event)
        builder.trial = None
        builder.started = event
        builder.ended = None


@dataclass(slots=True)
class _TrialBuilder:
    first: Started
    started: Started
    default_id: str
    values: list[float | None]
    time: RunTime
    """Of the last start."""
    trial: Trial | None = None
    """The trial as it was last built; None after a new event."""
    ended: Ended | None = None
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    earlier: list[RunTime] = field(default_factory=list[RunTime])
    """The times of earlier starts."""
    exit_code: int | None = None
    log: str | None = None
    artifacts: str | None = None
    billed: float | None = None
    billed_at_least: float = 0.0
    is_bounded: bool = False
    """Whether the billed time of a start is only known to be between two bounds."""
    machine: str | None = None

    def measure(
        self,
        event: Measured,
        objectives: Sequence[Objective],
        select: Mapping[str, MetricSelect],
    ) -> None:
        time = None if event.time == UNKNOWN_TIME else event.time
        self.measurements.append(Measurement(event.step, event.metrics, time))
        for name, value in event.metrics.items():
            self.metrics[name] = select_metric(select.get(name), self.metrics.get(name), value)
        for index, objective in enumerate(objectives):
            if objective.metric in event.metrics:
                value = event.metrics[objective.metric]
                self.values[index] = select_value(objective, self.values[index], value)

    def end(self, event: Ended) -> None:
        self.ended = event
        self.exit_code = self.exit_code if event.exit_code is None else event.exit_code
        self.log = event.log or self.log
        self.artifacts = event.artifacts or self.artifacts
        if event.billed_seconds is not None:
            self.billed = (self.billed or 0.0) + event.billed_seconds
            least = event.billed_at_least
            self.is_bounded = self.is_bounded or least is not None
            self.billed_at_least += event.billed_seconds if least is None else least
        self.machine = event.machine or self.machine

    def own_values(self, names: Sequence[str], price: float | None) -> dict[str, float]:
        """Return the values of cloudtune's own metrics, unless the script reported them."""
        starts = [*self.earlier, self.time]
        if not names or not all(each.is_known for each in starts):
            return {}
        seconds = sum(each.ran for each in starts)
        values = {"seconds": seconds}
        if price is not None:
            values["cost"] = price * (seconds if self.billed is None else self.billed)
        reported = {name for each in self.measurements for name in each.metrics}
        return {name: values[name] for name in names if name in values.keys() - reported}

    def build(self) -> Trial:
        first, last, ended = self.first, self.started, self.ended
        created = None if first.time == UNKNOWN_TIME else first.time
        starts = [*self.earlier, self.time]
        ended_starts = [each for each in starts if each.since is None and each.is_known]
        waited = sum(each.waited for each in starts)
        has_end_time = ended is not None and ended.time != UNKNOWN_TIME
        return Trial(
            id=last.id or self.default_id,
            number=first.number,
            state=ended.state if ended else "waiting" if self.time.is_waiting else "running",
            parameters=last.parameters,
            metrics=dict(self.metrics),
            objective=complete_objective(self.values),
            measurements=tuple(self.measurements),
            word=ended.word if ended else None,
            created=created,
            started=self._first_ran(created),
            ended=max(ended.time, first.time) if ended and has_end_time else None,
            seconds=sum(each.ran for each in ended_starts) if ended_starts else None,
            waited=waited or None,
            billed_seconds=self.billed,
            billed_at_least=self.billed_at_least if self.is_bounded else None,
            machine=self.machine,
            reason=ended.reason if ended else self.time.wait_reason,
            log_tail=ended.log_tail if ended else "",
            exit_code=self.exit_code,
            replaces=first.replaces,
            resource=last.resource,
            retries=last.memory_retries or None,
            seed=last.seed,
            proposal=last.proposal,
            why=last.why,
            log=self.log,
            artifacts=self.artifacts,
        )

    def _first_ran(self, created: float | None) -> float | None:
        """Return when the trial first ran; None if it never did, or if that is not known."""
        starts = [*self.earlier, self.time]
        first = next((t.first_ran for t in starts if t.first_ran is not None), None)
        if first is not None:
            return None if first == UNKNOWN_TIME else first
        never_ran = all(each.waited or each.is_waiting for each in starts)
        return None if never_ran else created
