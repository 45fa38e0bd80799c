"""What a confirmation found, in words and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cloudtune.comparison.rankings import join_words
from cloudtune.confirmation.analysis import ConfirmationResult, ConfirmedCandidate, Estimate
from cloudtune.reporting.phrases import format_parameters
from cloudtune.study.quantities import format_count

OVERFITTING = (
    "A model that overfits is much better on the training data than on the validation data; one "
    "that underfits is equally bad on both. A search overfits to its validation data if its metric "
    "promises more than data that it never saw."
)
_TOO_FEW = "; that is too few seeds to tell it from chance."
_MAYBE_CHANCE = ". The seeds do not tell it from chance."
_NO_CHANCE = ", which is more than chance."


def describe_confirmation(result: ConfirmationResult) -> list[tuple[str, str]]:
    """Return what a confirmation found, as titles and sentences."""
    return [*_items(result)]


def confirmation_columns(result: ConfirmationResult) -> dict[str, list[str]]:
    """Return the candidates as a table; the one to take has a star."""
    rows = [_row(result, index, each) for index, each in enumerate(result.candidates)]
    titles = [title for title in rows[0] if any(row[title] for row in rows)]
    return {title: [row[title] for row in rows] for title in titles}


def _row(result: ConfirmationResult, index: int, each: ConfirmedCandidate) -> dict[str, str]:
    held_out = result.metric != result.search_metric
    worse = "worse than the winner" if result.is_ablation else "worse than *"
    gap = None
    if each.train_mean is not None and each.search_mean is not None:
        gap = each.train_mean - each.search_mean
    return {
        "candidate": each.label + (" *" if index == result.take else ""),
        f"{result.search_metric} in the search": _searched(result, each.value),
        f"{result.search_metric} repeated": _searched(result, each.search_mean) if held_out else "",
        f"{result.metric}": _confirmed(result, each.confirmed.mean) if each.confirmed else "",
        "95 % interval": _range(each.confirmed, _digits(result)),
        "seeds": str(each.seeds),
        "failed": str(each.failed or ""),
        "breaking a constraint": str(each.broken or each.broken_in),
        worse: _number(each.worse.mean) if each.worse else "",
        "its interval": _range(each.worse),
        f"{result.train_metric}": _number(each.train_mean),
        "gap to training": _number(gap),
        "parameters": format_parameters(each.parameters),
    }


def _items(result: ConfirmationResult) -> Iterator[tuple[str, str]]:
    taken = result.taken
    if not result.complete:
        reason = f" ({result.reason})" if result.reason else ""
        yield "Incomplete", f"The confirmation has not ended as planned{reason}; so far it shows:"
    elif result.reason:
        text = f"A limit ended it before its last seed ({result.reason})"
        yield "Limit", f"{text}. Its intervals hold, but may be wider than planned."
    if result.newer is not None:
        text = f"The search has found trial {result.newer} since, which was not repeated"
        again = f"`cloudtune confirm {result.confirms}` repeats it"
        yield "Outdated", f"{text}, so this does not decide. {again}."
    if taken is None and not result.none_keeps:
        text = f"No confirming trial has measured {result.metric}."
        if result.metric != result.search_metric:
            other = f"`cloudtune confirm {result.confirms} --set confirm.metric=NAME`"
            text += f" If that is not its name in the script: {other}."
        yield "Result", text
        return
    if result.deterministic:
        yield (
            "Seed",
            "All repetitions are bit-equal, so the script does not seem to use the seed. If its "
            "result depends on chance, read $CLOUDTUNE_SEED, or name its argument in "
            "trial.seed_argument. Counts of few cases can be equal by chance; --fixed goes on.",
        )
    elif result.coarse:
        yield (
            "Seed",
            f"{result.metric} is equal in all repetitions of each setting, and other metrics are "
            "not: it has no interval, since it is too coarse, or the seed has no effect on it.",
        )
    if result.is_ablation:
        yield "Changes", _changes(result)
        if result.winner.is_broken:
            yield "Constraints", f"{result.winner.label} {_breaks(result.winner)}."
    else:
        yield "Take", _take(result, taken)
        yield from _promises(result)
        if gain := describe_gain(result):
            yield "Gain", gain
    if result.noise_floor:
        text = f"two runs of one setting are up to {_number(result.noise_floor)} apart"
        yield "Noise floor", f"By chance, {text} in about 19 of 20 cases."
    if result.notes:
        yield "Note", " ".join(result.notes)
    if result.overfitted or result.disagreement:
        yield "Overfitting", _overfitting(result)
    if result.train_metric and any(each.train_mean is not None for each in result.candidates):
        yield "Training", OVERFITTING


def _breaks(each: ConfirmedCandidate) -> str:
    if not each.broken:
        return f"breaks a constraint in run {each.broken_in}"
    return f"breaks a constraint in {each.broken} of {each.seeds} repetitions"


def _take(result: ConfirmationResult, taken: ConfirmedCandidate | None) -> str:
    text = _best_trial(result, taken)
    if taken and (better := result.better_baseline) and better.worse:
        text += f" But {_loss(result, f'the {better.label}', better.worse)}"
    return text


def _best_trial(result: ConfirmationResult, taken: ConfirmedCandidate | None) -> str:
    if taken is None:
        rows = [
            f"{each.label} in {each.broken} of {each.seeds}"
            if each.broken
            else f"{each.label} in run {each.broken_in}"
            for each in _measured(result)
        ]
        text = f"None: each candidate breaks a constraint when it is repeated ({', '.join(rows)})"
        return f"{text}. `cloudtune confirm {result.confirms}` repeats the next best."
    assert taken.confirmed is not None
    what = f"{taken.label}: {result.metric} {_confirmed(result, taken.confirmed.mean)}"
    if bounds := _range(taken.confirmed, _digits(result)):
        what += f", {bounds} at 95 %,"
    what += f" over {format_count(taken.seeds, 'seed')}."
    if taken.failed:
        count = f"{taken.failed} of its {taken.failed + taken.seeds} repetitions"
        what += f" {count} failed, so a run with these parameters may fail, too."
    if out := [
        each.label if each.broken else f"{each.label} (in run {each.broken_in})"
        for each in _measured(result)
        if each.is_broken
    ]:
        what += f" Not taken, since they break a constraint when repeated: {', '.join(out)}."
    barely = [each.label for each in _measured(result) if each.is_barely_measured]
    if barely:
        what += f" Not taken, since too few of their repetitions have a value: {', '.join(barely)}."
    rivals = [
        each
        for each in _measured(result)
        if each.worse and not each.is_broken and not each.is_barely_measured
    ]
    if equal := [each.label for each in result.ties]:
        what += f" {_list(equal)} {'is' if len(equal) == 1 else 'are'} exactly as good."
    rest = [each for each in rivals if each not in result.ties]
    if out and not rivals and result.take == result.baseline:
        what += f" `cloudtune confirm {result.confirms}` repeats the next best."
    if result.deterministic or not rest:
        return what
    others = [each.label for each in rest if each.worse and not (each.worse.low or 0) > 0]
    if not others:
        return f"{what} It is better than the other trials, by their intervals."
    if (rival := result.rival) and rival.worse:
        text = f"{what} On the seeds that two trials share, each is beaten by another, this one by "
        text += f"the least: {rival.label} is better by {_number(-rival.worse.mean)}"
        return f"{text}. The seeds do not separate it from {_list(others)}."
    text = f"{what} It is the best trial on average, each compared on the seeds that both have"
    return f"{text}, but these do not separate it from {_list(others)}."


def _list(labels: list[str]) -> str:
    return " and ".join(labels) if len(labels) < 3 else f"{len(labels)} others"


def _promises(result: ConfirmationResult) -> Iterator[tuple[str, str]]:
    winner = result.winner
    won = "is the best of the search that is repeated," if result.is_next_best else "won the search"
    text = f"{winner.label} {won} with {result.search_metric} {_searched(result, winner.value)}"
    if winner.failed and not winner.seeds:
        yield "Winner", f"{text}. All {winner.failed} repetitions of it failed."
    if winner.value is None or result.luck is None or winner.search_mean is None:
        return
    repeated = _searched(result, winner.search_mean)
    if result.luck > 0:
        text += f". Repeated, it has {repeated}: {_number(result.luck)} was luck"
    else:
        text += f", and repeated it has {repeated}, so that was no luck"
    lead, confirmed = result.lead, result.confirmed_lead
    has_lead = lead is not None and confirmed is not None
    yield (
        "Winner",
        f"{text}." + (f" {_verdict(result)}" if not has_lead and winner.is_broken else ""),
    )
    if lead is None or confirmed is None:
        return
    second = next(c for c in result.candidates[1:] if c.role == "candidate")
    bounds = f" ({_range(confirmed)})" if _range(confirmed) else ""
    text = f"Its lead over {second.label} was {_number(lead)} in the search, and is "
    text += f"{_number(confirmed.mean)}{bounds} when both are repeated"
    yield "Lead", f"{text}. {_verdict(result)}"


def _verdict(result: ConfirmationResult) -> str:
    worse, is_exact = result.winner.worse, result.deterministic
    if result.winner.is_broken:
        return f"The winner does not hold: it {_breaks(result.winner)}."
    if result.winner.is_barely_measured:
        return "Whether the winner holds is open: too few of its repetitions have a value."
    if worse is None:
        holds = result.settled or is_exact
        if rival := result.rival:
            return f"Whether the winner holds is open: {rival.label} is better on common seeds."
        return "The winner holds." if holds else "On average, the winner is still the best."
    if (worse.low is not None and worse.low > 0) or (is_exact and worse.mean > 0):
        return "The winner does not hold."
    taken = result.taken.label if result.taken else ""
    if result.winner in result.ties:
        return f"The winner holds: it is exactly as good as {taken}."
    return f"Whether the winner holds is open: the seeds do not separate it from {taken}."


def describe_gain(result: ConfirmationResult) -> str:
    """Return the gain of the trial to take over the baseline when both are repeated."""
    text = _describe_gain(result)
    each = None if result.baseline is None else result.candidates[result.baseline]
    if not text or each is None or not each.is_broken or result.baseline == result.take:
        return text
    return f"{text} That baseline {_breaks(each)}."


def _describe_gain(result: ConfirmationResult) -> str:
    taken = result.taken
    if result.baseline is None:
        return ""
    if taken is None:
        return "None, since each trial that was repeated breaks a constraint."
    each = result.candidates[result.baseline]
    name = f"the {each.label}" if each.role == "baseline" else each.label
    if result.baseline == result.take:
        return f"None: no trial is better than {name} when it is repeated."
    if each.worse is None:
        return f"Unknown: no repetition of {name} has measured {result.metric}."
    gain, low, high = each.worse.mean, each.worse.low, each.worse.high
    bounds = f" ({_range(each.worse)})" if _range(each.worse) else ""
    text = f"{_number(gain)}{bounds} over {name}"
    if gain < 0:
        return f"None: {_loss(result, name, each.worse)}"
    if result.deterministic or result.coarse:
        return f"{text}."
    if low is None or high is None:
        return f"{text}{_TOO_FEW}"
    if low <= 0 <= high:
        within = result.noise_floor is not None and gain <= result.noise_floor
        floor = ", which is within the noise floor" if within else ""
        return f"{text}{floor}{_MAYBE_CHANCE}"
    if result.noise_floor is None:
        return f"{text}{_NO_CHANCE}"
    floor = f"the noise floor of {_number(result.noise_floor)}"
    if low > result.noise_floor:
        return f"{text}, which exceeds {floor}."
    where = "is within" if gain <= result.noise_floor else "may be within"
    return f"{text}, which {where} {floor}: it is real, but a single run may not show it."


def _loss(result: ConfirmationResult, name: str, worse: Estimate) -> str:
    """Return by how much a baseline is better than the trial to take, and if that may be chance."""
    were = "were" if name.endswith("defaults") else "was"
    text = f"{name} {were} better by {_gain(_negative(worse))}"
    if result.deterministic or result.coarse:
        return f"{text}."
    if worse.low is None or worse.high is None:
        return f"{text}{_TOO_FEW}"
    return f"{text}{_NO_CHANCE if worse.excludes_zero else _MAYBE_CHANCE}"


def _gain(gain: Estimate) -> str:
    bounds = f" ({_range(gain)})" if _range(gain) else ""
    return f"{_number(gain.mean)}{bounds}"


def _changes(result: ConfirmationResult) -> str:
    """Return what each change costs, and why that is unknown where it is."""
    changes = [each for each in result.candidates if each.role == "change"]
    costs = [(each, each.worse) for each in changes if each.worse]
    costs.sort(key=lambda pair: -pair[1].mean)
    absent = [each.label for each in changes if not each.worse]
    exact = [_cost(c, cost) for c, cost in costs if result.deterministic]
    costs = [] if exact else costs
    constant = [_cost(c, cost) for c, cost in costs if c.is_constant]
    known = [(c, cost) for c, cost in costs if _range(cost)]
    few = [c.label for c, cost in costs if not c.is_constant and not _range(cost)]
    clear = [_cost(c, cost) for c, cost in known if cost.excludes_zero]
    unclear = {
        c.label: max(abs(cost.low or 0.0), abs(cost.high or 0.0))
        for c, cost in known
        if not cost.excludes_zero
    }
    sentences = [f"{'; '.join(texts)}." for texts in (exact, clear) if texts]
    if constant:
        sentences.append(f"{'; '.join(constant)}, the same with each seed, so without an interval.")
    if unclear:
        most = f"an effect is at most {_number(max(unclear.values()))}, by its interval"
        sentences.append(f"No clear difference: {join_words([*unclear])}; {most}.")
    if few:
        sentences.append(f"Too few seeds to tell, --fixed --seeds N gives more: {join_words(few)}.")
    if absent:
        sentences.append(f"Not measured: {join_words(absent)}.")
    return " ".join(sentences)


def _cost(change: ConfirmedCandidate, cost: Estimate) -> str:
    if not cost.mean and not _range(cost):
        return f"{change.label} makes no difference"
    if cost.mean < 0:
        return f"{change.label} gains {_gain(_negative(cost))}"
    return f"{change.label} costs {_gain(cost)}"


def _negative(estimate: Estimate) -> Estimate:
    low, high = (None if bound is None else -bound for bound in (estimate.high, estimate.low))
    return Estimate(-estimate.mean, low, high)


def _overfitting(result: ConfirmationResult) -> str:
    texts: list[str] = []
    if found := result.overfitted:
        other = "gains" if found.gain >= 0 else "loses"
        texts.append(
            f"Over {found.over}, {result.winner.label} gains {_number(found.search_gain)} in "
            f"{result.search_metric}, but {other} {_number(abs(found.gain))} in {result.metric}: "
            "the search has overfitted to the data that it saw."
        )
    if result.disagreement and result.taken:
        texts.append(
            f"{result.search_metric} prefers {result.disagreement} to {result.taken.label}, and "
            f"{result.metric} prefers {result.taken.label} to {result.disagreement}."
        )
    return " ".join(texts)


def _measured(result: ConfirmationResult) -> list[ConfirmedCandidate]:
    return [each for each in result.candidates if each.role == "candidate" and each.seeds]


def _confirmed(result: ConfirmationResult, value: float) -> str:
    """Return a value of the metric that decides."""
    return _number(value, _digits(result))


def _searched(result: ConfirmationResult, value: float | None) -> str:
    """Return a value of the metric of the search."""
    if result.metric == result.search_metric:
        return _number(value, _digits(result))
    values = [v for each in result.candidates for v in (each.value, each.search_mean)]
    return _number(value, _digits_of([v for v in values if v is not None], []))


def _digits(result: ConfirmationResult) -> int:
    """Return with how many digits the metric that decides is shown."""
    found = [each.confirmed for each in result.candidates if each.confirmed]
    widths = [e.high - e.low for e in found if e.low is not None and e.high is not None]
    return _digits_of([estimate.mean for estimate in found], widths)


def _digits_of(values: Sequence[float], widths: Sequence[float]) -> int:
    """Return how many digits show two of the narrowest interval, or else of the range of values.

    At least four.
    """
    largest = max(map(abs, values), default=0.0)
    smallest = min(widths) if widths else max(values, default=0.0) - min(values, default=0.0)
    if not 0 < smallest < largest < math.inf:
        return 4
    return min(15, max(4, math.floor(math.log10(largest)) - math.floor(math.log10(smallest)) + 2))


def _number(value: float | None, digits: int = 4) -> str:
    """Return a number with significant digits, and those before the point."""
    if value is None:
        return ""
    is_whole = 10**digits <= abs(value) < 1e9
    return f"{value + 0.0:.0f}" if is_whole else f"{value + 0.0:.{digits}g}"


def _range(estimate: Estimate | None, digits: int = 4) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{_number(estimate.low, digits)} to {_number(estimate.high, digits)}"
