"""The trials and jobs from which a warm start learns."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError, UsageError
from cloudtune.provider.facts import Parent
from cloudtune.study.study import Study

_ENDINGS = (".csv", ".jsonl", ".parquet")


def read_parents(
    study: Study, provider: str, base: Path
) -> tuple[list[Parent], list[str], list[str]]:
    """Return the finished trials of a warm start, the provider's names of jobs, and remarks.

    The trials are those of runs in the ledger, and of files relative to ``base``. The jobs are
    those such as ``sagemaker:NAME``, and the provider's managed jobs of runs in the ledger.
    Emulated jobs are omitted: they do not outlive their emulator. The remarks say what does not
    count in files.

    Of a run of hyperband, only the trials with the largest amount of its resource count. A value
    with less of it, such as a score on a part of the data, does not compare with them.

    Trials that break a constraint of the study on metrics do not count.

    Raises:
        StudyError: If there is no such run, or a file does not fit; names the field.
        MissingExtraError: If a file needs a package that is not installed.
    """
    if study.warm_start is None:
        return [], [], []
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.reader import read_job
    from cloudtune.results.objective import objective_values
    from cloudtune.study.constraints import outcome_constraints, outcome_margins

    trials: list[Parent] = []
    jobs: list[str] = []
    remarks: list[str] = []
    constraints = outcome_constraints(study)
    sources = study.warm_start.from_
    for index, name in enumerate(sources):
        service, colon, service_job = name.partition(":")
        if name in sources[:index]:
            remarks.append(f"{name} is named twice, and counts once")
            continue
        if colon:
            jobs += [service_job] if service == provider else []
            continue
        path = study.item_path("warm_start.from", index, len(sources))
        if is_results_file(name):
            from cloudtune.planning.result_files import read_results_file

            in_file, said = read_results_file(base / Path(name).expanduser(), study, path)
            trials += in_file
            remarks += said
            continue
        with _at_field(study, path):
            opened = Ledger()
        with opened as ledger:
            with _at_field(study, path):
                record = ledger.run(name)
            for job in record.jobs:
                if job.provider == provider and job.mode == "managed" and not job.emulated:
                    jobs += [job.job] if job.job else []
                parents: list[tuple[int, Parent]] = []
                for trial in read_job(ledger, record, job)[1]:
                    values = objective_values(study, [m.metrics for m in trial.measurements])
                    margins = outcome_margins(constraints, trial.parameters, trial.metrics)
                    is_broken = any(margin > 0 for margin in margins)
                    if trial.state not in {"completed", "stopped_early"} or is_broken:
                        continue
                    if values is not None:
                        parents.append(
                            (trial.resource or 0, Parent(trial.parameters, values, name))
                        )
                most = max((amount for amount, _ in parents), default=0)
                trials += [parent for amount, parent in parents if amount == most]
    return trials, jobs, remarks


def is_results_file(name: str) -> bool:
    """Return whether a source of a warm start is a file, by its ending."""
    return name.lower().endswith(_ENDINGS)


@contextmanager
def _at_field(study: Study, path: str) -> Generator[None]:
    """Turn the error that there is no such run into a mistake in a field of the study."""
    try:
        yield
    except UsageError as error:
        raise StudyError([Problem(path, str(error), "", *study.location(path))]) from error
