"""The confirmations of a run, from the ledger."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.errors import LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.results.model import StudyResult
from cloudtune.study.confirmation import Confirmation


def confirmed_run(run: str | None) -> str:
    """Return the ID of a run, or of the one that it confirms.

    Raises:
        UsageError: If there is no such run.
    """
    with Ledger() as ledger:
        record = ledger.run(run, on_damage=_ignore)
        found = Confirmation.from_plan(record.jobs[0].plan) if record.jobs else None
        return found.run if found and ledger.has_run(found.run) else record.id


def confirmed_trial(result: StudyResult) -> tuple[int, str] | None:
    """Return the number of a job's trial to take by its latest confirmation, and why."""
    for found in reversed(confirmations_of([result.run])):
        taken = found.taken
        is_own = found.searched_on == result.provider and not found.is_ablation
        if is_own and taken and taken.number is not None and taken.confirmed:
            text = (
                f"run {found.run} repeated the best trials, and {taken.label} is the best of them"
            )
            return taken.number, f"{text}: {found.metric} {taken.confirmed.mean:.6g} on average"
    return None


def confirmations_of(runs: Collection[str]) -> list[ConfirmationResult]:
    """Return what the runs have found that confirm one of these, the oldest first.

    What cannot be read of them is missing.
    """
    with Ledger() as ledger:
        ids = reversed(ledger.run_ids())
        names = [each for each in ids if any(each.startswith(f"{run}-") for run in runs)]
    found = (
        analyze(replace(job, trials=tuple(trials)))
        for name in names
        for job, trials in read_results(name, on_damage=_ignore)
    )
    return [each for each in found if each and each.confirms in runs]


def _ignore(_: LedgerError) -> None:
    """Ignore damage, which a command about that run reports."""
