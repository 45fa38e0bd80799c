"""The overview of one group of runs in sentences, for every format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cloudtune.comparison.bounds import BoundHit
from cloudtune.comparison.comparison import Comparison, Verdict
from cloudtune.comparison.explanation import Explanation
from cloudtune.comparison.groups import Group
from cloudtune.comparison.overview import LAST_SHARE, ObjectiveOverview, Overview
from cloudtune.comparison.rankings import RankedGroup, join_words
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.reporting.confirmation import describe_gain
from cloudtune.reporting.documents.wording import (
    UNKNOWN,
    format_number,
    shared_caveats,
)
from cloudtune.reporting.phrases import describe_choice, format_seconds, format_short, visible_value
from cloudtune.study.quantities import format_cost, format_count
from cloudtune.study.strategies import STRATEGIES


@dataclass(frozen=True)
class OverviewText:
    """The overview of a group in words."""

    headline: str
    """The best values, and the trial that has them."""
    parameters: tuple[tuple[str, str, str], ...]
    """The name and value of each parameter of the best trial, and the script's default, if known.
    Empty if there is no single best trial."""
    items: tuple[tuple[str, str], ...]
    """A title and a sentence each."""
    caveats: tuple[str, ...]


def describe_overview(comparison: Comparison, verdict: Verdict, overview: Overview) -> OverviewText:
    """Return an overview in words."""
    group = next(group for group in comparison.groups if group.label == overview.label)
    caveats = dict.fromkeys(
        caveat.text for caveat in verdict.caveats if caveat.affects != ("cheapest",)
    )
    shown = dict.fromkeys([*shared_caveats(verdict), *caveats])
    return OverviewText(
        headline=_headline(overview, group),
        parameters=_parameters(overview),
        items=tuple(_items(verdict, overview, group, comparison.explanation)),
        caveats=tuple(text.removeprefix(f"{group.label}: ") for text in shown),
    )


def _headline(overview: Overview, group: Group) -> str:
    only = next(iter(overview.objectives), None)
    if only is None:
        counts = format_count(overview.trials, "trial")
        kept = " and kept the constraints" if any(t.broken for t in group.trials) else ""
        return f"none, since no completed trial measured {_metrics(group)}{kept} ({counts})."
    of = f"of {overview.trials}" if overview.trials > 1 else ""
    if len(overview.objectives) > 1:
        bests = [f"{each.metric} {format_number(each.best)}" for each in overview.objectives]
        front = " ".join(filter(None, [format_count(overview.front, "trial"), of]))
        return f"{front} on the Pareto front. The best of each objective: {join_words(bests)}."
    run = f" of run {only.best_run}" if len(group.runs) > 1 else ""
    if found := overview.confirmation:
        return _confirmed_headline(found, only, run, _source(found, group))
    stopped = "" if _completed(group) else ", which was stopped early"
    where = f"trial {only.best_trial}{run}" if run else f"trial {only.best_trial} {of}".strip()
    return f"{only.metric} {format_number(only.best)} in {where}{stopped}."


def _source(found: ConfirmationResult, group: Group) -> str:
    """Return the run of a confirmation, and that it was emulated if its search was not."""
    where = ", at an emulator" if found.emulated and not group.emulated else ""
    return f"run {found.run}{where}"


def _confirmed_headline(
    found: ConfirmationResult, only: ObjectiveOverview, run: str, source: str
) -> str:
    searched = f"The search had {only.metric} {format_number(only.best)} in trial"
    searched = f"{searched} {only.best_trial}{run}."
    taken = found.taken
    if taken is None or taken.confirmed is None:
        which = found.winner.label if found.is_ablation else "each trial"
        return f"none, since {which} of run {found.run} breaks a constraint. {searched}"
    value = f"{found.metric} {format_number(taken.confirmed.mean)}"
    seeds = format_count(taken.seeds, "seed")
    if taken.failed:
        seeds += f", and {format_count(taken.failed, 'repetition')} failed"
    return f"{taken.label}{run}, {value} over {seeds} ({source}). {searched}"


def _metrics(group: Group) -> str:
    return join_words([each.metric for each in group.jobs[0].study.objectives])


def _completed(group: Group) -> bool:
    return any(t.state == "completed" and t.objective for job in group.jobs for t in job.trials)


def _parameters(overview: Overview) -> tuple[tuple[str, str, str], ...]:
    shown = overview.best
    if shown is None:
        return ()
    rows: list[tuple[str, str, str]] = []
    for name, value in shown.parameters.items():
        default = overview.defaults.get(name)
        same = default is not None and default == value
        note = "" if default is None or same else f"script's default: {format_short(default)}"
        rows.append((name, visible_value(value), note))
    return tuple(rows)


def _items(
    verdict: Verdict, overview: Overview, group: Group, believed: Explanation | None
) -> Iterator[tuple[str, str]]:
    several = len(overview.objectives) > 1
    for each in overview.objectives:
        suffix = f" in {each.metric}" if several else ""
        yield f"Gain{' in the search' if overview.confirmation else ''}{suffix}", _gain(each)
        yield from _confirmed(overview, group, each, suffix)
    is_of_best = believed and {believed.run} == {each.best_run for each in overview.objectives}
    if is_of_best and believed and believed.model_choice:
        text = describe_choice(believed.metric, believed.model_choice)
        yield "Model's choice", f"{text[0].upper()}{text[1:]}."
    if len(group.runs) > 1 and verdict.best is not None:
        yield "Runs", _repetitions(verdict.best.entries[0], len(group.runs))
    strategy = group.jobs[0].study.strategy.name
    traits = STRATEGIES[strategy]
    searched = overview.trials > 1 and not traits.ends_itself  # whose order is arbitrary
    for each in overview.objectives if searched else ():
        suffix = f" in {each.metric}" if several else ""
        more = "within these bounds" if overview.bounds else "like these"
        outlook = f"More trials {more} are unlikely to help."
        if traits.is_sequence and not traits.has_fixed_order:
            outlook = (
                f"A {strategy} search does not learn from its trials, so as many trials again "
                "find a better value in about one of two cases."
            )
        yield f"Search{suffix}", _progress(each, outlook)
    if overview.bounds:
        yield "Bounds", " ".join(map(_bound, overview.bounds))
    yield "Cost", _cost(group)


def _confirmed(
    overview: Overview, group: Group, each: ObjectiveOverview, suffix: str
) -> Iterator[tuple[str, str]]:
    """Yield what the confirmation says that decides."""
    found = overview.confirmation
    if found is None:
        return
    if gain := describe_gain(found):
        where = "" if found.metric == each.metric else f" in {found.metric}"
        yield f"Confirmed gain{where or suffix}", gain
    if found.metric == each.metric and found.noise_floor:
        apart = f"two runs of one setting are up to {format_short(found.noise_floor)} apart"
        text = f"By chance, {apart} ({_source(found, group)})."
        yield f"Noise floor{suffix}", f"{text} {_exceeding(found, each)}".strip()


def _exceeding(found: ConfirmationResult, each: ObjectiveOverview) -> str:
    """Return which gains of the repeated trial over single ones exceed the noise floor.

    The best value of the search does not count, since it was chosen for its luck.
    """
    taken = found.taken
    if taken is None or taken.confirmed is None or found.noise_floor is None:
        return ""
    value = f"Repeated, {taken.label} has {format_number(taken.confirmed.mean)}"
    sign = 1 if each.goal == "maximize" else -1
    bound = taken.confirmed.low if sign > 0 else taken.confirmed.high
    repeated = {candidate.number for candidate in found.candidates}
    references = [
        (name, sign * (bound - reference)) if bound is not None else (name, -math.inf)
        for name, reference, number in _references(each)
        if number is None or number not in repeated
    ]
    above = [name for name, gain in references if gain > found.noise_floor]
    below = [name for name, gain in references if gain <= found.noise_floor]
    parts = [f"its gain over {join_words(above)} exceeds that"] if above else []
    parts += [f"a gain over {join_words(below)} is not shown to exceed it"] if below else []
    return f"{value}: {', and '.join(parts)}." if parts else f"{value}."


def _references(each: ObjectiveOverview) -> list[tuple[str, float, int | None]]:
    """Return what the best value is compared with: a name, a value, and its trial."""
    references: list[tuple[str, float, int | None]] = []
    if each.best_trial != each.first_trial:
        references.append(("the first trial", each.first, each.first_trial))
    if each.default is not None and each.best_trial != each.default_trial:
        references.append(("the script's defaults", each.default, each.default_trial))
    return [*references, ("the median trial", each.median, None)]


def _gain(each: ObjectiveOverview) -> str:
    if each.trials == 1 and each.best_trial == each.first_trial:
        return "There is only one trial, so there is nothing to gain over."
    parts = [_difference(each, name, value) for name, value, _ in _references(each)]
    if each.first_breaks:
        parts[0] = f"{parts[0][:-1]}, which breaks a constraint)"
    first = "" if each.best_trial != each.first_trial else "the first trial is the best; "
    sentence = f"{first}{join_words(parts)}."
    return sentence[0].upper() + sentence[1:]


def _difference(each: ObjectiveOverview, name: str, reference: float) -> str:
    gain = abs(each.best - reference)
    if not gain:
        return f"as good as {name} ({format_number(reference)})"
    worse = (reference > each.best) if each.goal == "maximize" else (reference < each.best)
    share = gain / abs(reference) if reference > 0 and each.best > 0 else None
    percent = "" if share is None or share >= 10 else f" or {_percent(share)}"
    direction = "worse" if worse else ("higher" if each.goal == "maximize" else "lower")
    return f"{_three_digits(gain)}{percent} {direction} than {name} ({format_number(reference)})"


def _three_digits(value: float) -> str:
    """Return a number with three significant digits, without an exponent below a billion."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if 999.5 <= value < 1e9 else text


def _percent(share: float) -> str:
    percent = 100 * share
    if 99 < percent < 100:  # a share of the rest remains: never 100 %
        return f"{min(percent, 99.9):.3g} %"
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _repetitions(entry: RankedGroup, runs: int) -> str:
    if entry.mean is None:
        return f"{runs} runs, of which some have no value."
    values = join_words([format_number(value) for value in entry.values if value is not None])
    interval = (
        ""
        if entry.low is None or entry.high is None
        else f", 95 % interval {format_number(entry.low)} to {format_number(entry.high)}"
    )
    mean = format_number(entry.mean)
    return f"The best of each run: {values}; on average over {runs} runs {mean}{interval}."


def _progress(each: ObjectiveOverview, outlook: str) -> str:
    after = each.trials - each.last_improvement
    last = f"the best value came after {each.last_improvement} of {each.trials} trials"
    if each.improving is None:
        return f"Too short to judge: {last}."
    if each.improving:
        return f"Still improving at the end: {last}. More trials may help."
    if each.last_improvement > each.trials * (1 - LAST_SHARE):
        return f"Hardly improving at the end: {last}, and was barely better than the one before."
    return (
        f"No longer improving: {last}, and the {format_count(after, 'trial')} after it "
        f"{'was' if after == 1 else 'were'} no better. {outlook}"
    )


def _bound(hit: BoundHit) -> str:
    side = "lower" if hit.side == "min" else "upper"
    bound = format_short(hit.bound)
    where = f"{hit.parameter} = {format_short(hit.value)} is near its {side} bound {bound}"
    if format_short(hit.value) == bound:
        where = f"{hit.parameter} is at its {side} bound {bound}"
    if hit.wider is None:
        return f"{where}; add values beyond it if they make sense."
    further = format_short(hit.wider)
    return f"{where}; better values may be beyond it, so try {side} bound {further}."


def _cost(group: Group) -> str:
    if group.emulated:
        return "None, since the service was emulated."
    if not group.charges:
        return f"None; {group.provider} charges nothing. {_duration(group)}".strip()
    known = [run.cost for run in group.runs if run.cost is not None]
    if len(known) < len(group.runs):
        return f"{UNKNOWN.capitalize()}. {_duration(group)}".strip()
    total = format_cost(sum(known), group.runs[0].currency)
    if any(run.cost_at_least is not None for run in group.runs):
        least = sum(
            run.cost or 0.0 if run.cost_at_least is None else run.cost_at_least
            for run in group.runs
        )
        total = f"{format_cost(least)} to {total}"
    estimated = any(t.cost and t.cost.basis == "estimated" for t in group.trials)
    basis = ", estimated from the trials' run time and the hourly price" if estimated else ""
    return f"{total}{basis}. {_duration(group)}".strip()


def _duration(group: Group) -> str:
    seconds = [run.seconds - (run.idle or 0) for run in group.runs if run.seconds is not None]
    if len(seconds) < len(group.runs):
        return ""
    runs = f" in {len(seconds)} runs" if len(seconds) > 1 else ""
    return f"It took {format_seconds(sum(seconds))}{runs}."
