"""Managed jobs: submit once, then turn the states that the service returns into events.

A service that is unreachable for a while does not end the job, which continues there and costs
money. It is polled again, at growing intervals, until it answers or the user gives up. One that has
not answered yet has no job, and ends the run after some time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

from cloudtune.common.debug_log import get_logger, log_calls
from cloudtune.engine.backoff import (
    FIRST_CONTACT_SECONDS,
    add_jitter,
    first_contact_failure,
    next_backoff,
    without_repeats,
)
from cloudtune.engine.budget import JobBudget
from cloudtune.engine.circuit_breaker import CircuitBreaker
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.engine.job_limits import TIMEOUT_REASON, LimitTracker
from cloudtune.engine.managed_events import new_events
from cloudtune.errors import EmulatorEndedError, ProviderError
from cloudtune.provider.models import JobRef, JobStatus
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import JobClient
from cloudtune.provider.secrets import Mask
from cloudtune.results.event_checks import event_problem
from cloudtune.results.events import (
    FINAL_JOB_STATES,
    Ended,
    Event,
    JobState,
    Measured,
    Outcome,
    Started,
    Waiting,
)
from cloudtune.results.failure import explained_end, without_traceback
from cloudtune.results.trials import Trials

_log = get_logger(__name__)


class ManagedJob:
    """Follows one managed job from its recorded events to its end."""

    def __init__(
        self,
        plan: Plan,
        *,
        inbox: Inbox,
        record: Callable[[Sequence[Event]], None],
        observe: Callable[[Sequence[Event]], None] = lambda _: None,
        notify: Callable[[str], None] = lambda _: None,
        may_exist: bool = False,
        budget: JobBudget = JobBudget(),  # noqa: B008 - immutable
        enforced: Set[str] = frozenset(),
    ) -> None:
        """Create a job; nothing is sent yet. The arguments are those of the `Driver`.

        An earlier process may have submitted the job if ``may_exist``. The service does not enforce
        the limits named in ``enforced``.
        """
        self._plan = plan
        self._may_exist = may_exist
        self._inbox = inbox
        self._record = record
        self._observe = observe
        self._notify = notify
        self._notify_error = without_repeats(notify)
        self._notify_remark = without_repeats(notify)
        self._mask = Mask(plan.study)
        self._trials = Trials(plan.study, plan.facts.run_id, plan.price_per_second)
        self._budget = budget
        self._tracker = LimitTracker(plan.fitted.study, enforced)
        self._breaker = CircuitBreaker(plan.fitted.study, self._trials, managed=True)
        self._timeout = plan.fitted.study.limits.timeout if "timeout" in enforced else None
        self._timeout_at = math.inf
        """When the study's timeout is reached, in epoch seconds."""
        self._is_attached = plan.facts.attached is not None
        """Whether the job was started elsewhere: only its owner's limits apply."""
        self._leaves = False
        """Whether the user stops following the job, which continues."""
        self._limit_outcome: Outcome | None = None
        """The outcome of a job that a limit ends."""
        self._stop_request: StopRequest | None = None
        """A request to end the job that the service has not received yet."""
        self._detach_requested = False
        """Whether the user wants to leave even if the service is unreachable."""
        self._sent_request: StopRequest | None = None
        """The first stop request that the service received."""
        self._error: ProviderError | None = None
        """Why the last call failed."""
        self._wait = 0.0

    def replay(self, events: Sequence[Event]) -> None:
        """Apply the events that earlier processes recorded, in order."""
        for event in events:
            self._apply(event)

    def run(self, client: JobClient, job: str | None, record_id: Callable[[str], None]) -> Outcome:
        """Submit the job if necessary, follow it to its end, and return its outcome.

        Args:
            client: Reaches the service.
            job: The service's ID of the job, if known.
            record_id: Writes the service's ID of the job to the ledger.

        Raises:
            ProviderError: If the service rejects the job.
        """
        client = log_calls(client, self._plan.provider, _log)
        ref = JobRef(self._plan.provider, job) if job else self._submit(client)
        if isinstance(ref, Outcome):
            return ref
        if job is None:
            record_id(ref.id)
        try:
            return self._follow(client, ref)
        except EmulatorEndedError as error:
            return self._end(JobStatus("failed", "", str(error)))
        except ProviderError as error:
            self._error = error
            return self._unknown_outcome(f"the job {ref.id} may still run there")

    def fail(self, reason: str) -> Outcome:
        """End the trials that were running, and return the outcome of a job that is lost."""
        return self._end(JobStatus("failed", "", reason))

    def _follow(self, client: JobClient, ref: JobRef) -> Outcome:
        last_poll: float | None = None
        while not self._should_detach() and not self._leaves:
            self._error = None
            if self._stop_request:
                with self._catch_retryable():
                    client.stop(ref)
                    self._sent_request = self._sent_request or self._stop_request
                    self._stop_request = None
            with self._catch_retryable():
                status = client.status(ref)
                events = new_events(
                    self._plan.provider,
                    self._trials,
                    self._plan.fitted,
                    status.trials,
                    last_poll=last_poll,
                    on_invalid=self._notify_error if self._is_attached else None,
                )
                last_poll = time.time()
                self._add_events([self._masked(event) for event in self._valid(events)])
                self._notify_remark(status.remark)
                if status.state in FINAL_JOB_STATES:
                    return self._end(status)
                if self._timeout and self._timeout_at == math.inf:
                    self._timeout_at = (status.created or time.time()) + self._timeout
            if not self._stops_at_limit():
                self._wait_for_request(client.poll_seconds)
        if self._leaves:
            return Outcome("running", f"the job {ref.id} continues, and is not followed any more")
        return self._unknown_outcome(f"the job {ref.id} may still run there")

    def _stops_at_limit(self) -> bool:
        """Request the end of the job at the first limit that it reaches; return whether it did."""
        if self._limit_outcome or self._is_attached:
            return False
        outcome = self._tracker.outcome() or self._breaker.managed_outcome()
        if time.time() >= self._timeout_at:
            outcome = outcome or Outcome("completed", TIMEOUT_REASON)
        if outcome is None:
            return False
        self._limit_outcome = outcome
        if self._stop_request is None and self._sent_request is None:
            state: JobState = "failed" if outcome.state == "failed" else "completed"
            self._stop_request = StopRequest(outcome.reason, state=state)
        return True

    def _valid(self, events: Sequence[Event]) -> Iterator[Event]:
        """Yield the events up to the first invalid one of each trial, which fails the trial."""
        failed: set[int] = set()
        for event in events:
            if event.number in failed:
                continue
            problem = event_problem(event)
            if not problem:
                yield event
                continue
            if isinstance(event, Started):
                raise ProviderError(self._plan.provider, f"trial {event.number}: {problem}")
            failed.add(event.number)
            known = {trial.number: trial for trial in self._trials.all()}.get(event.number)
            if known is None or known.ended is None:
                yield Ended(event.number, time.time(), "failed", problem)

    def _masked(self, event: Event) -> Event:
        if isinstance(event, Ended):
            request = self._sent_request
            if event.state == "cancelled" and request and request.state != "cancelled":
                event = replace(event, reason=request.reason)  # a limit's
            return explained_end(self._mask.end(event))
        if isinstance(event, Waiting):
            return self._mask.wait(event)
        return self._mask.measure(event) if isinstance(event, Measured) else event

    def _end(self, status: JobStatus) -> Outcome:
        """End the trials for which the service returned no end, and return the job's outcome."""
        now = (status.ended if self._is_attached else None) or time.time()
        open_trials = [trial.number for trial in self._trials.all() if trial.ended is None]
        reason = "the job ended, and the service returned no final state of this trial"
        self._add_events([Ended(number, now, "unknown", reason) for number in open_trials])
        if self._is_attached:
            ends = [trial.ended for trial in self._trials.all() if trial.ended]
            return Outcome(
                status.state, status.reason, ended=status.ended or max(ends, default=None)
            )
        request, limit = self._sent_request, self._limit_outcome
        if status.state == "cancelled" and request and request.state != "cancelled":
            return Outcome(request.state, request.reason, limit.failure if limit else None)
        limit = self._tracker.outcome()
        if status.state == "completed" and limit and (limit.state == "failed" or not status.reason):
            return limit  # the service reports no reason, or cloudtune saw the failures later
        return Outcome(status.state, without_traceback(status.reason))

    def _submit(self, client: JobClient) -> JobRef | Outcome:
        """Return the job of this name, submitted unless it exists, or the outcome without a job.

        An unanswered submit may have created the job, and so may an earlier process. It is looked
        for as long as the service may not show it yet.
        """
        name = self._plan.facts.job_name
        submit_unanswered = False
        if self._budget.stop_reason:
            self._stop_request = StopRequest(self._budget.stop_reason, state="completed")
        absent_after = time.monotonic() + client.hidden_seconds if self._may_exist else 0.0
        give_up_at = time.monotonic() + FIRST_CONTACT_SECONDS
        while not self._should_detach():
            if self._stop_request and not self._may_exist:
                return Outcome(self._stop_request.state, self._stop_request.reason)
            self._error = None
            with self._catch_retryable():
                ref = client.find(name)
                give_up_at = math.inf
                if ref:
                    return ref
                if time.monotonic() < absent_after:
                    text = f"the job {name} may exist but is not visible yet"
                    raise ProviderError(self._plan.provider, text, retryable=True)
                if self._stop_request:
                    return Outcome(self._stop_request.state, self._stop_request.reason)
                self._may_exist = True
                try:
                    return client.submit(self._plan.request)
                except ProviderError as error:
                    ref = client.find(name) if submit_unanswered else None
                    if ref:
                        return ref
                    submit_unanswered = error.retryable
                    absent_after = time.monotonic() + client.hidden_seconds
                    raise
            if self._error and time.monotonic() >= give_up_at:
                return self._unreachable_outcome(self._error)
            self._wait_for_request(client.poll_seconds, give_up_at - time.monotonic())
        return self._unknown_outcome(f"a job {name} may have been created there")

    @contextmanager
    def _catch_retryable(self) -> Generator[None]:
        try:
            yield
        except ProviderError as error:
            if not error.retryable:
                raise
            self._error = error

    def _wait_for_request(self, seconds: float, longest: float = math.inf) -> None:
        """Wait for a stop request: a poll interval, or longer after each failure in a row."""
        if not (self._error or self._limit_outcome):
            seconds = min(seconds, max(0.0, self._timeout_at - time.time()))
        self._wait = next_backoff(seconds, self._wait) if self._error else seconds
        if self._error:
            self._notify_error(f"{self._error}; retrying with increasing delays")
        self._inbox.wait(min(add_jitter(self._wait), longest))
        request = self._inbox.pop()
        if isinstance(request, StopRequest) and request.leave:
            self._leaves = True
        elif isinstance(request, StopRequest):
            if self._error and self._may_exist and not request.now:
                self._notify(
                    "the job is stopped when its service answers; interrupt again to leave it "
                    "running"
                )
            self._stop_request = request
            self._detach_requested = self._detach_requested or request.now

    def _should_detach(self) -> bool:
        return self._detach_requested and self._error is not None

    def _unreachable_outcome(self, error: ProviderError) -> Outcome:
        reason = first_contact_failure(error)
        if not self._may_exist:
            return Outcome("failed", reason)
        return Outcome(
            "unknown",
            f"{reason}; a job may have been created there before, and `cloudtune resume` looks for "
            "it",
        )

    def _unknown_outcome(self, state: str) -> Outcome:
        reason = f"{self._error}; {state}, and `cloudtune resume` looks for it"
        return Outcome("unknown", reason)

    def _add_events(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._record(events)
        for event in events:
            self._apply(event)
        self._observe(events)
        self._budget.add(*events)

    def _apply(self, event: Event) -> None:
        self._trials.tell(event)
        if isinstance(event, Ended) and event.state != "cancelled":
            self._tracker.add(event, self._trials)
            self._breaker.add(event)
