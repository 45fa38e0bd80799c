"""The tables of a comparison: the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from textwrap import shorten

from cloudtune.comparison.best_so_far import MIN_IDLE_SECONDS
from cloudtune.comparison.comparison import Comparison, RunSummary
from cloudtune.comparison.importance import MIN_TRIALS
from cloudtune.comparison.time_breakdown import PHASES
from cloudtune.reporting.documents.wording import (
    describe_comparability,
    format_cost,
    format_number,
    format_time,
    format_trial_counts,
    trial_chooser,
)
from cloudtune.reporting.phrases import format_short
from cloudtune.study.search_space import Value, format_value

_WHY = 80
"""Characters of a job's reason in the table of the runs; the verdict's cautions have all of it."""
_FRONT = 50
"""Trials of a front that a table shows."""


@dataclass(frozen=True)
class Table:
    """A table with all its cells in words."""

    id: str
    title: str
    note: str
    """What a reader has to know beside it."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: bool = False
    """Whether the last columns are sentences, too long for the width of a terminal."""
    command: bool = False
    """Whether the last column is a command, which must stay on one line."""


def build_tables(comparison: Comparison) -> list[Table]:
    """Return the tables that have something to say."""
    made = [
        runs_table(comparison),
        front_table(comparison),
        best_trials_table(comparison),
        distance_table(comparison),
        importance_table(comparison),
        time_table(comparison),
        failures_table(comparison),
        findings_table(comparison),
        comparability_table(comparison),
    ]
    return [table for table in made if table.rows]


def runs_table(comparison: Comparison) -> Table:
    """Return one row a run, with why it ended where one of them says so."""
    why = any(run.reason for group in comparison.groups for run in group.runs)
    rows = tuple(
        (
            group.label,
            run.run,
            trial_chooser(group),
            "its own" if group.own_seed else f"{run.seed}",
            run.state,
            format_trial_counts(run),
            _took(run),
            "none: emulated" if group.emulated else format_cost(run.cost, run.currency),
            *((shorten(run.reason, _WHY, placeholder="\N{HORIZONTAL ELLIPSIS}"),) if why else ()),
        )
        for group in comparison.groups
        for run in group.runs
    )
    columns: tuple[str, ...] = (
        *("on", "run", "trials chosen by", "seed", "state", "trials", "took", "cost"),
        *(("why it ended",) if why else ()),
    )
    idle = any(_idle(run) for group in comparison.groups for run in group.runs)
    note = "Idle is time in which nobody ran the job; it counts." if idle else ""
    return Table("runs", "Runs", note, columns, rows)


def _took(run: RunSummary) -> str:
    return format_time(run.seconds) + _idle(run)


def _idle(run: RunSummary) -> str:
    return f" ({format_time(run.idle)} idle)" if run.idle and run.idle >= MIN_IDLE_SECONDS else ""


def front_table(comparison: Comparison) -> Table:
    """Return the trials of the common Pareto front, best in the first objective first."""
    several = len(comparison.verdicts) > 1
    up = comparison.objectives[0][1] == "maximize"
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for verdict in comparison.verdicts:
        front = sorted(verdict.front, key=lambda trial: trial.objective[0], reverse=up)
        for trial in front[:_FRONT]:
            said = " ".join(
                f"{name}={format_short(value)}" for name, value in trial.parameters.items()
            )
            at = trial.label, trial.run, f"{trial.number}"
            rows.append((*at, *map(format_number, trial.objective), said))
        if len(front) > _FRONT:
            of = " of the emulators" if several and verdict.emulated else ""
            notes.append(f"The first {_FRONT} of {len(front)}{of}; `--json` has all.")
    metrics = (metric for metric, _ in comparison.objectives)
    columns = ("on", "run", "trial", *metrics, "parameters")
    return Table("front", "Common Pareto front", " ".join(notes), columns, tuple(rows))


def best_trials_table(comparison: Comparison) -> Table:
    """Return the best parameters side by side: one row a parameter, one column a group."""
    found = comparison.best_trials
    names = dict.fromkeys(name for answer in found for name in answer.parameters)
    metric = comparison.objectives[0][0]
    rows = [
        (metric, *(format_number(answer.value) for answer in found)),
        ("trial", *(f"{answer.number} of run {answer.run}" for answer in found)),
    ]
    for name in names:
        cells = (
            _seen(answer.parameters[name]) if name in answer.parameters else "" for answer in found
        )
        rows.append((name, *cells))
    columns = ("parameter", *(answer.label for answer in found))
    note = "The best trial of each. A blank parameter was not active."
    return Table("answers", "Best parameters", note, columns, tuple(rows) if found else ())


def _seen(value: Value) -> str:
    """Return a value as its text, in quotes where nothing of that could be seen."""
    said = format_value(value)
    return said if said.strip() else repr(said)


def distance_table(comparison: Comparison) -> Table:
    """Return how far apart the best parameters are."""
    rows = tuple(
        (
            pair.left,
            pair.right,
            "different parameters" if pair.distance is None else f"{pair.distance:.2f}",
        )
        for pair in comparison.distances
    )
    note = (
        "Gower's distance from 0 (the same) to 1: the mean over the parameters of how far apart "
        "their values lie on their scales; 1 for different categories, and for a parameter that "
        "only one of the two has."
    )
    return Table(
        "apart", "How far apart the answers are", note, ("between", "and", "distance"), rows
    )


def importance_table(comparison: Comparison) -> Table:
    """Return which parameters matter: one row a parameter, one column a group."""
    several = len(comparison.objectives) > 1
    told = [each for each in comparison.importances if each.shares]
    names = dict.fromkeys(name for each in told for name in each.shares or {})
    means = {n: fmean((each.shares or {}).get(n, 0.0) for each in told) for n in names}
    rows = tuple(
        (
            name,
            *(
                f"{100 * each.shares[name]:.0f} %" if each.shares and name in each.shares else ""
                for each in told
            ),
        )
        for name in sorted(names, key=lambda name: -means[name])
    )
    few = [each for each in comparison.importances if not each.shares]
    note = (
        f"{comparison.importance_method}: how unevenly a parameter's values are spread among the "
        "best tenth of the trials (at least 5), against all of them; shares of the whole. It "
        "describes where the search looked as well as what worked, and where nothing matters "
        "chance deals out the shares."
    )
    if few:
        labels = ", ".join(dict.fromkeys(each.label for each in few))
        note += f" Not told for {labels}: fewer than {MIN_TRIALS} trials count, or all are alike."
    heads = (f"{each.label}: {each.metric}" if several else each.label for each in told)
    return Table("importance", "Which parameters matter", note, ("parameter", *heads), rows)


def time_table(comparison: Comparison) -> Table:
    """Return where the time went: one row a phase, one column a group."""
    found = comparison.time_breakdowns
    busy = ("not known" if e.at_a_time is None else f"{e.at_a_time:.1f}" for e in found)
    rows = (
        ("wall-clock", *(format_time(each.wall) for each in found)),
        ("before the first trial", *(format_time(each.before_first) for each in found)),
        ("trials at a time", *busy),
        ("in trials", *(format_time(each.trials) for each in found)),
        *((phase, *(_share(e.phases[phase], e.trials) for e in found)) for phase in PHASES),
    )
    said = "; ".join(f"{phase}: {words}" for phase, words in PHASES.items())
    note = (
        f"Over all runs of a group. {said[0].upper()}{said[1:]}. Where a service does not tell how "
        "long a trial waited, that is part of starting."
    )
    columns = ("time", *(each.label for each in found))
    return Table("effort", "Where time went", note, columns, rows)


def _share(seconds: float, whole: float) -> str:
    return f"{format_time(seconds)} ({100 * seconds / whole:.0f} %)" if seconds and whole else ""


def failures_table(comparison: Comparison) -> Table:
    """Return the failures by cause."""
    rows = tuple(
        (
            each.label,
            f"{each.trials}",
            each.reason,
            shlex.join(["cloudtune", "logs", each.run, f"{each.number}", "--on", each.provider]),
        )
        for each in comparison.failures
    )
    note = "Reasons that differ only in numbers, or in other words with a digit, count as one."
    columns = ("on", "trials", "cause, as the first of them says it", "its log")
    said = "Failed trials by cause"
    return Table("failures", said, note, columns, rows, prose=True, command=True)


def findings_table(comparison: Comparison) -> Table:
    """Return what each group could not hold of the study."""
    rows = tuple(
        (group.label, finding.kind, finding.path, finding.reason)
        for group in comparison.groups
        for finding in group.findings
    )
    columns = ("on", "what", "field", "why")
    return Table("findings", "What was approximated or dropped", "", columns, rows, prose=True)


def comparability_table(comparison: Comparison) -> Table:
    """Return whether study, script and data were the same."""
    hashes = [
        (f"{group.label}, run {run.run}", _hashes(run.study_hash, run.source_hash))
        for group in comparison.groups
        for run in group.runs
    ]
    rows = (*describe_comparability(comparison), *hashes)
    return Table("sameness", "Was it the same?", "", ("what", "how"), rows)


def _hashes(study: str, source: str | None) -> str:
    return f"study {study[:12]}, files {source[:12] if source else 'not known'}"


def improvement_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield the moments at which something became better, as rows."""
    for curve in comparison.curves:
        for point in curve.points:
            yield (
                curve.label,
                curve.run,
                f"{point.trial}",
                f"{point.trials}",
                format_time(point.seconds),
                "not known" if point.cost is None else f"{point.cost:.4g}",
                format_number(point.value),
            )
