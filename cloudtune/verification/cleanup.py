"""Stops and removes what the runs of a verification have at a service.

A guard does that when the verification is killed: a process that waits until the one that started
it has ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from cloudtune.emulation.environment import reconnect
from cloudtune.emulation.process import find_running, stop
from cloudtune.errors import CloudtuneError, ProviderError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.ledger.records import JobRecord
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext, JobRef
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import DeletableJobs, JobClient, RemovableJobs, TrainingJobs
from cloudtune.results.events import FINAL_STATES, Started
from cloudtune.runs.remote import is_emulator_running, remove_run_uploads

EMULATOR = "emulator"
"""The folder of the verification's own emulator, in its home."""
LEFT = "left.txt"
"""The file in which the guard writes what it could not remove."""
RECORDINGS = "recordings.txt"
"""The file with the folder that the recordings are written to, which is removed if it is empty."""
DONE = b"done"
"""What the guard reads if nothing is left for it."""
RETRY_SECONDS = 5.0
"""Seconds until a job is tried again whose service refused for now."""
MAX_WAIT = 900.0
"""Seconds until a job that was stopped must have ended."""


def clean_up(
    home: Path, notify: Callable[[str], None] = lambda _: None, seconds: float = MAX_WAIT
) -> list[str]:
    """Stop and remove all jobs of the ledger in a home, and their uploads; return what is left.

    What is left says which job, and why.

    Deleting is tried only once jobs have ended. Jobs of an emulator that has ended are gone. A
    service that does not answer in time keeps this function no longer than ``seconds``.
    """
    deadline = time.monotonic() + seconds
    notify = _once(notify)
    left: dict[str, str] = {}
    threads: list[threading.Thread] = []
    for name, job in _jobs(home):
        is_gone = job.emulated and not is_emulator_running(job.facts.emulator)
        if job.process_started is None or is_gone:  # nothing was sent, or is there
            continue
        was_created = job.job is not None or job.mode == "driven" or job.state != "failed"
        how = "not removed" if was_created else "not created as far as is known, and not looked for"
        left[job.run] = f"{how}: {name}: the service did not answer in time"
        end = partial(_end_job, home, job, deadline, notify)
        target = partial(_try_to_end, end, job.run, f"{how}: {name}", left, deadline)
        threads.append(threading.Thread(target=target, daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [*left.values()]


def _once(notify: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that says each text once, however often it is tried."""
    said: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            notify(text)

    return say


def note_recordings(home: Path, folder: Path) -> None:
    """Note in the home of a verification where its recordings will be."""
    (home / RECORDINGS).write_text(str(folder.absolute()), "utf-8")


def remove_home(home: Path) -> None:
    """End the emulator of a verification; remove its state, and its recordings if it has none."""
    if address := find_running(home / EMULATOR):
        stop(address)
    with suppress(OSError):  # nothing was noted, or it is not empty
        folder = Path((home / RECORDINGS).read_text("utf-8"))
        folder.rmdir()
        folder.parent.rmdir()
    shutil.rmtree(home, ignore_errors=True)


def _jobs(home: Path) -> list[tuple[str, JobRecord]]:
    """Return all jobs in a home, with the names of their runs."""
    if not (home / "ledger.db").is_file():
        return []
    with Ledger(home) as ledger:
        return [(run.name, job) for run in map(ledger.run, ledger.run_ids()) for job in run.jobs]


def _try_to_end(
    end: Callable[[], None], run: str, name: str, left: dict[str, str], deadline: float
) -> None:
    """End a job; an error that may pass is no reason to give up before the deadline."""
    while True:
        try:
            end()
        except (CloudtuneError, OSError) as error:
            left[run] = f"{name}: {error}"
            may_pass = isinstance(error, OSError) or getattr(error, "retryable", False)
            if not may_pass or time.monotonic() + RETRY_SECONDS > deadline:
                return
            time.sleep(RETRY_SECONDS)
        else:
            del left[run]
            return


def _end_job(home: Path, job: JobRecord, deadline: float, notify: Callable[[str], None]) -> None:
    plan, provider = restore_plan(job.plan), registry.get(job.provider)
    location = plan.facts.emulator
    emulator = reconnect(job.provider, provider, plan.settings, location) if location else None
    with Ledger(home) as ledger:
        context = JobContext(ledger.job_folder(job.run, job.provider), emulator)
        events = [event for _, event in ledger.events(job.run, job.provider)]
    notify(f"removing {plan.facts.job_name}")
    if plan.mode == "managed":
        _end_managed(provider.client(plan, context), job, plan, deadline)
    elif jobs := provider.training_jobs(plan, context):
        _end_driven(jobs, [each for each in events if isinstance(each, Started)], deadline)
    remove_run_uploads(job.run, ended=True, outputs=True)


def _end_managed(client: JobClient, job: JobRecord, plan: Plan, deadline: float) -> None:
    try:
        ref = client.find(plan.facts.job_name)
    except ProviderError:
        if job.job:  # the service may stop a job that it does not describe
            client.stop(JobRef(job.provider, job.job))
        raise
    if ref is None:  # a create that was just sent may not be visible yet
        time.sleep(client.hidden_seconds or 2 * client.poll_seconds)
        ref = client.find(plan.facts.job_name)
    if ref is None:  # there was none, or a clean-up that was killed has deleted it
        return
    if client.status(ref).state not in FINAL_STATES:
        client.stop(ref)
        is_over = lambda: client.status(ref).state in FINAL_STATES  # noqa: E731
        _wait(is_over, client.poll_seconds, ref.id, deadline)
    if isinstance(client, DeletableJobs):
        client.delete(ref)


def _end_driven(jobs: TrainingJobs, started: list[Started], deadline: float) -> None:
    names = [each.id for each in started if each.id]
    for name in names:
        jobs.stop(name)
    if names and len(jobs.poll(started)) < len(
        names
    ):  # a create that was just sent may not be visible yet
        time.sleep(jobs.hidden_seconds or 2 * jobs.poll_seconds)
        for name in names:
            jobs.stop(name)

    def is_over() -> bool:
        states = [each.state for each in jobs.poll(started).values()]
        return all(state in FINAL_STATES for state in states)

    if names:
        _wait(is_over, jobs.poll_seconds, ", ".join(names), deadline)
    if isinstance(jobs, RemovableJobs):
        jobs.remove_leftovers()


def _wait(is_over: Callable[[], bool], seconds: float, name: str, deadline: float) -> None:
    while not is_over():
        if time.monotonic() > deadline:
            raise ProviderError(name, "was stopped and does not end; stop it in the console")
        time.sleep(seconds)


class Guard:
    """A process that cleans up after this one, however it ends, unless it is dismissed."""

    def __init__(self, home: Path) -> None:
        """Start it; its environment is that of this process."""
        log = (home / "guard.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cloudtune.verification.cleanup", str(home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )

    def dismiss(self) -> None:
        """End it, since nothing is left."""
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError):
            pipe.write(DONE)
            pipe.close()
        self._process.wait()


def guard(home: Path, pipe: IO[bytes]) -> int:
    """Wait for the end of the process that verifies; then clean up, unless that is done."""
    if pipe.read() == DONE:
        return 0
    with RunLock(home):
        left = clean_up(home)
        if left:
            (home / LEFT).write_text("\n".join(left), "utf-8")
        else:
            remove_home(home)
    return bool(left)


if __name__ == "__main__":
    sys.exit(guard(Path(sys.argv[1]), sys.stdin.buffer))
