"""Managed jobs: submit once, then turn what the service tells into the events of the job.

A service that cannot be reached for a while does not end the job, which goes on there and costs
money. It is asked again, after ever longer pauses, until it answers or the user has had enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from cloudtune.engine.backoff import add_jitter, next_backoff
from cloudtune.engine.budget import JobBudget
from cloudtune.engine.inbox import Inbox, StopRequest
from cloudtune.errors import EmulatorEndedError, ProviderError
from cloudtune.fitting.fit import FittedStudy, restore
from cloudtune.provider.models import JobRef, JobStatus, RawTrial
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import JobClient
from cloudtune.provider.secrets import Mask
from cloudtune.results.events import FINAL_STATES, Ended, Event, Measured, Outcome, Started
from cloudtune.results.trials import Trials
from cloudtune.study.search_space import Value


class ManagedJob:
    """Follows one managed job from where its events leave off to its end."""

    def __init__(
        self,
        plan: Plan,
        *,
        inbox: Inbox,
        record: Callable[[Sequence[Event]], None],
        observe: Callable[[Sequence[Event]], None] = lambda _: None,
        notify: Callable[[str], None] = lambda _: None,
        again: bool = False,
        budget: JobBudget = JobBudget(),  # noqa: B008 - immutable
    ) -> None:
        """Prepare to follow a job.

        Args:
            plan: What is sent.
            inbox: Requests to stop.
            record: Writes events to the ledger; called before anything else sees them.
            observe: Is told of events after that, several at a time, to show them.
            notify: Is told what is worth a line.
            again: Whether an earlier process took the job up, and may have made it.
            budget: Is told each new event.
        """
        self._plan = plan
        self._may_be_there = again
        self._inbox = inbox
        self._record = record
        self._observe = observe
        self._notify = notify
        self._mask = Mask(plan.study)
        self._trials = Trials(plan.study, plan.facts.run_id)
        self._budget = budget
        self._wish: StopRequest | None = None
        """To end the job; the service has not taken note of it yet."""
        self._given_up = False
        """Whether the user wants to leave, even with the service out of reach."""
        self._asked: StopRequest | None = None
        """What the service was first asked to end the job for."""
        self._trouble: ProviderError | None = None
        """Why the service could not be reached when it was last asked."""
        self._said = ""
        """The trouble that was told last."""
        self._remarked = ""
        """The remark that was told last."""
        self._pause = 0.0

    def replay(self, events: Sequence[Event]) -> None:
        """Take note of what is known of the job, in order."""
        for event in events:
            self._trials.tell(event)

    def run(self, client: JobClient, job: str | None, named: Callable[[str], None]) -> Outcome:
        """Submit the job unless it was, follow it to its end and return how it ended.

        Args:
            client: Reaches the service.
            job: What the service calls the job, if that is known.
            named: Writes to the ledger what the service calls the job.

        Raises:
            ProviderError: If the service refuses the job.
        """
        ref = JobRef(self._plan.provider, job) if job else self._submitted(client)
        if isinstance(ref, Outcome):
            return ref
        if job is None:
            named(ref.id)
        try:
            return self._followed(client, ref)
        except EmulatorEndedError as error:
            return self._ended(JobStatus("failed", "", str(error)))
        except ProviderError as error:
            self._trouble = error
            return self._unknown(f"the job {ref.id} may go on there")

    def _followed(self, client: JobClient, ref: JobRef) -> Outcome:
        while not self._left_alone():
            self._trouble = None
            if self._wish:
                with self._noting_trouble():
                    client.stop(ref)
                    self._asked, self._wish = self._asked or self._wish, None
            with self._noting_trouble():
                status = client.status(ref)
                told = new_events(
                    self._plan.provider, self._trials, self._plan.fitted, status.trials
                )
                self._emit([self._mask.end(e) if isinstance(e, Ended) else e for e in told])
                self._remark(status.remark)
                if status.state in FINAL_STATES:
                    return self._ended(status)
            self._rest(client.poll_seconds)
        return self._unknown(f"the job {ref.id} may go on there")

    def _ended(self, status: JobStatus) -> Outcome:
        """End the trials of which the service tells no end, and return how the job ended."""
        now = time.time()
        left = [trial.number for trial in self._trials.all() if trial.ended is None]
        why = "the job has ended, and the service does not say how this trial did"
        self._emit([Ended(number, now, "unknown", why) for number in left])
        if status.state == "cancelled" and self._asked and self._asked.state == "completed":
            return Outcome(self._asked.state, self._asked.reason)
        return Outcome(status.state, status.reason)

    def _submitted(self, client: JobClient) -> JobRef | Outcome:
        """Return the job under its name, made unless it is there, or how it ended without one.

        A submit that the service did not answer may have made the job, as may an earlier process:
        it is looked for again and again, for as long as the service may not tell of it yet.
        """
        unsure = False
        if self._budget.stop_reason:
            self._wish = StopRequest(self._budget.stop_reason, state="completed")
        sure_at = time.monotonic() + client.hidden_seconds if self._may_be_there else 0.0
        while not self._left_alone():
            if self._wish and not self._may_be_there:
                return Outcome(self._wish.state, self._wish.reason)
            self._trouble = None
            with self._noting_trouble():
                found = client.find(self._plan.facts.job_name)
                if found:
                    return found
                if time.monotonic() < sure_at:
                    words = (
                        f"the job {self._plan.facts.job_name} may be there, and is not found yet"
                    )
                    raise ProviderError(self._plan.provider, words, retryable=True)
                if self._wish:
                    return Outcome(self._wish.state, self._wish.reason)
                self._may_be_there = True
                try:
                    return client.submit(self._plan.request)
                except ProviderError as error:
                    found = client.find(self._plan.facts.job_name) if unsure else None
                    if found:
                        return found
                    unsure = error.retryable
                    sure_at = time.monotonic() + client.hidden_seconds
                    raise
            self._rest(client.poll_seconds)
        return self._unknown(f"a job {self._plan.facts.job_name} may have been made there")

    @contextmanager
    def _noting_trouble(self) -> Generator[None]:
        """Take note of a failure that may pass, and go on behind the block."""
        try:
            yield
        except ProviderError as error:
            if not error.retryable:
                raise
            self._trouble = error

    def _rest(self, seconds: float) -> None:
        """Wait for a request to stop, longer each time in a row that there was trouble."""
        self._pause = next_backoff(seconds, self._pause) if self._trouble else seconds
        if self._trouble and str(self._trouble) != self._said:
            self._said = str(self._trouble)
            self._notify(f"{self._trouble}; it is asked again, less and less often")
        self._inbox.wait(add_jitter(self._pause))
        wanted = self._inbox.pop()
        if isinstance(wanted, StopRequest):
            if self._trouble and self._may_be_there and not wanted.now:
                self._notify(
                    "the job is stopped when its service answers; once more leaves it alone"
                )
            self._wish = wanted
            self._given_up = self._given_up or wanted.now

    def _remark(self, text: str) -> None:
        if text and text != self._remarked:
            self._remarked = text
            self._notify(text)

    def _left_alone(self) -> bool:
        return self._given_up and self._trouble is not None

    def _unknown(self, what: str) -> Outcome:
        return Outcome("unknown", f"{self._trouble}; {what}, and `cloudtune resume` looks for it")

    def _emit(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._record(events)
        for event in events:
            self._trials.tell(event)
        self._observe(events)
        self._budget.tell(*events)


def new_events(
    provider: str, known: Trials, fitted: FittedStudy, told: Sequence[RawTrial]
) -> list[Event]:
    """Return the events between what is known of a job's trials and what its service tells now.

    Raises:
        ProviderError: If the service tells a value that its parameter cannot have.
    """
    found: list[Event] = []
    before = {trial.number: trial for trial in known.all()}
    for raw in told:
        trial = before.get(raw.number)
        now = time.time()
        if trial is None:
            found.append(
                Started(
                    raw.number,
                    raw.started or now,
                    _restore_parameters(provider, fitted, raw),
                    id=raw.id,
                )
            )
        seen = len(trial.measurements) if trial else 0
        found += [
            Measured(raw.number, m.time or now, m.step, m.metrics) for m in raw.measurements[seen:]
        ]
        noted = trial is not None and trial.ended is not None
        if raw.over and not noted:
            found.append(
                Ended(
                    raw.number,
                    raw.ended or now,
                    raw.state,
                    raw.reason,
                    word=raw.word,
                    log=raw.log,
                    artifacts=raw.artifacts,
                    billed_seconds=raw.billed_seconds,
                    machine=raw.machine,
                )
            )
    return found


def _restore_parameters(provider: str, fitted: FittedStudy, raw: RawTrial) -> dict[str, Value]:
    try:
        return restore(fitted, raw.parameters)
    except ValueError as error:
        raise ProviderError(
            provider, f"trial {raw.number} ({raw.id}) cannot be read: {error}"
        ) from error
