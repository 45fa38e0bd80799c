"""The tables of what a search believes, what was proposed to it, and what confirmed it."""

from __future__ import annotations

from cloudtune.comparison.comparison import Comparison
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.reporting.confirmation import confirmation_columns, describe_confirmation
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.explanation import describe_explanation
from cloudtune.reporting.phrases import format_objectives

_BELIEFS = {"Model", "Surprise", "Predicted best", "Least certain", "Noise floor"}
"""The items of an explanation that no other part of a report has."""
_MAX_PROPOSED = 50


def confirmation_tables(result: ConfirmationResult) -> tuple[Table, Table]:
    """Return what a confirmation found in words, and its candidates."""
    facts = tuple(describe_confirmation(result))
    columns = confirmation_columns(result)
    where = " at an emulator" if result.emulated else ""
    title = f"Is the gain real? Run {result.run} repeats run {result.confirms}{where}"
    note = (
        "A star marks the trial to take. The intervals of the differences hold together in 95 of "
        "100 confirmations, at whatever seed these end, and so do those of the means."
    )
    return (
        Table(f"confirmation-{result.run}", title, "", ("question", "answer"), facts, prose=True),
        Table(
            f"repeated-{result.run}",
            f"The candidates of run {result.run}",
            note,
            tuple(columns),
            tuple(zip(*columns.values(), strict=True)),
        ),
    )


def explanation_table(comparison: Comparison) -> Table:
    """Return what the search of the only group believes, in words."""
    found = comparison.explanation
    items = describe_explanation(found) if found else []
    rows = tuple(item for item in items if item[0] in _BELIEFS)
    title = "What the search believes"
    return Table("explanation", title, "", ("subject", "belief"), rows, prose=True)


def proposals_table(comparison: Comparison) -> Table:
    """Return the trials that were proposed from outside, the latest ones of many."""
    rows = [
        (
            group.label,
            f"{job.run} {trial.number}",
            trial.state.replace("_", " "),
            format_objectives(job.study, trial),
            trial.why,
        )
        for group in comparison.groups
        for job in group.jobs
        for trial in job.trials
        if trial.proposal
    ]
    more = len(rows) - _MAX_PROPOSED
    note = f"The latest of {len(rows)}; `cloudtune results` has all." if more > 0 else ""
    columns = ("group", "run and trial", "state", "result", "why")
    shown = tuple(rows[-_MAX_PROPOSED:])
    return Table("proposals", "Trials that were proposed", note, columns, shown, prose=True)
