"""The verdict of a comparison in sentences, and its numbers with their units, for every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudtune.comparison.comparison import Comparison, GroupSummary, RunSummary, Verdict
from cloudtune.comparison.rankings import Question, RankedGroup, Ranking
from cloudtune.reporting.phrases import format_seconds

_TITLES: dict[Question, str] = {
    "best": "Best objective",
    "first": "First near the best",
    "cheapest": "Cheapest",
}

_NOBODY: dict[Question, str] = {"best": "nobody", "first": "nobody", "cheapest": "not known"}


@dataclass(frozen=True)
class VerdictItem:
    """The answer to one question in words."""

    title: str
    leader: str
    """Who leads, for a large print."""
    value: str
    """With what, in its unit."""
    sentence: str
    certainty: str
    """``settled``, ``not settled`` or ``nothing to compare``."""
    reason: str
    caveats: tuple[str, ...]
    """What makes this number less fair than it looks, beside what is so for all of them."""
    rows: tuple[tuple[str, str, str], ...]
    """Each group with its mean and its interval, or its values; none for a single run."""


def verdict_items(comparison: Comparison, verdict: Verdict) -> list[VerdictItem]:
    """Return the answers of a verdict in words."""
    metric = comparison.objectives[0][0]
    found: list[VerdictItem] = []
    for each in (verdict.best, verdict.first, verdict.cheapest):
        if each is not None:
            found.append(_said(each, _sentence(each, metric, comparison, verdict), verdict))
    if len(comparison.objectives) > 1:
        found.insert(0, _front_said(comparison, verdict))
    return found


def _said(ranking: Ranking, sentence: str, verdict: Verdict) -> VerdictItem:
    top = ranking.entries[0].mean if ranking.leaders else None
    many = sum(len(entry.values) for entry in ranking.entries) > 1
    why = f"{ranking.reason} ({ranking.method})" if ranking.method else ranking.reason
    return VerdictItem(
        title=_TITLES[ranking.question],
        leader=join_words(ranking.leaders) or _NOBODY[ranking.question],
        value="" if top is None else format_with_unit(ranking, top),
        sentence=sentence,
        certainty=ranking.certainty,
        reason=why,
        caveats=_own(verdict, ranking.question),
        rows=tuple(_row(ranking, entry) for entry in ranking.entries) if many else (),
    )


def _sentence(ranking: Ranking, metric: str, comparison: Comparison, verdict: Verdict) -> str:
    who, runs = join_words(ranking.leaders), _runs_of(comparison, ranking.leaders)
    mean = f", on average over {runs} runs" if runs > 1 else ""
    alone = len(verdict.labels) == 1
    entry = ranking.entries[0]
    were = "were" if len(ranking.leaders) > 1 else "was"
    how_much = "" if entry.mean is None else format_with_unit(ranking, entry.mean)
    if ranking.question == "best":
        if not who:
            return f"No group has a value of {metric} for each of its runs."
        same = "about the same best" if len(ranking.leaders) > 1 else "the best"
        found = "reached" if alone else f"found {same}"
        if runs > 1:
            better = max if comparison.objectives[0][1] == "maximize" else min
            top = better(value for value in entry.values if value is not None)
            mean += f"; its best run reached {format_with_unit(ranking, top)}"
        return f"{who} {found} {metric}: {how_much}{mean}."
    if ranking.question == "first":
        sign = "\u2265" if comparison.objectives[0][1] == "maximize" else "\u2264"
        near = (
            ""
            if verdict.near_best is None
            else f" ({metric} {sign} {format_number(verdict.near_best)})"
        )
        way = f"within 1 % of the way from the median trial to the best{near}"
        if not who:
            return f"No group came {way} in each of its runs."
        return f"{who} {'came' if alone else f'{were} the first to come'} {way}: {how_much}{mean}."
    if not who:
        return "No group's whole cost is known, so none is called the cheapest."
    unknown = any(entry.mean is None for entry in ranking.entries)
    among = " of those whose cost is known" if unknown else ""
    return f"{who} {'cost' if alone else f'{were} the cheapest{among}:'} {how_much}{mean}."


def _front_said(comparison: Comparison, verdict: Verdict) -> VerdictItem:
    counts = {
        label: sum(trial.label == label for trial in verdict.front) for label in verdict.labels
    }
    most = max(counts.values(), default=0)
    leaders = [label for label, count in counts.items() if count == most and most]
    metrics = join_words([metric for metric, _ in comparison.objectives])
    each = "; ".join(f"{count} by {label}" for label, count in counts.items())
    whole = len(verdict.front)
    return VerdictItem(
        title="Common Pareto front",
        leader=join_words(leaders) or "nobody",
        value=f"{most} of {many(whole, 'trial')}" if whole else "",
        sentence=(
            f"No other trial is better in each of {metrics} than "
            f"{'this one' if whole == 1 else f'these {whole}'}. Found by: {each}."
        ),
        certainty="nothing to compare" if len(verdict.labels) < 2 else "not settled",
        reason=(
            "with several objectives no group is ranked first; how many trials of a front a group "
            "holds also depends on how many it ran"
        ),
        caveats=_own(verdict, "best"),
        rows=tuple((label, f"{count} of {whole}", "") for label, count in counts.items()),
    )


def shared_caveats(verdict: Verdict) -> list[str]:
    """Return what makes every number of a verdict less fair than it looks."""
    return [caveat.text for caveat in verdict.caveats if len(caveat.affects) == len(_TITLES)]


def _own(verdict: Verdict, question: Question) -> tuple[str, ...]:
    everywhere = shared_caveats(verdict)
    return tuple(
        caveat.text
        for caveat in verdict.caveats
        if question in caveat.affects and caveat.text not in everywhere
    )


def _row(ranking: Ranking, entry: RankedGroup) -> tuple[str, str, str]:
    values = [
        "not known" if value is None else format_with_unit(ranking, value) for value in entry.values
    ]
    if entry.mean is None:
        known = [value for value in values if value != "not known"]
        some = f"in {len(known)} of {len(values)} runs" + (
            f": {join_words(known)}" if known else ""
        )
        return entry.label, some if ranking.question == "first" else join_words(values), ""
    mean = format_with_unit(ranking, entry.mean)
    if len(values) == 1:
        return entry.label, mean, "one run"
    if entry.low is None or entry.high is None:
        return entry.label, f"mean {mean}", f"{len(values)} runs: {', '.join(values)}"
    low = entry.low if ranking.question == "best" else max(0.0, entry.low)
    ends = f"{format_with_unit(ranking, low)} to {format_with_unit(ranking, entry.high)}"
    return entry.label, f"mean {mean}", f"95 % interval {ends}, {len(values)} runs"


def _runs_of(comparison: Comparison, labels: Sequence[str]) -> int:
    return min((len(g.runs) for g in comparison.groups if g.label in labels), default=0)


def format_with_unit(ranking: Ranking, value: float) -> str:
    """Return a value of a ranking with its unit."""
    if ranking.question == "first":
        return format_seconds(value)
    if ranking.question == "cheapest":
        return format_cost(value, ranking.unit)
    return format_number(value)


def format_number(value: float) -> str:
    """Return a number for reading."""
    return f"{value:.6g}"


def format_cost(value: float | None, currency: str | None) -> str:
    """Return an amount of money for reading."""
    if value is None:
        return "not known"
    digits = 2 if abs(value) >= 0.995 or not value else 4
    return f"{value:.{digits}f} {currency or ''}".strip()


def format_time(seconds: float | None) -> str:
    """Return a duration for reading."""
    return "not known" if seconds is None else format_seconds(seconds)


def join_words(words: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def verdict_title(verdict: Verdict) -> str:
    """Return what a verdict is about."""
    return "Verdict on the emulators" if verdict.emulated else "Verdict"


def describe_objectives(comparison: Comparison) -> str:
    """Return the objectives in words."""
    return join_words([f"{goal} {metric}" for metric, goal in comparison.objectives])


def format_trial_counts(run: RunSummary) -> str:
    """Return how many trials a run had, by state."""
    each = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in run.trials.items())
    return f"{many(sum(run.trials.values()), 'trial')}: {each}" if each else "no trials"


def many(count: int, word: str) -> str:
    """Return a count with its word, in the plural where it is one."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def describe_comparability(comparison: Comparison) -> list[tuple[str, str]]:
    """Return whether study, script and data were the same, as pairs of what and how."""
    runs = [run for group in comparison.groups for run in group.runs]
    studies = {run.study_hash for run in runs}
    sources = {run.source_hash for run in runs}
    inputs = {tuple(sorted(group.inputs.items())) for group in comparison.groups}
    study = f"{_same(len(studies))} (the seed counts)" if len(studies) > 1 else _same(1)
    script = "not known of every run" if None in sources else _same(len(sources))
    data = _same(len(inputs)) + " by address; the data themselves are not hashed"
    if inputs == {()}:
        data = "the study names no inputs; what the script reads by itself is not known"
    return [("study", study), ("script and its files", script), ("data", data)]


def _same(count: int) -> str:
    return "the same everywhere" if count == 1 else f"{count} different ones"


def trial_chooser(group: GroupSummary) -> str:
    """Return who chose a group's trials."""
    if group.mode == "driven":
        return "cloudtune"
    return "the emulator" if group.emulated else "the service"
