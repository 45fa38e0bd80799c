"""Following a run that another process executes."""

from __future__ import annotations

import time
from pathlib import Path

from cloudtune.engine.job import Observer
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.planning.serialization import restore_plan
from cloudtune.results.events import Outcome
from cloudtune.runs.detach import resume_detached, unattended_jobs

_POLL_SECONDS = 0.3


def follow(run: str, observer: Observer, folder: Path | None = None) -> None:
    """Show a run to an observer until no process executes it.

    If no process does, jobs that continue at their services are first resumed in the background.

    Args:
        run: The run's ID.
        observer: Receives the progress.
        folder: The state folder.

    Raises:
        LedgerError: If the ledger cannot be read.
    """
    with Ledger(folder or state_folder()) as ledger:
        run_folder = ledger.run_folder(run)
        unattended = unattended_jobs(ledger.run(run))
        if unattended and lock_holder(run_folder) is None:
            observer.message(f"following the job at {' and '.join(unattended)} again")
            resume_detached(run, unattended, folder)
        is_executed = lock_holder(run_folder) is not None
        jobs = ledger.run(run).jobs
        last_shown: dict[str, int] = {}
        """The number of the last event that was shown, of each job that can be shown."""
        for job in jobs:
            numbers_and_events = list(ledger.events(run, job.provider))
            last, last_time = 0, 0.0
            if numbers_and_events:
                last, last_time = numbers_and_events[-1][0], numbers_and_events[-1][1].time
            is_running = is_executed and job.state == "running"
            until = time.time() if is_running else job.ended or last_time
            try:
                plan = restore_plan(job.plan)
            except Exception as error:  # noqa: BLE001 - the other jobs can still be shown
                observer.message(f"{job.provider}: its plan cannot be read: {error}")
                continue
            observer.begin(plan, [event for _, event in numbers_and_events], job.elapsed(until))
            last_shown[job.provider] = last
        ended: set[str] = set()
        while True:
            is_executed = lock_holder(run_folder) is not None
            jobs = ledger.run(run).jobs
            for provider, after in last_shown.items():
                if new := list(ledger.events(run, provider, after)):
                    last_shown[provider] = new[-1][0]
                    observer.events(provider, [event for _, event in new])
            for job in jobs:
                if job.provider not in ended and job.state not in {"pending", "running"}:
                    ended.add(job.provider)
                    observer.end(job.provider, Outcome(job.state, job.reason))
            if not is_executed:
                return
            time.sleep(_POLL_SECONDS)
