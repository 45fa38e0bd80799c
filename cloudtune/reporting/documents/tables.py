"""The tables of a comparison, for every format."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from statistics import fmean
from textwrap import shorten

from cloudtune.comparison.comparison import Comparison
from cloudtune.comparison.curves import MIN_IDLE_SECONDS
from cloudtune.comparison.groups import RunSummary
from cloudtune.comparison.importance import MIN_TRIALS
from cloudtune.comparison.overview import MAX_TOP_TRIALS
from cloudtune.comparison.rankings import join_words
from cloudtune.comparison.time_breakdown import PHASES
from cloudtune.reporting.documents.search_tables import (
    confirmation_tables,
    explanation_table,
    proposals_table,
)
from cloudtune.reporting.documents.table import Table
from cloudtune.reporting.documents.wording import (
    UNKNOWN,
    describe_comparability,
    format_number,
    format_run_cost,
    format_time,
    format_trial_counts,
    trial_chooser,
)
from cloudtune.reporting.phrases import (
    format_parameters,
    format_short,
    visible_value,
)
from cloudtune.study.quantities import format_cost, format_percent
from cloudtune.study.search_space import Value

_MAX_REASON = 80
"""Characters of a job's reason in the table of runs. The verdict's caveats have all of it."""
_MAX_TRIALS = 50
"""Trials in the table of a Pareto front."""
_PHASE_NAMES = {
    **{phase: PHASES[phase] for phase in ("starting", "training", "ending")},
    "not told": UNKNOWN,
}


def build_tables(comparison: Comparison) -> list[Table]:
    """Return the tables that have rows."""
    tables = [
        top_trials_table(comparison),
        *(table for each in comparison.confirmations for table in confirmation_tables(each)),
        explanation_table(comparison),
        runs_table(comparison),
        front_table(comparison),
        best_trials_table(comparison),
        distance_table(comparison),
        importance_table(comparison),
        time_table(comparison),
        proposals_table(comparison),
        failures_table(comparison),
        findings_table(comparison),
        comparability_table(comparison),
    ]
    return [table for table in tables if table.rows]


def runs_table(comparison: Comparison) -> Table:
    """Return one row for each run, with the reason why it ended if any run has one."""
    any_reason = any(run.reason for group in comparison.groups for run in group.runs)
    rows = tuple(
        (
            group.label,
            run.run,
            trial_chooser(group),
            "its own" if group.own_seed or run.seed is None else f"{run.seed}",
            run.state,
            format_trial_counts(run),
            format_time(run.seconds) + _idle_time(run),
            format_run_cost(group, run),
            *((shorten(run.reason, _MAX_REASON, placeholder="…"),) if any_reason else ()),
        )
        for group in comparison.groups
        for run in group.runs
    )
    columns: tuple[str, ...] = (
        *("group", "run", "trials chosen by", "seed", "state", "trials", "duration", "cost"),
        *(("why it ended",) if any_reason else ()),
    )
    any_idle = any(_idle_time(run) for group in comparison.groups for run in group.runs)
    note = "No process ran the job during idle time; durations include it." if any_idle else ""
    return Table("runs", "Runs", note, columns, rows)


def _idle_time(run: RunSummary) -> str:
    return f" ({format_time(run.idle)} idle)" if (run.idle or 0.0) >= MIN_IDLE_SECONDS else ""


def top_trials_table(comparison: Comparison) -> Table:
    """Return the best trials of each group that is not compared with others.

    With several objectives, the table of the Pareto front has them.
    """
    overviews = [verdict.overview for verdict in comparison.verdicts if verdict.overview]
    if len(comparison.objectives) > 1:
        overviews = []
    several = len(overviews) > 1
    names = dict.fromkeys(n for each in overviews for trial in each.top for n in trial.parameters)
    ordered = [name for name in comparison.study.parameters if name in names]
    runs = len({trial.run for each in overviews for trial in each.top}) > 1
    rows = tuple(
        (
            *((trial.label,) if several else ()),
            *((trial.run,) if runs else ()),
            f"{trial.number}{' *' if trial == each.take else ''}",
            *map(format_number, trial.objective),
            *(_short_value(trial.parameters.get(name)) for name in ordered),
        )
        for each in overviews
        for trial in each.top
    )
    metrics = (metric for metric, _ in comparison.objectives)
    groups = (*(("group",) if several else ()), *(("run",) if runs else ()))
    columns = (*groups, "trial", *metrics, *ordered)
    most = max((len(each.top) for each in overviews), default=0)
    title = "The best trials" if several or most < MAX_TOP_TRIALS else "The ten best trials"
    note = "`cloudtune results` prints all trials. A blank parameter was not active."
    if any(each.confirmation for each in overviews):
        title += " of the search"
    if any(each.take in each.top for each in overviews):
        note = f"A star marks the trial to take by its repetitions. {note}"
    return Table("top", title, note, columns, rows)


def _short_value(value: Value | None) -> str:
    if value is None:
        return ""
    return visible_value(value) if isinstance(value, str) else format_short(value)


def front_table(comparison: Comparison) -> Table:
    """Return the trials of the common Pareto front, ordered by the first objective."""
    several_verdicts = len(comparison.verdicts) > 1
    maximize = comparison.objectives[0][1] == "maximize"
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for verdict in comparison.verdicts:
        front = sorted(verdict.front, key=lambda trial: trial.objective[0], reverse=maximize)
        for trial in front[:_MAX_TRIALS]:
            values = map(format_number, trial.objective)
            parameters = format_parameters(trial.parameters)
            rows.append((trial.label, trial.run, f"{trial.number}", *values, parameters))
        if len(front) > _MAX_TRIALS:
            of = " of the emulators" if several_verdicts and verdict.emulated else ""
            notes.append(f"The first {_MAX_TRIALS} of {len(front)} trials{of}; `--json` has all.")
    metrics = (metric for metric, _ in comparison.objectives)
    columns = ("group", "run", "trial", *metrics, "parameters")
    return Table("front", "Common Pareto front", " ".join(notes), columns, tuple(rows))


def best_trials_table(comparison: Comparison) -> Table:
    """Return the best parameters: one row for each parameter, one column for each group."""
    trials = comparison.best_trials
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    metric = comparison.objectives[0][0]
    rows = [
        (metric, *(format_number(trial.value) for trial in trials)),
        ("trial", *(f"{trial.number} of run {trial.run}" for trial in trials)),
    ]
    for name in names:
        values = (trial.parameters.get(name) for trial in trials)
        rows.append((name, *("" if value is None else visible_value(value) for value in values)))
    columns = ("parameter", *(trial.label for trial in trials))
    note = "The best trial of each group. A blank parameter was not active."
    # The overview of a single group shows its best parameters.
    alone = len(trials) == 1 and any(verdict.overview for verdict in comparison.verdicts)
    shown = bool(trials) and not alone
    return Table("answers", "Best parameters", note, columns, tuple(rows if shown else ()))


def distance_table(comparison: Comparison) -> Table:
    """Return the distances between the best parameters."""
    rows = tuple(
        (
            pair.left,
            pair.right,
            "different parameters" if pair.distance is None else _format_distance(pair.distance),
        )
        for pair in comparison.distances
    )
    note = (
        "Gower's distance, from 0 (equal) to 1: the mean over the parameters of the difference "
        "between their values, relative to their range and on their scale; 1 for different "
        "categories, and for a parameter that only one of the two has."
    )
    columns = ("between", "and", "distance")
    return Table("apart", "Distance between the best parameters", note, columns, rows)


def _format_distance(distance: float) -> str:
    """Return a distance with two digits; 0.00 and 1.00 are exactly that."""
    if 0 < distance < 0.005:
        return "< 0.01"
    return f"{min(distance, 0.99) if distance < 1 else distance:.2f}"


def importance_table(comparison: Comparison) -> Table:
    """Return the parameters' importance: one row a parameter, one column a group."""
    several = len(comparison.objectives) > 1
    known = [(each, each.shares) for each in comparison.importances if each.shares]
    names = dict.fromkeys(name for _, shares in known for name in shares)
    means = {name: fmean(shares.get(name, 0.0) for _, shares in known) for name in names}
    rows = tuple(
        (name, *(format_percent(shares[name]) if name in shares else "" for _, shares in known))
        for name in sorted(names, key=lambda name: -means[name])
    )
    notes = [_importance_sentence([shares for _, shares in known])]
    explained = [each.explained or 0.0 for each, _ in known]
    ends = dict.fromkeys(format_percent(end(explained)) for end in (min, max)) if known else ()
    notes.append(
        f"A model of the parameters explains {' to '.join(ends)} of the differences between "
        "trials that it did not learn from."
    )
    notes.append(
        "A share is how much the objective changes, on average over the whole search space, if "
        "only this parameter changes."
    )
    unknown = [each for each in comparison.importances if not each.shares]
    few = dict.fromkeys(each.label for each in unknown if each.explained is None)
    unclear = dict.fromkeys(each.label for each in unknown if each.explained is not None)
    if few:
        why = f"fewer than {MIN_TRIALS} trials count, or all are equal"
        notes.append(f"Unknown for {join_words([*few])}: {why}.")
    if unclear:
        why = "the parameters do not explain the differences between trials"
        notes.append(f"Unknown for {join_words([*unclear])}: {why}.")
    note = " ".join(filter(None, notes))
    titles = (f"{each.label}: {each.metric}" if several else each.label for each, _ in known)
    columns = ("parameter", *titles)
    return Table("importance", "Parameter importance", note, columns, rows)


def _importance_sentence(known: Sequence[dict[str, float]]) -> str:
    """Return the most important parameters in words, if there is one table column."""
    if len(known) != 1:
        return ""
    (shares,) = known
    ranked = sorted(shares, key=lambda name: -shares[name])[:3]
    main, *others = [f"{name} ({format_percent(shares[name])})" for name in ranked]
    minor = [text for text, name in zip(others, ranked[1:], strict=True) if shares[name] >= 0.05]
    then = f", then {join_words(minor)}" if minor else ""
    return f"{main} matters most{then}."


def time_table(comparison: Comparison) -> Table:
    """Return where the time went: one row for each phase, one column for each group."""
    groups = comparison.time_breakdowns
    parallel = (
        UNKNOWN if each.parallel_trials is None else f"{each.parallel_trials:.1f}"
        for each in groups
    )
    rows = (
        ("duration of the jobs", *(format_time(each.wall) for each in groups)),
        ("before the first trial", *(format_time(each.before_first) for each in groups)),
        ("trials at a time", *parallel),
        ("duration of the trials", *(format_time(each.trials) for each in groups)),
        *(
            (
                _PHASE_NAMES.get(phase, phase),
                *(_share(each.phases[phase], each.trials) for each in groups),
            )
            for phase in PHASES
            if any(each.phases[phase] for each in groups)
        ),
    )
    note = (
        f"Totals over all runs of a group. Waiting: {PHASES['waiting']}; it is a part of the time "
        f"until the first metric if a service does not report it. Unknown: {PHASES['not told']}."
    )
    columns = ("time", *(each.label for each in groups))
    return Table("effort", "Where time went", note, columns, rows)


def _share(seconds: float, total: float) -> str:
    return (
        f"{format_time(seconds)} ({format_percent(seconds / total)})" if seconds and total else ""
    )


def failures_table(comparison: Comparison) -> Table:
    """Return the failed trials by cause."""
    rows = tuple(
        (
            each.label,
            f"{each.trials}",
            each.reason,
            shlex.join(["cloudtune", "logs", each.run, f"{each.number}", "--on", each.provider]),
        )
        for each in comparison.failures
    )
    note = "Reasons that differ only in numbers or in other words with a digit are one cause."
    columns = ("group", "trials", "reason of the first trial", "its log")
    title = "Failed trials by cause"
    return Table("failures", title, note, columns, rows, prose=True, command=True)


def findings_table(comparison: Comparison) -> Table:
    """Return the parts of the study that a group could not run exactly."""
    rows = tuple(
        (group.label, finding.kind, finding.path, finding.reason)
        for group in comparison.groups
        for finding in group.findings
    )
    columns = ("group", "finding", "field", "reason")
    title = "What was approximated, dropped, or refused"
    return Table("findings", title, "", columns, rows, prose=True)


def comparability_table(comparison: Comparison) -> Table:
    """Return whether study, script, and data were the same."""
    hashes = [
        (f"{group.label}, run {run.run}", _hashes(run.study_hash, run.source_hash))
        for group in comparison.groups
        for run in group.runs
    ]
    rows = (*describe_comparability(comparison), *hashes)
    return Table("sameness", "Study, script, and data", "", ("subject", "same?"), rows)


def _hashes(study: str, source: str | None) -> str:
    return f"study {study[:12]}, files {source[:12] if source else UNKNOWN}"


def improvements_table(comparison: Comparison) -> Table:
    """Return the improvements of all objectives."""
    rows = tuple(
        (
            curve.label,
            curve.run,
            f"{point.trial}",
            f"{point.trials}",
            format_time(point.seconds),
            UNKNOWN if point.cost is None else format_cost(point.cost),
            format_number(point.value),
        )
        for curve in comparison.curves
        for point in curve.points
    )
    columns = ("group", "run", "trial", "trials ended", "time", "cost so far", "best so far")
    return Table("progress", "Improvements", "", columns, rows)
