"""The driver of one driven job: events in, starts and stops out.

The driver asks the strategy for trials, has the runner run them, writes each event to the ledger
before it acts on it, and enforces the limits. One thread at a time processes its inbox: the one
that runs the job, which waits for messages until the next deadline, or one that brings a message.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from cloudtune.common.debug_log import get_logger
from cloudtune.engine.budget import JobBudget
from cloudtune.engine.event_batcher import EventBatcher
from cloudtune.engine.inbox import Inbox, LoadProposals, NewLimits, NewProposals
from cloudtune.engine.job_history import JobHistory
from cloudtune.engine.job_limits import TIMEOUT_REASON
from cloudtune.engine.time_limits import TRIAL_TIMEOUT, TimeLimits
from cloudtune.engine.trial_starts import will_retry
from cloudtune.provider.models import Lost
from cloudtune.provider.protocols import TrialRunner
from cloudtune.results.event_checks import event_problem, valid_end
from cloudtune.results.events import (
    Ended,
    Event,
    HostFailure,
    Measured,
    Outcome,
    Running,
    Started,
    Stopped,
    TrialState,
    Waiting,
)
from cloudtune.search.protocol import Strategy
from cloudtune.study.quantities import format_count
from cloudtune.study.study import Study

_log = get_logger(__name__)

_MAX_BATCH = 1_000
"""The most messages that one step processes."""


class Driver:
    """Runs one driven job from its recorded events to its end."""

    def __init__(
        self,
        study: Study,
        strategy: Strategy,
        *,
        run: str,
        inbox: Inbox,
        record: Callable[[Sequence[Event]], None],
        observe: Callable[[Sequence[Event]], None] = lambda _: None,
        notify: Callable[[str], None] = lambda _: None,
        budget: JobBudget = JobBudget(),  # noqa: B008 - immutable
        price: float | None = None,
        load_proposals: LoadProposals = tuple,
    ) -> None:
        """Create a driver.

        Args:
            study: The study to run; its limits are those of this job.
            strategy: Chooses the trials.
            run: The run's ID, for the IDs of trials.
            inbox: Events of the runner, and stop requests. A thread that puts messages there with
                ``inline`` acts for the driver, so all other arguments may be called from it.
            record: Writes events to the ledger; called before anything else sees them.
            observe: Called afterward with several events at a time, to show them.
            notify: Called with messages for the user.
            price: The price of a second of a trial, if it is known.
            load_proposals: Returns the trials that were proposed from outside.
            budget: Receives each new event, and knows when the money is spent.
        """
        self._study, self._limits = study, study.limits
        self._strategy = strategy
        self._inbox = inbox
        self._record = record
        self._batcher = EventBatcher(observe)
        self._notify = notify
        self._budget = budget
        self._history = JobHistory(study, strategy, run, price, load_proposals)
        self._proposals = self._history.proposals
        self._trials, self._starts = self._history.trials, self._history.starts
        self._tracker, self._breaker = self._history.tracker, self._history.breaker
        self._deadlines: dict[int, float] = {}
        """When each running trial has used up its time, by the clock of `TimeLimits`."""
        self._stop_reasons: dict[int, tuple[TrialState, str]] = {}
        self._unwritten_events: list[Event] = []
        self._last_time = 0.0
        self.new_limits: NewLimits | None = None
        """Why another driver must continue the job, if it has not ended."""
        self._outcome: Outcome | None = None
        """How the job will end, once that is decided."""
        self._times = TimeLimits(study.limits)
        self._exhausted = False
        """Whether the strategy had no trial to suggest, and nothing happened since."""

    def replay(self, events: Sequence[Event]) -> None:
        """Apply the events that earlier processes recorded, in order."""
        for event in events:
            self._apply(event)

    def run(
        self, runner: TrialRunner, *, spent: float = 0.0, before: Driver | None = None
    ) -> Outcome:
        """Run the job to its end, or until it has `new_limits`: another driver then continues.

        ``spent`` seconds of the timeout were used before, also by the driver ``before`` this one.
        """
        if before is None:
            self._recover_trials(runner)
            self._outcome = self._reached_limit()
        else:
            self._take_over(before, runner)
        self._times.start(spent)
        self._proposals.begin(self._starts.suggestions, self._times.now, self._notify)
        try:
            return self._inbox.run_until_result(
                lambda: self._step(runner),
                due=self._next_due,
                between_steps=self._batcher.flush_if_due,
            )
        finally:
            self._times.close()
            self._write_events()
            self._batcher.flush()

    def _take_over(self, before: Driver, runner: TrialRunner) -> None:
        """Continue with the running trials of another driver, whose events were replayed."""
        self._stop_reasons = before._stop_reasons
        for number in before._deadlines:
            ran = self._trials.last_time(number).ran_until(time.time())
            due = self._deadline_of(number, runner, ran)
            self._deadlines[number] = math.inf if number in self._stop_reasons else due
        if outcome := self._reached_limit():
            self._stop_all(runner, outcome)

    def _step(self, runner: TrialRunner) -> Outcome | None:
        """Do what is due now, in any thread; return the outcome if the job has ended.

        A step starts at most one trial, so that the calling thread is free to watch it.
        """
        for _ in range(_MAX_BATCH):
            if self._times.now() >= self._next_deadline():
                self._enforce_deadlines(runner)
            if self._can_start() and self._start_next(runner):
                return None
            is_awaiting = self._outcome is None and self._proposals.is_awaited
            if not (self._deadlines or self._is_stop_pending or is_awaiting):
                return self._finish()
            message = self._inbox.pop()
            if message is None:
                break
            if isinstance(message, Measured):
                self._handle_measurement(message, runner)
            elif isinstance(message, Ended):
                self._handle_end(message, runner)
            elif isinstance(message, Waiting | Running):
                self._handle_machine(message, runner)
            elif isinstance(message, Lost):
                return self._lose_runner(message)
            elif isinstance(message, NewProposals):
                self._exhausted = not self._proposals.refresh() and self._exhausted
            elif isinstance(message, NewLimits):
                if self._outcome is None:
                    self.new_limits = message
                    return Outcome("running", "")
            else:
                if message.state == "cancelled" and not message.now and self._deadlines:
                    self._notify("stopping running trials; interrupt again to end them at once")
                self._stop_all(runner, Outcome(message.state, message.reason), now=message.now)
        self._write_events()
        return None

    def _next_due(self) -> float:
        """Return when the next step is due without a message."""
        if self._can_start():
            return -math.inf
        return min(self._times.to_monotonic(self._next_deadline()), self._batcher.due)

    def _next_deadline(self) -> float:
        limit = min(self._times.job_deadline, self._proposals.deadline)
        return min([math.inf if self._outcome else limit, *self._deadlines.values()])

    def _finish(self) -> Outcome:
        outcome = self._outcome or Outcome("completed", "")
        if outcome.state == "completed":
            for trial in self._trials.all():
                if trial.state == "pending":
                    self._end_trials([trial.number], *self._starts.abandon(trial.number))
        return outcome

    def _lose_runner(self, lost: Lost) -> Outcome:
        """Return the outcome of the job; trials that may still run are left to `resume`."""
        if lost.recoverable:
            return Outcome("unknown", lost.reason)
        self._end_trials(self._deadlines, "cancelled", "the run failed")
        return Outcome("failed", lost.reason)

    def _end_trials(self, numbers: Iterable[int], state: TrialState, reason: str) -> None:
        self._add_events(*(Ended(number, time.time(), state, reason) for number in numbers))

    def _recover_trials(self, runner: TrialRunner) -> None:
        """Follow the trials that an earlier process left running, or end them, to be repeated."""
        trials = [t for t in self._trials.all() if t.state in {"running", "waiting"}]
        if not trials:
            return
        recovered = runner.recover([self._starts.interrupted(trial.number) for trial in trials])
        _log.debug("recovered %d of %d running trials", len(recovered.running), len(trials))
        invalid: dict[int, str] = {}
        for event in recovered.measured:
            if problem := event_problem(event):
                invalid.setdefault(event.number, problem)
            elif event.number not in invalid:
                self._add_measurement(event)
        for trial in trials:
            number, failure = trial.number, invalid.get(trial.number)
            if number not in recovered.running:
                state: TrialState = "failed" if failure else "cancelled"
                ended = Ended(number, self._last_time, state, failure or "cloudtune was killed")
                self._add_events(ended)
                continue
            self._deadlines[number] = self._deadline_of(number, runner)
            if failure:
                self._stop_trial(number, "failed", failure, runner)

    def _can_start(self) -> bool:
        has_slot = len(self._deadlines) < (self._limits.parallel_trials or 1)
        may_start = has_slot and not self._exhausted and self._outcome is None
        waits = self._is_stop_pending or (self._deadlines and self._breaker.is_open)
        return may_start and not waits

    @property
    def _is_stop_pending(self) -> bool:
        """Whether a request to stop is in the inbox, so that no trial must start before it."""
        return self._outcome is None and self._inbox.stop_requested

    def _start_next(self, runner: TrialRunner) -> bool:
        """Start the next trial; return whether there was one."""
        started = self._next_start()
        self._exhausted = started is None
        if started is None:
            return False
        if self._breaker.is_open:
            self._outcome = self._breaker.outcome
            return False
        if name := runner.job_name(started.number, self._starts.count(started.number) + 1):
            started = replace(started, id=name)
        self._add_events(started)
        self._deadlines[started.number] = math.inf
        self._write_events()
        _log.debug("start trial %d: %s", started.number, started.parameters)
        runner.start(started)
        self._deadlines[started.number] = self._deadline_of(started.number, runner)
        return True

    def _deadline_of(self, number: int, runner: TrialRunner, ran: float = 0.0) -> float:
        """Return when a trial that has run for some seconds has used up its time."""
        deadline = self._times.start_trial(number, ran)
        waits = self._trials.last_time(number).is_waiting
        return math.inf if waits or runner.enforces_trial_timeout else deadline

    def _handle_machine(self, event: Waiting | Running, runner: TrialRunner) -> None:
        """Record whether a trial waits or runs: its time limit counts only while it runs."""
        number = event.number
        if number not in self._deadlines or self._fails_by(event, runner):
            return
        self._add_events(event)
        if number not in self._stop_reasons:
            ran = self._trials.last_time(number).ran + max(0.0, time.time() - event.time)
            self._deadlines[number] = self._deadline_of(number, runner, ran)

    def _next_start(self) -> Started | None:
        limit = self._limits.max_trials
        is_full = limit is not None and self._starts.counted >= limit
        started = self._starts.next(self._strategy, self._proposals, is_full=is_full)
        if started == "done" and not self._deadlines:
            self._outcome = Outcome("completed", "")
        return started if isinstance(started, Started) else None

    def _add_events(self, *events: Event) -> None:
        """Apply events; they are written before the next start, stop or wait."""
        self._unwritten_events += events
        for event in events:
            self._apply(event)
        self._budget.add(*events)

    def _write_events(self) -> None:
        if not self._unwritten_events:
            return
        events, self._unwritten_events = self._unwritten_events, []
        self._record(events)
        self._batcher.add(events)

    def _apply(self, event: Event) -> None:
        ended = self._history.apply(event)
        if ended is not None:
            self._times.add_seconds(event.number, ended.ran)
        if not isinstance(event, Waiting | Running):
            self._exhausted = False
            self._last_time = max(self._last_time, event.time)

    def _fails_by(self, event: Event, runner: TrialRunner) -> bool:
        """Return whether an event is invalid, which fails its trial."""
        if problem := event_problem(event):
            self._stop_reasons.pop(event.number, None)
            self._stop_trial(event.number, "failed", problem, runner)
        return bool(problem)

    def _handle_measurement(self, event: Measured, runner: TrialRunner) -> None:
        if event.number not in self._deadlines or self._fails_by(event, runner):
            return
        self._add_measurement(event)
        if event.number in self._stop_reasons:
            return
        if reason := self._strategy.stop_reason(event.number):
            self._stop_trial(event.number, "stopped_early", reason, runner)

    def _add_measurement(self, event: Measured) -> None:
        self._add_events(*self._starts.carryover(event.number, event.step), event)

    def _handle_end(self, event: Ended, runner: TrialRunner) -> None:
        if self._deadlines.pop(event.number, None) is None:
            return
        if isinstance(event, HostFailure) and event.number not in self._stop_reasons:
            self._outcome = self._outcome or Outcome("failed", self._host_failure(event))
        event = self._final_event(event)
        _log.debug("trial %d ended: %s %s", event.number, event.state, event.reason)
        if event.lost and event.state == "cancelled":
            self._notify(f"trial {event.number} was lost and is repeated: {event.reason}")
        elif will_retry(event) and not event.lost:
            self._notify(f"trial {event.number} {event.reason}")
        self._add_events(event)
        if self._outcome is None and (outcome := self._reached_limit()):
            self._stop_all(runner, outcome)

    def _final_event(self, event: Ended) -> Ended:
        """Return the end of a trial, given how its process ended."""
        event = valid_end(event)
        state, reason = self._stop_reasons.pop(event.number, (event.state, ""))
        applies = isinstance(event, Stopped | HostFailure) or event.lost or state == "failed"
        if reason == TRIAL_TIMEOUT:
            applies = not self._times.is_in_time(event)
        event, is_host_failure = Ended(**vars(event)), isinstance(event, HostFailure)
        if reason and applies:
            return replace(event, state=state, reason=reason, lost=False)
        if is_host_failure:
            return replace(event, state="cancelled")
        if event.lost:
            return self._starts.limit_losses(event)
        if event.state != "completed":
            return self._starts.retry(event, self._study)
        self._add_events(*self._starts.carryover(event.number))
        return self._starts.complete(event, self._study)

    def _host_failure(self, event: HostFailure) -> str:
        """Return why the job fails; running trials continue to their ends."""
        reason = f"trial {event.number} {event.reason}"
        if self._deadlines:
            count = format_count(len(self._deadlines), "running trial")
            self._notify(f"{reason}; no more trials start; waiting for {count}")
        return f"{reason}; `cloudtune resume` tries it again"

    def _reached_limit(self) -> Outcome | None:
        reason = self._budget.stop_reason
        return self._tracker.outcome() or (Outcome("completed", reason) if reason else None)

    def _enforce_deadlines(self, runner: TrialRunner) -> None:
        now = self._times.now()
        if now >= self._times.job_deadline and self._outcome is None:
            self._stop_all(runner, Outcome("completed", TIMEOUT_REASON))
            return
        if now >= self._proposals.deadline:
            self._proposals.pass_turn()
            self._exhausted = False
        for number, due in self._deadlines.items():
            if now >= due:
                self._deadlines[number] = math.inf
                self._stop_trial(number, "failed", TRIAL_TIMEOUT, runner)

    def _stop_trial(self, number: int, state: TrialState, reason: str, runner: TrialRunner) -> None:
        self._stop_reasons.setdefault(number, (state, reason))
        self._write_events()
        _log.debug("stop trial %d: %s", number, reason)
        runner.stop(number)

    def _stop_all(self, runner: TrialRunner, outcome: Outcome, *, now: bool = False) -> None:
        self._outcome = self._outcome or outcome
        _log.debug("stop all trials: %s %s", outcome.state, outcome.reason)
        self._write_events()
        for number in self._deadlines:
            self._deadlines[number] = math.inf
            self._stop_reasons.setdefault(number, ("cancelled", self._outcome.reason))
            runner.stop(number, now=now)
