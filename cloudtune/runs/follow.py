"""Following a run that another process executes."""

from __future__ import annotations

import time

from cloudtune.engine.observer import Observer
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.records import JobRecord
from cloudtune.planning.serialization import restore_plan
from cloudtune.results.events import OPEN_JOB_STATES, Outcome
from cloudtune.runs.detach import resume_unattended

_POLL_SECONDS = 0.3


def follow(run: str, observer: Observer) -> None:
    """Show a run to an observer until no process executes it.

    If no process does, jobs that continue at their services are first resumed in the background.

    Raises:
        LedgerError: If the ledger cannot be read.
    """
    with Ledger() as ledger:
        run_folder = ledger.run_folder(run)
        if resumed := resume_unattended(ledger, ledger.run(run)):
            observer.message(f"following the job at {' and '.join(resumed)} again")
        is_executed = lock_holder(run_folder) is not None
        last_shown: dict[str, int] = {}
        """The number of the last event that was shown, of each job that can be shown."""
        changes: dict[str, int] = {}
        """How often the limits of each of these jobs had changed."""

        def begin(job: JobRecord) -> None:
            events = [event for _, event in ledger.events(run, job.provider)]
            events = events[: last_shown.get(job.provider)]
            is_running = is_executed and job.state == "running"
            last_time = events[-1].time if events else 0.0
            until = time.time() if is_running else job.ended or last_time
            try:
                plan = restore_plan(job.plan)
                changes[job.provider] = len(job.changes)
            except Exception as error:  # noqa: BLE001 - the other jobs can still be shown
                observer.message(f"{job.provider}: its plan cannot be read: {error}")
                return
            observer.begin(plan, events, job.elapsed(until))
            last_shown[job.provider] = len(events)

        for job in ledger.run(run).jobs:
            begin(job)
        ended: set[str] = set()
        while True:
            is_executed = lock_holder(run_folder) is not None
            jobs = ledger.run(run).jobs
            new = {name: list(ledger.events(run, name, n)) for name, n in last_shown.items()}
            for job in ledger.run(run).jobs:  # with the limits that these events were made with
                if job.provider in changes and len(job.changes) != changes[job.provider]:
                    begin(job)
            for provider, events in new.items():
                if events:
                    last_shown[provider] = events[-1][0]
                    observer.events(provider, [event for _, event in events])
            for job in jobs:
                may_go_on = job.state in OPEN_JOB_STATES or (is_executed and job.has_new_limits)
                if job.provider not in ended and not may_go_on:
                    ended.add(job.provider)
                    observer.end(job.provider, Outcome(job.state, job.reason))
            if not is_executed:
                return
            time.sleep(_POLL_SECONDS)
