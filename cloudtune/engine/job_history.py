"""What the events of a driven job say: a fold, which other limits fold anew."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.engine.circuit_breaker import CircuitBreaker
from cloudtune.engine.inbox import LoadProposals
from cloudtune.engine.job_limits import LimitTracker
from cloudtune.engine.proposals import Proposals
from cloudtune.engine.trial_starts import TrialStarts, will_retry
from cloudtune.results.events import (
    Ended,
    Event,
    Measured,
    Running,
    SearchEvent,
    Started,
    Waiting,
)
from cloudtune.results.run_time import RunTime
from cloudtune.results.trials import Trials
from cloudtune.search.protocol import Strategy
from cloudtune.study.study import Study


class JobHistory:
    """The trials of a job, their starts, the limits that count them, and the strategy."""

    def __init__(
        self,
        study: Study,
        strategy: Strategy,
        run: str,
        price: float | None = None,
        load_proposals: LoadProposals = tuple,
    ) -> None:
        self.trials = Trials(study, run, price)
        self.starts = TrialStarts(self.trials)
        self.tracker = LimitTracker(study)
        self.breaker = CircuitBreaker(study, self.trials)
        self.proposals = Proposals(study, load_proposals, run)
        self._strategy = strategy

    def apply(self, event: Event) -> RunTime | None:
        """Add the next event; return the times of a start that it ends, if it ends one."""
        self.trials.tell(event)
        if isinstance(event, Waiting | Running):
            return None
        if not self.starts.is_retry(event):
            for measured in self.trials.own_measurements(event):
                self._strategy.tell(measured)
            self._strategy.tell(self._with_seconds(event))
        if isinstance(event, Started):
            self.proposals.tell(event)
            self.starts.start(event)
        elif isinstance(event, Measured):
            self.starts.measure(event)
        elif self.starts.end(event) is not None:
            if event.state != "cancelled" and not will_retry(event):
                self.tracker.add(event, self.trials)
                self.breaker.add(event)
            return self.trials.last_time(event.number)
        return None

    def _with_seconds(self, event: SearchEvent) -> SearchEvent:
        """Return the end of a start with its duration, as far as it is known."""
        if not isinstance(event, Ended):
            return event
        time = self.trials.last_time(event.number)
        return replace(event, seconds=time.ran if time.is_known else None)
