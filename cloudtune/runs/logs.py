"""The logs of trials."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cloudtune.emulation.environment import reconnect
from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.events import Ended, Started
from cloudtune.results.model import Trial

_FILE_POLL_SECONDS = 0.3
_SERVICE_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class FileLog:
    """The output of a trial in a file of this machine."""

    path: Path
    job: JobRecord
    number: int


@dataclass(frozen=True)
class ServiceLog:
    """The output of a trial that is at the service."""

    address: str | None
    """The page in the service's console, or the path at the service, if known."""
    job: JobRecord
    _trial: Trial
    _folder: Path

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self._trial.number

    def lines(self) -> Iterator[str] | None:
        """Return the lines, without their ends, or None if this provider cannot read logs.

        Raises, also while the lines are read:
            UsageError: If the plan was created by another version of cloudtune.
            ProviderError: If the service cannot be reached or refuses, or the emulator has ended.
            MissingExtraError: If a package that reaches the service is not installed.
        """
        plan = restore_plan(self.job.plan)
        provider = registry.get(plan.provider)
        emulator = None
        if plan.facts.emulator:
            emulator = reconnect(plan.provider, provider, plan.settings, plan.facts.emulator)
        elif plan.facts.emulated:
            return None  # its files are here, and without them the job has ended
        return provider.read_log(plan, JobContext(self._folder, emulator), self._trial)


def find_log(
    run: str | None = None,
    number: int | None = None,
    on: str | None = None,
) -> ServiceLog | FileLog:
    """Return the log of a trial.

    The default is the last trial of the latest run. A run with several jobs requires a provider.

    Raises:
        UsageError: If there is no such run, job, trial or log.
    """
    with Ledger() as ledger:
        record = ledger.run(run)
        providers = [job.provider for job in record.jobs]
        if (on or providers[0]) not in providers or (on is None and len(providers) > 1):
            raise UsageError(
                f"run {record.id} has jobs on {', '.join(providers)}; choose one with --on"
            )
        job = next(job for job in record.jobs if on in {None, job.provider})
        damage: list[LedgerError] = []
        trials = {
            trial.number: trial
            for trial in read_job(ledger, record, job, on_damage=damage.append)[1]
        }
        job_folder = ledger.job_folder(record.id, job.provider)
    last = max(trials, default=0)
    number = last if number is None else number
    trial = trials.get(number)
    if trial and trial.log and "://" in trial.log:
        return ServiceLog(trial.log, job, trial, job_folder)
    path = Path((trial and trial.log) or job_folder / "trials" / str(number) / "log.txt")
    if path.is_file() and (trial or damage):  # the file of a trial that is lost from the ledger
        return FileLog(path, job, number)
    if damage:
        raise damage[0]
    if not trials:
        raise UsageError(f"run {record.id} has no trials on {job.provider} yet")
    if trial is None:
        raise UsageError(f"run {record.id} has no trial {number}; the last one is {last}")
    is_service = registry.has_mode(job.provider, job.mode) and issubclass(
        registry.get(job.provider).settings, CloudSettings
    )
    if job.facts.emulator or (is_service and not job.emulated):
        return ServiceLog(trial.log, job, trial, job_folder)
    raise UsageError(f"trial {number} of run {record.id} has no log")


def read_output(run: str, number: int, *, on: str) -> Iterator[str]:
    """Yield the lines that a trial printed, without their ends; none if they cannot be read.

    Raises:
        UsageError: If there is no such run, job, trial or log.
        ProviderError: If the service cannot be reached or refuses.
        OSError: If the file cannot be read.
    """
    log = find_log(run, number, on)
    if isinstance(log, ServiceLog):
        yield from log.lines() or ()
        return
    with log.path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            yield line.rstrip("\n")


def follow_log(log: ServiceLog | FileLog) -> Iterator[str]:
    """Yield the output of a trial, as pieces of text, until the trial or its run has ended.

    Raises:
        LedgerError: If the ledger cannot be read.
        UsageError: If this provider cannot read logs.
        ProviderError: If the service cannot be reached or refuses.
        OSError: If the file cannot be read.
    """
    is_file = isinstance(log, FileLog)
    pieces = _read_file(log) if isinstance(log, FileLog) else _read_service(log)
    last, has_ended = 0, False
    with Ledger() as ledger:
        folder = ledger.run_folder(log.job.run)
        while True:
            is_over = lock_holder(folder) is None
            for number, event in ledger.events(log.job.run, log.job.provider, last):
                last = number
                if event.number == log.number and isinstance(event, Started | Ended):
                    has_ended = isinstance(event, Ended) and event.state != "pending"
            # The log is complete before the end is in the ledger.
            yield next(pieces)
            if is_over or has_ended:
                return
            time.sleep(_FILE_POLL_SECONDS if is_file else _SERVICE_POLL_SECONDS)


def _read_file(log: FileLog) -> Iterator[str]:
    """Yield, each time, what has been added to a file."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    with log.path.open("rb") as file:
        while True:
            yield decode(file.read())


def _read_service(log: ServiceLog) -> Iterator[str]:
    """Yield, each time, the lines that the service has added to a log."""
    count = 0
    while True:
        lines = log.lines()
        if lines is None:
            raise UsageError(f"the log of a trial on {log.job.provider} cannot be followed")
        added = [f"{line}\n" for line in islice(lines, count, None)]
        count += len(added)
        yield "".join(added)
