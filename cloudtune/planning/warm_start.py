"""The trials and jobs from which a warm start learns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError, UsageError
from cloudtune.provider.facts import Parent
from cloudtune.study.quantities import format_count
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.ledger.ledger import Ledger
    from cloudtune.ledger.records import JobRecord, RunRecord
    from cloudtune.planning.table_rows import TrialKey

_ENDINGS = (".csv", ".jsonl", ".parquet")


@dataclass
class _Counted:
    """What counts of the sources so far, so that nothing of them counts twice."""

    trials: list[Parent] = field(default_factory=list[Parent])
    remarks: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """The spelling of each source, by what it means."""
    sources: dict[TrialKey, str] = field(default_factory=dict[tuple[object, ...], str])
    """The source of each trial that has a key."""

    def is_again(self, name: str, meaning: str) -> bool:
        """Return whether a source is an earlier one, perhaps in another spelling, and say so."""
        if meaning not in self.names:
            self.names[meaning] = name
            return False
        first = self.names[meaning]
        same = "named twice" if first == name else f"the same as {first}"
        self.remarks.append(f"{name} is {same}, and counts once")
        return True

    def add(self, name: str, found: Iterable[tuple[TrialKey | None, Parent]]) -> None:
        """Count the trials that no earlier source has, and say which has the others."""
        again: Counter[str] = Counter()
        for key, parent in found:
            if key in self.sources:
                again[self.sources[key]] += 1
                continue
            if key:
                self.sources[key] = name
            self.trials.append(parent)
        for first, number in again.items():
            where = "it more than once" if first == name else f"{first}, too"
            are, count = ("is", "counts") if number == 1 else ("are", "count")
            trials = format_count(number, "trial")
            self.remarks.append(f"{name}: {trials} {are} in {where}, and {count} once")


def read_parents(
    study: Study, provider: str, base: Path
) -> tuple[list[Parent], list[str], list[str]]:
    """Return the finished trials of a warm start, the provider's names of jobs, and remarks.

    The trials are those of runs in the ledger, and of files relative to ``base``. The jobs are
    those such as ``sagemaker:NAME``, and the provider's managed jobs of runs in the ledger.
    Emulated jobs are omitted: they do not outlive their emulator. The remarks say what does not
    count in files, and what is named twice.

    Of a run of hyperband, only the trials with the largest amount of its resource count. A value
    with less of it, such as a score on a part of the data, does not compare with them.

    Trials that break a constraint of the study on metrics do not count. A trial that is in two
    sources counts once.

    Raises:
        StudyError: If there is no such run, or a file does not fit; names the field.
        MissingExtraError: If a file needs a package that is not installed.
    """
    if study.warm_start is None:
        return [], [], []
    from cloudtune.ledger.ledger import Ledger

    counted = _Counted()
    jobs: list[str] = []
    sources = study.warm_start.from_
    for index, name in enumerate(sources):
        service, colon, service_job = name.partition(":")
        path = study.item_path("warm_start.from", index, len(sources))
        if colon:
            again = counted.is_again(name, name)
            jobs += [service_job] if service == provider and not again else []
        elif is_results_file(name):
            from cloudtune.planning.result_files import read_results_file

            file = base / Path(name).expanduser()
            if not counted.is_again(name, os.path.realpath(file)):
                in_file, said = read_results_file(file, study, path)
                counted.remarks += said
                counted.add(name, in_file)
        else:
            with _at_field(study, path):
                opened = Ledger()
            with opened as ledger:
                with _at_field(study, path):
                    record = ledger.run(name)
                if not counted.is_again(name, record.id):
                    for job in record.jobs:
                        is_own = job.provider == provider and job.mode == "managed"
                        if job.job and is_own and not job.emulated:
                            again = counted.is_again(name, f"{provider}:{job.job}")
                            jobs += [] if again else [job.job]
                        counted.add(name, _job_trials(study, name, ledger, record, job))
    return counted.trials, jobs, counted.remarks


def _job_trials(
    study: Study, name: str, ledger: Ledger, record: RunRecord, job: JobRecord
) -> list[tuple[TrialKey | None, Parent]]:
    from cloudtune.ledger.reader import read_job
    from cloudtune.planning.table_rows import trial_key
    from cloudtune.results.events import MEASURED_STATES
    from cloudtune.results.objective import constrained_metrics, objective_values
    from cloudtune.study.constraints import outcome_constraints, outcome_margins

    constraints = outcome_constraints(study)
    found: list[tuple[int, TrialKey, Parent]] = []
    for trial in read_job(ledger, record, job)[1]:
        values = objective_values(study, [m.metrics for m in trial.measurements])
        if trial.state not in MEASURED_STATES or values is None:
            continue
        metrics = constrained_metrics(study, trial.metrics, values)
        if any(margin > 0 for margin in outcome_margins(constraints, trial.parameters, metrics)):
            continue
        key = trial_key(record.id, job.provider, trial.number, trial.parameters)
        found.append((trial.resource or 0, key, Parent(trial.parameters, values, name)))
    most = max((amount for amount, *_ in found), default=0)
    return [(key, parent) for amount, key, parent in found if amount == most]


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
