"""Managed jobs: submit once, then turn what the service tells into the events of the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from queue import Empty

from cloudtune.driver import Inbox, Outcome, StopRequest
from cloudtune.events import Ended, Event, Measured, Started
from cloudtune.fit import Fitted, restore
from cloudtune.planning import Plan
from cloudtune.provider import JobClient, JobRef, RawTrial
from cloudtune.results import Trials

_FINAL = {"completed", "stopped_early", "failed", "cancelled"}


class ManagedJob:
    """Follows one managed job from where its events leave off to its end."""

    def __init__(
        self,
        plan: Plan,
        *,
        inbox: Inbox,
        record: Callable[[Sequence[Event]], None],
        observe: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._plan = plan
        self._inbox = inbox
        self._record = record
        self._observe = observe
        self._trials = Trials(plan.study, plan.facts.run_id)

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
            ProviderError: If the service refuses or cannot be reached.
        """
        ref = JobRef(self._plan.provider, job) if job else client.find(self._plan.facts.job_name)
        if ref is None:
            ref = client.submit(self._plan.request)
        if job is None:
            named(ref.id)
        while True:
            status = client.status(ref)
            self._emit(changes(self._trials, self._plan.fitted, status.trials))
            if status.state in _FINAL:
                return Outcome(status.state, status.reason)
            try:
                wanted = self._inbox.get(timeout=client.poll_seconds)
            except Empty:
                continue
            if isinstance(wanted, StopRequest):
                client.stop(ref)

    def _emit(self, events: Sequence[Event]) -> None:
        if events:
            self._record(events)
        for event in events:
            self._trials.tell(event)
            self._observe(event)


def changes(known: Trials, fitted: Fitted, told: Sequence[RawTrial]) -> list[Event]:
    """Return the events between what is known of a job's trials and what its service tells now."""
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
                    restore(fitted, raw.parameters),
                    id=raw.id,
                )
            )
        seen = len(trial.measurements) if trial else 0
        found += [
            Measured(raw.number, m.time or now, m.step, m.metrics) for m in raw.measurements[seen:]
        ]
        ended = trial is not None and trial.state in _FINAL
        if raw.state in _FINAL and not ended:
            found.append(Ended(raw.number, raw.ended or now, raw.state, raw.reason, word=raw.word))
    return found
