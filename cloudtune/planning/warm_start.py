"""What a study may learn from: earlier runs, and jobs that services have run."""

from __future__ import annotations

from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.provider.facts import Parent
from cloudtune.results.objective import objective_values
from cloudtune.study.study import Study


def parents(study: Study) -> list[Parent]:
    """Return the finished trials of the runs of the ledger that the study's warm start names.

    Raises:
        UsageError: If there is no such run.
    """
    names = [name for name in _from(study) if ":" not in name]
    if not names:
        return []
    found: list[Parent] = []
    with Ledger(state_folder()) as ledger:
        for name in names:
            record = ledger.run(name)
            for job in record.jobs:
                _, trials = read_job(ledger, record, job)
                for trial in trials:
                    values = objective_values(study, [m.metrics for m in trial.measurements])
                    if trial.state in {"completed", "stopped_early"} and values is not None:
                        found.append(Parent(trial.parameters, values))
    return found


def parent_jobs(study: Study, provider: str) -> list[str]:
    """Return what a provider calls the jobs that the study's warm start names.

    Those are the ones that it names itself, as ``sagemaker:NAME``, and the provider's own managed
    jobs of runs of the ledger. An emulated one is not among them: it is gone with its emulator.

    Raises:
        UsageError: If there is no such run.
    """
    found: list[str] = []
    for name in _from(study):
        who, colon, job = name.partition(":")
        if colon:
            found += [job] if who == provider else []
            continue
        with Ledger(state_folder()) as ledger:
            found += [
                record.job
                for record in ledger.run(name).jobs
                if record.provider == provider
                and record.job
                and record.plan["mode"] == "managed"
                and not record.emulated
            ]
    return found


def _from(study: Study) -> list[str]:
    return study.warm_start.from_ if study.warm_start else []
