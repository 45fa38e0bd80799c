"""The comparison of jobs together with what the ledger knows of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cloudtune.comparison.comparison import Comparison, compare
from cloudtune.errors import CloudtuneError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import RunRecord
from cloudtune.results.model import StudyResult


def compare_results(jobs: Sequence[StudyResult]) -> Comparison:
    """Return the comparison of jobs, with a command to repeat runs that are in the ledger.

    Raises:
        UsageError: If there are no jobs or they have different objectives.
        MissingExtraError: If repeated runs need an interval and scipy is not installed.
    """
    return compare(jobs, _load_run_arguments({job.run for job in jobs}))


def _load_run_arguments(runs: Iterable[str]) -> dict[str, list[str]]:
    try:
        with Ledger() as ledger:
            return {run: _run_arguments(ledger.run(run)) for run in runs if ledger.has_run(run)}
    except CloudtuneError:
        return {}


def _run_arguments(record: RunRecord) -> list[str]:
    """Return the arguments with which a study was run, without its seed.

    The study file itself is not read: it may have changed since.
    """
    if not record.file or record.overrides is None:
        return ["STUDY"]
    file, here = Path(record.file), Path.cwd()
    arguments = [str(file.relative_to(here) if file.is_relative_to(here) else file)]
    for override in record.overrides:
        if not override.startswith("strategy.seed="):
            arguments += ["--set", override]
    return arguments
