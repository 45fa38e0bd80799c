"""The logs of trials."""

from __future__ import annotations

from pathlib import Path

from cloudtune.errors import UsageError
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
        trials = {trial.number: trial for trial in read_job(ledger, record, job)[1]}
        if not trials:
            raise UsageError(f"run {record.id} has no trials on {job.provider} yet")
        last = max(trials)
        trial = trials.get(last if number is None else number)
        if trial is None:
            raise UsageError(f"run {record.id} has no trial {number}; the last one is {last}")
        if trial.log and "://" in trial.log:
            return trial.log
        job_folder = ledger.job_folder(record.id, job.provider)
    path = Path(trial.log or job_folder / "trials" / str(trial.number) / "log.txt")
    if not path.exists():
        raise UsageError(f"trial {trial.number} of run {record.id} has no log")
    return path
