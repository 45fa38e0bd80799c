"""The trials and jobs from which a warm start learns."""

from __future__ import annotations

from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.provider.facts import Parent
from cloudtune.results.objective import objective_values
from cloudtune.study.study import Study


def parents(study: Study) -> list[Parent]:
    """Return the finished trials of the ledger's runs that the study's warm start names.

    Raises:
        UsageError: If there is no such run.
    """
    runs = [name for name in _sources(study) if ":" not in name]
    if not runs:
        return []
    trials: list[Parent] = []
    with Ledger() as ledger:
        for name in runs:
            record = ledger.run(name)
            for job in record.jobs:
                for trial in read_job(ledger, record, job)[1]:
                    values = objective_values(study, [m.metrics for m in trial.measurements])
                    if trial.state in {"completed", "stopped_early"} and values is not None:
                        trials.append(Parent(trial.parameters, values))
    return trials


def parent_jobs(study: Study, provider: str) -> list[str]:
    """Return a provider's names of the jobs that the study's warm start names.

    These are jobs such as ``sagemaker:NAME``, and the provider's managed jobs of runs in the
    ledger. Emulated jobs are omitted: they do not outlive their emulator.

    Raises:
        UsageError: If there is no such run.
    """
    jobs: list[str] = []
    for name in _sources(study):
        service, colon, job = name.partition(":")
        if colon:
            jobs += [job] if service == provider else []
            continue
        with Ledger() as ledger:
            jobs += [
                record.job
                for record in ledger.run(name).jobs
                if record.provider == provider
                and record.job
                and record.mode == "managed"
                and not record.emulated
            ]
    return jobs


def _sources(study: Study) -> list[str]:
    return study.warm_start.from_ if study.warm_start else []
