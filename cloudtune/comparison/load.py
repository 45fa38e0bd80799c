"""Runs of the ledger, read to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cloudtune.comparison.comparison import Comparison, compare
from cloudtune.errors import CloudtuneError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_job
from cloudtune.ledger.records import RunRecord
from cloudtune.results.model import StudyResult


def compare_runs(runs: Sequence[str] = (), folder: Path | None = None) -> Comparison:
    """Return the comparison of runs; of the latest run if none is named.

    Raises:
        UsageError: If there is no such run, or if they have not the same objectives.
        LedgerError: If the ledger cannot be read.
        MissingExtraError: If repeated runs need an interval and scipy is not installed.
    """
    with Ledger(folder or state_folder()) as ledger:
        records = [ledger.run(run) for run in runs or (None,)]
        found = tuple(_read(ledger, records))
    return compare(found, {record.id: run_arguments(record) for record in records})


def _read(ledger: Ledger, records: Sequence[RunRecord]) -> Iterator[StudyResult]:
    for record in records:
        for job in record.jobs:
            result, trials = read_job(ledger, record, job)
            yield replace(result, trials=tuple(trials))


def load_run_arguments(runs: Iterable[str]) -> dict[str, list[str]]:
    """Return the words with which runs were started, of those that the ledger knows."""
    try:
        with Ledger(state_folder()) as ledger:
            return {run: run_arguments(ledger.run(run)) for run in runs if ledger.has_run(run)}
    except CloudtuneError:
        return {}


def run_arguments(record: RunRecord) -> list[str]:
    """Return the words with which a study was run: its file, and what was set but the seed."""
    if not record.file or record.overrides is None:
        return ["STUDY"]
    words = [_shown(record.file)]
    for override in record.overrides:
        if not override.startswith("strategy.seed="):
            words += ["--set", override]
    return words


def _shown(file: str) -> str:
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
