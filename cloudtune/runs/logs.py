"""The logs of trials."""

from __future__ import annotations

from pathlib import Path

from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job


def find_log(
    run: str | None = None,
    number: int | None = None,
    on: str | None = None,
) -> str | Path:
    """Return the file with the output of a trial, or its address if the service keeps it.

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
        return trial.log
    path = Path((trial and trial.log) or job_folder / "trials" / str(number) / "log.txt")
    if path.exists() and (trial or damage):  # the file of a trial that is lost from the ledger
        return path
    if damage:
        raise damage[0]
    if not trials:
        raise UsageError(f"run {record.id} has no trials on {job.provider} yet")
    if trial is None:
        raise UsageError(f"run {record.id} has no trial {number}; the last one is {last}")
    raise UsageError(f"trial {number} of run {record.id} has no log")
