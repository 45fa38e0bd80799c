"""The driver: events in, starts and stops out.

It asks the strategy for trials, lets the runner run them, writes each event to the ledger before it
acts on it, and keeps the limits. One thread at a time deals with what is in its inbox: the one that
runs the job, which else waits for news until the next deadline, or one that brings them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cloudtune.engine.budget import JobBudget
from cloudtune.engine.event_batcher import EventBatcher
from cloudtune.engine.inbox import Inbox
from cloudtune.provider.models import Interrupted, Lost
from cloudtune.provider.protocols import TrialRunner
from cloudtune.results.events import Ended, Event, Measured, Standing, Started, TrialState
from cloudtune.results.model import Trial
from cloudtune.results.objective import reaches_target, why_unmeasured
from cloudtune.results.trials import Trials, seconds_between
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Limits
from cloudtune.study.study import Study

_BATCH = 1_000
"""News that are dealt with in one step at most."""
_TIMEOUT = "the study's timeout was reached"
_TRIAL_TIMEOUT = "its trial_timeout was reached"
_IN_A_ROW = 25
"""Failures in a row that end a job in which nothing else counts them."""


@dataclass(frozen=True)
class Outcome:
    """How a driven job ended."""

    state: Standing
    reason: str
    """Why, in words; empty when it simply came to its end."""


class Driver:
    """Runs one driven job from where its events leave off to its end."""

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
    ) -> None:
        """Prepare a job.

        Args:
            study: What is run; its limits are those of this job.
            strategy: Chooses the trials.
            run: The run's id, for the trials' ids.
            inbox: What the runner emits into, and stop requests. Threads that put something there
                while idle act for the driver: everything given here may be called from them.
            record: Writes events to the ledger; called before anything else sees them.
            observe: Is told of events after that, several at a time, to show them.
            notify: Is told what is worth a line.
            budget: Is told each new event, and tells when the money is spent.
        """
        self._study = study
        self._limits: Limits = study.limits
        self._strategy = strategy
        self._inbox = inbox
        self._record = record
        self._batcher = EventBatcher(observe)
        self._notify = notify
        self._budget = budget
        self._trials = Trials(study, run)
        self._top_resource = study.strategy.max if study.strategy.resource else None
        self._running: dict[int, float] = {}
        self._why: dict[int, tuple[TrialState, str]] = {}
        self._again: list[Started] = []
        self._unwritten: list[Event] = []
        self._last_time = 0.0
        self._starts: dict[int, Started] = {}
        """The last start of each trial that runs."""
        self._start_counts: dict[int, int] = {}
        self._measured_before: dict[int, int] = {}
        """How many measurements the earlier starts of each running trial made."""
        self._used: dict[int, float] = {}
        self._draws = 0
        self._last_number = 0
        self._counted = 0
        self._failed = 0
        self._failed_in_a_row = 0
        self._since_best = 0
        self._best: float | None = None
        self._winner: int | None = None
        self._outcome: Outcome | None = None
        """How the job is to end, once that is known."""
        self._end = math.inf
        """When the study's timeout is reached."""
        self._dry = False
        """Whether the strategy had no trial when it was asked last, and nothing happened since."""

    def replay(self, events: Sequence[Event]) -> None:
        """Take note of what happened before this process, in order."""
        for event in events:
            self._note(event)

    def run(self, runner: TrialRunner, *, spent: float = 0.0) -> Outcome:
        """Run the job to its end and return how it ended.

        Args:
            runner: Runs the trials.
            spent: Seconds of the study's timeout that earlier processes used.
        """
        self._close_interrupted(runner)
        self._outcome = self._reached()
        if self._limits.timeout:
            self._end = time.monotonic() + self._limits.timeout - spent
        try:
            return self._inbox.run_until_result(
                lambda: self._step(runner), due=self._due, between_steps=self._batcher.flush_if_due
            )
        finally:
            self._write()
            self._batcher.flush()

    def _step(self, runner: TrialRunner) -> Outcome | None:
        """Do what is to be done now, in any thread; return how the job ended, if so.

        At most one trial is started, so that the thread which is to watch it can go and do so.
        """
        for _ in range(_BATCH):
            if time.monotonic() >= self._deadline():
                self._pass_deadlines(runner)
            if self._may_start() and self._start(runner):
                return None
            if not self._running:
                return self._finish()
            event = self._inbox.pop()
            if event is None:
                break
            if isinstance(event, Measured):
                self._take_measurement(event, runner)
            elif isinstance(event, Ended):
                self._take_end(event, runner)
            elif isinstance(event, Lost):
                return self._give_up(event)
            else:
                if event.state == "cancelled" and not event.now:
                    self._notify("running trials were asked to end; once more ends them at once")
                self._end_all(runner, Outcome(event.state, event.reason), now=event.now)
        self._write()
        return None

    def _due(self) -> float:
        """Return when a step is to be taken though there are no news."""
        return -math.inf if self._may_start() else min(self._deadline(), self._batcher.due)

    def _deadline(self) -> float:
        return min([self._end if self._outcome is None else math.inf, *self._running.values()])

    def _finish(self) -> Outcome:
        outcome = self._outcome or Outcome("completed", "")
        if outcome.state == "completed":
            waiting = [t.number for t in self._trials.all() if t.state == "pending"]
            self._emit(*(Ended(n, time.time(), "stopped_early", "not promoted") for n in waiting))
        return outcome

    def _give_up(self, lost: Lost) -> Outcome:
        """End the job; leave trials that may go on to a later process, which finds them again."""
        if lost.go_on:
            return Outcome("unknown", lost.reason)
        self._emit(*(Ended(n, time.time(), "cancelled", lost.reason) for n in self._running))
        return Outcome("failed", lost.reason)

    def _close_interrupted(self, runner: TrialRunner) -> None:
        """Follow or end the trials that an earlier process left running.

        The parameters of those that are ended are asked again.
        """
        left = [trial for trial in self._trials.all() if trial.state == "running"]
        if not left:
            return
        found = runner.recover([self._interrupted(trial) for trial in left])
        self._emit(*found.measured)
        for trial in left:
            if trial.number in found.running:
                self._running[trial.number] = self._due_of(trial.number, runner)
            else:
                seen = self._last_time
                self._emit(Ended(trial.number, seen, "cancelled", "cloudtune was killed"))

    def _interrupted(self, trial: Trial) -> Interrupted:
        before = self._measured_before[trial.number]
        return Interrupted(self._starts[trial.number], len(trial.measurements) - before, before)

    def _may_start(self) -> bool:
        room = len(self._running) < (self._limits.parallel_trials or 1)
        return room and not self._dry and self._outcome is None

    def _start(self, runner: TrialRunner) -> bool:
        """Start the next trial, and tell whether there was one."""
        started = self._next()
        self._dry = started is None
        if started is None:
            return False
        start = self._start_counts.get(started.number, 0) + 1
        if name := runner.job_name(started.number, start):
            started = replace(started, id=name)
        self._emit(started)
        self._running[started.number] = math.inf
        self._write()
        runner.start(started)
        self._running[started.number] = self._due_of(started.number, runner)
        return True

    def _due_of(self, number: int, runner: TrialRunner) -> float:
        """Return when a trial that is started now has used up its time."""
        limit = self._limits.trial_timeout
        if limit is None or runner.enforces_trial_timeout:
            return math.inf
        return time.monotonic() + limit - self._used.get(number, 0.0)

    def _next(self) -> Started | None:
        if self._again:
            lost = self._again[0]
            again = replace(lost, number=self._last_number + 1, replaces=lost.number)
            return replace(again, time=time.time(), after_step=0, id=None)
        suggestion = self._strategy.ask(self._draws)
        if not isinstance(suggestion, Suggestion):
            if suggestion == "done" and not self._running:
                self._outcome = Outcome("completed", "")
            return None
        if suggestion.resumes is None:
            most = self._limits.max_trials
            if most is not None and self._counted >= most:
                if not self._running:
                    self._outcome = Outcome("completed", "")
                return None
        number = suggestion.resumes or self._last_number + 1
        return Started(
            number=number,
            time=time.time(),
            parameters=suggestion.parameters,
            resource=suggestion.resource,
            after_step=self._last_step(number) if suggestion.resumes else 0,
            memory=suggestion.memory,
        )

    def _last_step(self, number: int) -> int:
        return max((m.step for m in self._trials.get(number).measurements), default=0)

    def _emit(self, *events: Event) -> None:
        """Take note of events; they are written before a trial is started or stopped, or a wait."""
        self._unwritten += events
        for event in events:
            self._note(event)
        self._budget.tell(*events)

    def _write(self) -> None:
        if not self._unwritten:
            return
        events, self._unwritten = self._unwritten, []
        self._record(events)
        self._batcher.add(events)

    def _note(self, event: Event) -> None:
        fresh = isinstance(event, Started) and event.number > self._last_number
        self._trials.tell(event)
        self._strategy.tell(event)
        self._dry = False
        self._last_time = max(self._last_time, event.time)
        if isinstance(event, Started):
            if fresh:
                self._last_number = event.number
                self._counted += 1
                if event.replaces is None:
                    self._draws += 1
                else:
                    self._again = [s for s in self._again if s.number != event.replaces]
            self._starts[event.number] = event
            self._start_counts[event.number] = self._start_counts.get(event.number, 0) + 1
            before = 0 if fresh else len(self._trials.get(event.number).measurements)
            self._measured_before[event.number] = before
        elif isinstance(event, Ended):
            self._note_end(event)

    def _note_end(self, event: Ended) -> None:
        start = self._starts.pop(event.number, None)
        if start is None:
            return
        took = seconds_between(start.time, event)
        self._used[event.number] = self._used.get(event.number, 0.0) + took
        if event.state == "cancelled":
            self._counted -= 1
            self._again.append(start)
        elif event.state == "failed":
            self._failed += 1
            self._failed_in_a_row += 1
            self._since_best += 1
        else:
            self._failed_in_a_row = 0
            objective = self._trials.objective(event.number)
            if objective is not None and len(objective) == 1:
                self._note_objective(objective[0], event.state)
            won = event.state == "completed" and reaches_target(self._study, objective)
            if won and self._winner is None:
                self._winner = event.number

    def _note_objective(self, value: float, state: TrialState) -> None:
        value *= 1 if self._study.objectives[0].goal == "minimize" else -1
        if self._best is None or value < self._best:
            self._best = value
            self._since_best = 0
        elif state != "pending":
            self._since_best += 1

    def _take_measurement(self, event: Measured, runner: TrialRunner) -> None:
        if event.number not in self._running:
            return
        self._emit(event)
        if event.number not in self._why and (reason := self._strategy.stop_reason(event.number)):
            self._stop(event.number, "stopped_early", reason, runner)

    def _take_end(self, event: Ended, runner: TrialRunner) -> None:
        if self._running.pop(event.number, None) is None:
            return
        self._emit(self._judged(event))
        if self._outcome is None and (outcome := self._reached()):
            self._end_all(runner, outcome)

    def _judged(self, event: Ended) -> Ended:
        """Say what the end of a process means for its trial."""
        state, reason = self._why.pop(event.number, (event.state, ""))
        if reason and not (reason == _TRIAL_TIMEOUT and self._ended_in_time(event)):
            return replace(event, state=state, reason=reason)
        if event.state != "completed":
            return event
        if self._trials.objective(event.number) is None:
            measured = self._trials.get(event.number).measurements
            why = why_unmeasured(self._study, measured, event.reason)
            return replace(event, state="failed", reason=why)
        start = self._starts[event.number]
        if start.resource is not None and start.resource < (self._top_resource or 0):
            return replace(event, state="pending", reason="waits for more of its resource")
        return replace(event, reason="") if event.reason else event

    def _ended_in_time(self, event: Ended) -> bool:
        """Tell whether a trial was over within its time, and only told of later."""
        took = math.inf if event.seconds is None else event.seconds
        return self._used.get(event.number, 0.0) + took < (self._limits.trial_timeout or math.inf)

    def _reached(self) -> Outcome | None:
        """Return the outcome if a limit is reached that ends the whole job."""
        limits = self._limits
        if limits.max_failed_trials is not None and self._failed > limits.max_failed_trials:
            failed, tolerated = format_count(self._failed, "trial"), limits.max_failed_trials
            return Outcome("failed", f"{failed} failed, and {tolerated} are tolerated")
        counting = (limits.max_trials, limits.max_failed_trials, limits.patience)
        if counting == (None, None, None) and self._failed_in_a_row >= _IN_A_ROW:
            return Outcome("failed", f"{_IN_A_ROW} trials in a row failed")
        if self._winner is not None:
            return Outcome("completed", f"trial {self._winner} reached the target")
        if limits.patience is not None and self._since_best >= limits.patience:
            return Outcome(
                "completed", f"no better objective in {format_count(limits.patience, 'trial')}"
            )
        if self._budget.stop_reason:
            return Outcome("completed", self._budget.stop_reason)
        return None

    def _pass_deadlines(self, runner: TrialRunner) -> None:
        now = time.monotonic()
        if now >= self._end and self._outcome is None:
            self._end_all(runner, Outcome("completed", _TIMEOUT))
            return
        for number, due in self._running.items():
            if now >= due:
                self._running[number] = math.inf
                self._stop(number, "failed", _TRIAL_TIMEOUT, runner)

    def _stop(self, number: int, state: TrialState, reason: str, runner: TrialRunner) -> None:
        self._why.setdefault(number, (state, reason))
        self._write()
        runner.stop(number)

    def _end_all(self, runner: TrialRunner, outcome: Outcome, *, now: bool = False) -> None:
        self._outcome = self._outcome or outcome
        self._write()
        for number in self._running:
            self._running[number] = math.inf
            self._why.setdefault(number, ("cancelled", self._outcome.reason))
            runner.stop(number, now=now)
