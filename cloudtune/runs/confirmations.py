"""The confirmations of a run, from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.choice import decisive
from cloudtune.errors import CloudtuneError, LedgerError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.reader import read_results
from cloudtune.results.model import StudyResult
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.quantities import format_count


def confirmed_run(run: str | None) -> str:
    """Return the ID of a run, or of the one that it confirms.

    Raises:
        UsageError: If there is no such run.
    """
    with Ledger() as ledger:
        record = ledger.run(run, on_damage=_ignore)
        found = Confirmation.from_plan(record.jobs[0].plan) if record.jobs else None
        return found.run if found and ledger.has_run(found.run) else record.id


def confirmed_trial(result: StudyResult) -> tuple[int | None, str] | None:
    """Return the number of a job's trial to take by its confirmations, and why.

    The number is None if each of the repeated trials breaks a constraint.
    """
    own = [each for each in confirmations_of([result.run]) if each.searched_on == result.provider]
    found = decisive(own)
    if found is None:
        return None
    taken = found.taken
    if taken is None:
        return None, (
            f"run {found.run} repeated the best trials of run {result.run}, and each breaks a "
            f"constraint with some seed; `cloudtune confirm {result.run} --top N` repeats more"
        )
    assert taken.confirmed is not None
    rest = "" if found.settled else " on average"
    text = f"run {found.run} repeated the best trials, and {taken.label} is the best of them{rest}"
    text += f": {found.metric} {taken.confirmed.mean:.6g} over {format_count(taken.seeds, 'seed')}"
    if taken.failed:
        text += f"; {taken.failed} of its {taken.seeds + taken.failed} repetitions failed"
    others = sum(each.complete and not each.is_ablation for each in own) - 1
    if others:
        text += f"; {format_count(others, 'other confirmation')} used fewer seeds of its trial"
    return taken.number, text


def confirmations_of(runs: Collection[str]) -> list[ConfirmationResult]:
    """Return what the runs have found that confirm one of these, the oldest first.

    What cannot be read of them is missing.
    """
    return _read([f"{run}-" for run in runs], lambda found: found.confirms in runs)


def known_spread(result: StudyResult, metric: str) -> tuple[float, str] | None:
    """Return the spread of differences between settings that an earlier confirmation measured.

    Of the same code and metric, in standard deviations of a difference on one seed, with the run
    that measured it; None if there is no such run.
    """
    for found in reversed(_read([""], lambda found: found.metric == metric)):
        is_same = found.source_hash is not None and found.source_hash == result.source_hash
        if is_same and found.complete and found.spread is not None:
            return found.spread, found.run
    return None


def _read(
    starts: Sequence[str], is_wanted: Callable[[ConfirmationResult], bool]
) -> list[ConfirmationResult]:
    """Return what the confirmations have found whose IDs start in one of these ways."""
    try:
        with Ledger() as ledger:
            ids = [each for each in reversed(ledger.run_ids()) if "-" in each]
    except CloudtuneError:  # such as no ledger, for results from elsewhere
        return []
    names = [each for each in ids if any(each.startswith(start) for start in starts)]
    found = (
        analyze(replace(job, trials=tuple(trials)))
        for name in names
        for job, trials in read_results(name, on_damage=_ignore)
    )
    return [each for each in found if each and is_wanted(each)]


def _ignore(_: LedgerError) -> None:
    """Ignore damage, which a command about that run reports."""
