"""Runs of the ledger, read to be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cloudtune.errors import CloudtuneError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import RunRecord


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
