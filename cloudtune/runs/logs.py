"""The logs of trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulation.environment import reconnect
from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import JobRecord
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import CloudSettings, JobContext
from cloudtune.results.model import Trial


@dataclass(frozen=True)
class ServiceLog:
    """The output of a trial that is at the service."""

    address: str | None
    """The page in the service's console, or the path at the service, if known."""
    _job: JobRecord
    _trial: Trial
    _folder: Path

    def lines(self) -> Iterator[str] | None:
        """Return the lines, without their ends, or None if this provider cannot read logs.

        Raises, also while the lines are read:
            UsageError: If the plan was created by another version of cloudtune.
            ProviderError: If the service cannot be reached or refuses, or the emulator has ended.
            MissingExtraError: If a package that reaches the service is not installed.
        """
        plan = restore_plan(self._job.plan)
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
) -> ServiceLog | Path:
    """Return the file with the output of a trial, or where the service keeps it.

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
    if path.exists() and (trial or damage):  # the file of a trial that is lost from the ledger
        return path
    if damage:
        raise damage[0]
    if not trials:
        raise UsageError(f"run {record.id} has no trials on {job.provider} yet")
    if trial is None:
        raise UsageError(f"run {record.id} has no trial {number}; the last one is {last}")
    is_service = issubclass(registry.get(job.provider).settings, CloudSettings)
    if job.plan["facts"].get("emulator") or (is_service and not job.emulated):
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
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            yield line.rstrip("\n")
