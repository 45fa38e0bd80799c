"""The verdict of a comparison in sentences, and numbers with their units, for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.comparison.groups import Group, RunSummary
from cloudtune.comparison.rankings import Question, RankedGroup, Ranking, join_words
from cloudtune.provider import registry
from cloudtune.reporting.phrases import format_seconds
from cloudtune.study.quantities import format_cost, format_count

UNKNOWN = "unknown"

_TITLES: dict[Question, str] = {
    "best": "Best objective",
    "first": "First near the best",
    "cheapest": "Cheapest",
}
_NO_LEADER: dict[Question, str] = {"best": "none", "first": "none", "cheapest": UNKNOWN}


@dataclass(frozen=True)
class VerdictItem:
    """The answer to one question in words."""

    title: str
    leader: str
    """The leading groups."""
    value: str
    """The value of the leaders with its unit."""
    sentence: str
    certainty: str
    """``settled``, ``not settled``, or ``nothing to compare``."""
    reason: str
    """Why the answer is that certain."""
    caveats: tuple[str, ...]
    """The caveats of this answer that do not affect all of them."""
    rows: tuple[tuple[str, str, str], ...]
    """The label of each group, its mean or values, and its interval; empty for a single run."""


def verdict_items(comparison: Comparison, verdict: Verdict) -> list[VerdictItem]:
    """Return the answers of a verdict in words."""
    free = {group.label for group in comparison.groups if not group.charges}
    items = [
        _item(ranking, _sentence(ranking, comparison, verdict), verdict, free)
        for ranking in (verdict.best, verdict.first, verdict.cheapest)
        if ranking is not None
    ]
    return [_front_item(comparison, verdict), *items] if len(comparison.objectives) > 1 else items


def _item(ranking: Ranking, sentence: str, verdict: Verdict, free: set[str]) -> VerdictItem:
    top = ranking.entries[0].mean if ranking.leaders else None
    several_runs = sum(len(entry.values) for entry in ranking.entries) > 1
    return VerdictItem(
        title=_TITLES[ranking.question],
        leader=join_words(ranking.leaders) or _NO_LEADER[ranking.question],
        value="" if top is None else format_with_unit(ranking, top),
        sentence=sentence,
        certainty=ranking.certainty,
        reason=f"{ranking.reason} ({ranking.method})" if ranking.method else ranking.reason,
        caveats=_own_caveats(verdict, ranking.question),
        rows=tuple(_row(ranking, entry, free) for entry in ranking.entries) if several_runs else (),
    )


def _sentence(ranking: Ranking, comparison: Comparison, verdict: Verdict) -> str:
    metric, goal = comparison.objectives[0]
    leaders, runs = join_words(ranking.leaders), _fewest_runs(comparison, ranking.leaders)
    several = len(ranking.leaders) > 1
    only_group = len(verdict.labels) == 1
    first = ranking.entries[0]
    value = "" if first.mean is None else format_with_unit(ranking, first.mean)
    mean = f", on average over {runs} runs" if runs > 1 else ""
    was = "were" if several else "was"
    if ranking.question == "best":
        if not leaders:
            return f"No group has a value of {metric} for each of its runs."
        if runs > 1:
            better = max if goal == "maximize" else min
            top = better(value for value in first.values if value is not None)
            mean += f"; its best run reached {format_with_unit(ranking, top)}"
        if only_group:
            return f"{leaders} reached {metric} {value}{mean}."
        same = "about the same" if several else "the"
        return f"{leaders} found {same} best {metric}: {value}{mean}."
    if ranking.question == "first":
        sign = "\u2265" if goal == "maximize" else "\u2264"
        limit = verdict.near_best
        near = "" if limit is None else f" ({metric} {sign} {format_number(limit)})"
        way = f"within 1 % of the way from the median trial to the best trial{near}"
        if not leaders:
            return f"No group came {way} in each of its runs."
        came = "came" if only_group else f"{was} the first to come"
        return f"{leaders} {came} {way} after {value}{mean}."
    if not leaders:
        return "No group's total cost is known, so none is the cheapest."
    partly_unknown = any(entry.mean is None for entry in ranking.entries)
    among = " of the groups whose cost is known" if partly_unknown else ""
    return f"{leaders} {'cost' if only_group else f'{was} the cheapest{among}:'} {value}{mean}."


def _front_item(comparison: Comparison, verdict: Verdict) -> VerdictItem:
    counts = {
        label: sum(trial.label == label for trial in verdict.front) for label in verdict.labels
    }
    most = max(counts.values(), default=0)
    leaders = [label for label, count in counts.items() if count == most and most]
    metrics = join_words([metric for metric, _ in comparison.objectives])
    origin = "; ".join(f"{count} by {label}" for label, count in counts.items())
    total = len(verdict.front)
    return VerdictItem(
        title="Common Pareto front",
        leader=join_words(leaders) or "none",
        value=f"{most} of {format_count(total, 'trial')}" if total else "",
        sentence=(
            f"No other trial is better in all of {metrics} than "
            f"{'this one' if total == 1 else f'these {total}'}. Found: {origin}."
        ),
        certainty="nothing to compare" if len(verdict.labels) < 2 else "not settled",
        reason=(
            "with several objectives, groups are not ranked; the number of trials that a group has "
            "on the front also depends on how many it ran"
        ),
        caveats=_own_caveats(verdict, "best"),
        rows=tuple((label, f"{count} of {total}", "") for label, count in counts.items()),
    )


def shared_caveats(verdict: Verdict) -> list[str]:
    """Return the caveats that affect every answer of a verdict."""
    return [caveat.text for caveat in verdict.caveats if len(caveat.affects) == len(_TITLES)]


def _own_caveats(verdict: Verdict, question: Question) -> tuple[str, ...]:
    shared = shared_caveats(verdict)
    return tuple(
        caveat.text
        for caveat in verdict.caveats
        if question in caveat.affects and caveat.text not in shared
    )


def _row(ranking: Ranking, entry: RankedGroup, free: set[str]) -> tuple[str, str, str]:
    if ranking.question == "cheapest" and entry.label in free:
        return entry.label, "none", ""
    values = [UNKNOWN if v is None else format_with_unit(ranking, v) for v in entry.values]
    if entry.mean is None:
        known = [value for value in values if value != UNKNOWN]
        if ranking.question != "first":
            return entry.label, join_words(values), ""
        reached = f": {join_words(known)}" if known else ""
        return entry.label, f"in {len(known)} of {len(values)} runs{reached}", ""
    mean = format_with_unit(ranking, entry.mean)
    if len(values) == 1:
        return entry.label, mean, "one run"
    if entry.low is None or entry.high is None:
        return entry.label, f"mean {mean}", f"{len(values)} runs: {', '.join(values)}"
    low = entry.low if ranking.question == "best" else max(0.0, entry.low)
    ends = f"{format_with_unit(ranking, low)} to {format_with_unit(ranking, entry.high)}"
    return entry.label, f"mean {mean}", f"95 % interval {ends}, {len(values)} runs"


def _fewest_runs(comparison: Comparison, labels: Sequence[str]) -> int:
    return min((len(g.runs) for g in comparison.groups if g.label in labels), default=0)


def format_with_unit(ranking: Ranking, value: float) -> str:
    """Return a value of a ranking with its unit."""
    if ranking.question == "first":
        return format_seconds(value)
    if ranking.question == "cheapest":
        return format_cost(value, ranking.unit)
    return format_number(value)


def format_number(value: float) -> str:
    """Return a number with six significant digits."""
    return f"{value:.6g}"


def format_run_cost(group: Group, run: RunSummary) -> str:
    """Return the cost of a run of a group."""
    if group.emulated:
        return "none: emulated"
    if not group.charges:
        return "none"
    return UNKNOWN if run.cost is None else format_cost_range(run, run.cost)


def format_cost_range(run: RunSummary, most: float) -> str:
    """Return what a run has cost, or its two bounds if only they are known."""
    least = "" if run.cost_at_least is None else f"{format_cost(run.cost_at_least)} to "
    return f"{least}{format_cost(most, run.currency)}"


def format_time(seconds: float | None) -> str:
    """Return a duration; None is unknown."""
    return UNKNOWN if seconds is None else format_seconds(seconds)


def verdict_title(verdict: Verdict) -> str:
    """Return the heading of a verdict."""
    return "Verdict on the emulators" if verdict.emulated else "Verdict"


def describe_objectives(comparison: Comparison) -> str:
    """Return the goals and metrics in words."""
    return join_words([f"{goal} {metric}" for metric, goal in comparison.objectives])


def format_trial_counts(run: RunSummary) -> str:
    """Return the number of trials of a run, and how many are in each state."""
    states = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in run.trials.items())
    return f"{format_count(sum(run.trials.values()), 'trial')}: {states}" if states else "no trials"


def describe_comparability(comparison: Comparison) -> list[tuple[str, str]]:
    """Return whether study, script, and data were the same, as pairs of subject and answer."""
    runs = [run for group in comparison.groups for run in group.runs]
    studies = {run.study_hash for run in runs}
    sources = {run.source_hash for run in runs}
    inputs = {tuple(sorted(group.inputs.items())) for group in comparison.groups}
    seed_note = " (including the seed)" if len(studies) > 1 else ""
    script = "unknown for some runs" if None in sources else _versions(len(sources))
    data = f"{_versions(len(inputs))}, judging by address; the data themselves are not hashed"
    if inputs == {()}:
        data = "unknown: the study names no inputs, and the script may read data on its own"
    return [
        ("study", _versions(len(studies)) + seed_note),
        ("script and its files", script),
        ("data", data),
    ]


def _versions(count: int) -> str:
    return "the same everywhere" if count == 1 else f"{count} different versions"


def trial_chooser(group: Group) -> str:
    """Return who chose a group's trials: cloudtune, the service, its emulator, or another tool."""
    if group.mode == "driven":
        return "cloudtune"
    if group.provider not in registry.names():
        return group.provider
    return "the emulator" if group.emulated else "the service"
