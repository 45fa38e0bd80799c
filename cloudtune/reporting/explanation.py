"""What a search believes, and why it chose a trial, in words."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.comparison.explanation import Explanation, Fit, Taken, TrialExplanation
from cloudtune.reporting.phrases import (
    describe_choice,
    format_parameters,
    format_seconds,
    format_short,
    visible_value,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.search.surrogate import MIN_TRIALS, Checked, Prediction
from cloudtune.study.quantities import format_cost, format_count, format_percent


def describe_explanation(found: Explanation | TrialExplanation) -> list[tuple[str, str]]:
    """Return what a search believes, or why it chose a trial, as titles and sentences."""
    items = _trial_items(found) if isinstance(found, TrialExplanation) else _items(found)
    return [(title, sanitize_line(text)) for title, text in items]


def _trial_items(found: TrialExplanation) -> Iterator[tuple[str, str]]:
    yield "Why", f"{found.origin[0].upper()}{found.origin[1:]}."
    yield "Parameters", " ".join(f"{n}={visible_value(v)}" for n, v in found.parameters.items())
    expected = found.expected
    if expected:
        text = f"{_number(expected.mean)} ({_range(expected)})"
        text += f", from {format_count(found.learned_from, 'trial')}"
        if found.best_before is not None:
            text += f" whose best was {_number(found.best_before)}"
        yield "Expected", f"{text}."
    else:
        yield "Expected", f"Nothing: {found.not_expected}."
    if found.value is not None:
        outside = expected and not expected.low <= found.value <= expected.high
        surprise = ", outside of what was expected" if outside else ""
        yield "Measured", f"{_number(found.value)}{surprise}."
    if found.breaks:
        yield "Constraints", f"It {found.breaks}."
    state = found.state.replace("_", " ").capitalize()
    if found.state == "failed":
        yield state, found.reason or "No reason was given."
    elif found.state != "completed":
        yield "State", f"{state}{f': {found.reason}' if found.reason else ''}."


def _items(found: Explanation) -> Iterator[tuple[str, str]]:
    counts = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in found.trials.items())
    broken = f"; {found.broken} of them broke a constraint" if found.broken else ""
    yield "Trials", f"{counts or 'none'}{broken}; chosen by {found.strategy}."
    if found.take:
        yield "Take", _take(found, found.take)
    if found.decision:
        yield "Confirmed", f"{found.decision[0].upper()}{found.decision[1:]}."
    if found.broken and not found.best and not found.take:
        yield "Best", "None: no trial with a result keeps the constraints."
    for index, each in enumerate(found.best):
        text = f"trial {each.number}: {found.metric} {_number(each.value)}"
        if each.predicted:
            text += f", and the others predict {_number(each.predicted.predicted)}"
            text += f" ({_range(each.predicted)})"
        why = f" Proposed: {each.why}." if each.why else ""
        yield (
            ("Best in the search" if found.decision else "Best") if index == 0 else "",
            f"{text}. {format_parameters(each.parameters or {})}.{why}",
        )
    if found.model_choice:
        text = describe_choice(found.metric, found.model_choice)
        yield "Model's choice", f"{text[0].upper()}{text[1:]}."
    if found.fit is None:
        yield "Model", f"None: it needs {MIN_TRIALS} different trials with a result."
    else:
        inside = (
            f"{format_percent(found.fit.within_interval)} of the values are in their 95 % intervals"
        )
        agreement = found.fit.rank_correlation
        rank = f"{min(agreement, 0.99) if agreement < 1 else agreement:.2f}"
        yield (
            "Model",
            f"Each of {found.fit.trials} trials predicted from the others: the order agrees by "
            f"{rank} (1 is all, 0 nothing), and {inside}.{_trust(found.fit)}",
        )
        for odd in found.fit.surprises:
            yield "Surprise", _surprise(found, odd)
    if found.fit and found.fit.reliable and found.broken and not found.predicted_best:
        yield "Predicted best", "None: no assignment was found that probably keeps the constraints."
    if found.predicted_best:
        yield "Predicted best", _prediction(found.predicted_best)
    if found.least_certain:
        yield "Least certain", _prediction(found.least_certain)
    for cause in found.failures:
        count = format_count(cause.trials, "trial")
        yield "Failures", f"{count}, first trial {cause.first}: {cause.reason}"
    if found.failures and found.fit:
        yield "", "What failed, or probably fails by a model of them, is not recommended above."
    if found.noise_floor is not None:
        floor = format_short(found.noise_floor)
        yield "Noise floor", f"Two runs of one setting are up to {floor} apart by chance."
    elif found.confirmed:
        yield "Noise floor", "Unknown: no confirmation has measured it."
    elif found.best:
        yield "Noise floor", f"Unknown; to measure it: cloudtune confirm {found.run} --baseline"
    for hit in found.at_bounds:
        is_at = hit.value == hit.bound
        where = (
            f"{hit.parameter} is" if is_at else f"{hit.parameter} = {format_short(hit.value)} is"
        )
        where += f" {'at' if is_at else 'near'} its {hit.side} of {format_short(hit.bound)}"
        yield "At a bound", f"{where} in the best trial, and near it in half of the next best."
    left = [
        *([] if found.left.trials is None else [format_count(found.left.trials, "trial")]),
        *([] if found.left.seconds is None else [format_seconds(found.left.seconds)]),
        *([] if found.left.cost is None else [format_cost(found.left.cost, found.left.currency)]),
    ]
    if left:
        yield "Left", ", ".join(left) + "."


def _take(found: Explanation, taken: Taken) -> str:
    text = f"{taken.label}: {found.metric} {_number(taken.mean)}"
    if taken.low is not None and taken.high is not None:
        text += f" ({_number(taken.low)} to {_number(taken.high)})"
    text += f" over {format_count(taken.seeds, 'seed')}"
    return f"{text}. {format_parameters(taken.parameters)}."


def _surprise(found: Explanation, odd: Checked) -> str:
    run = f" of run {found.run}" if found.take else ""
    text = f"trial {odd.number}{run} has {_number(odd.measured)}, and was expected at"
    return f"{text} {_number(odd.predicted)} ({_range(odd)})."


def _trust(fit: Fit) -> str:
    return "" if fit.reliable else " It knows too little to be trusted, or to predict a best one."


def _prediction(found: Prediction) -> str:
    return f"{_number(found.mean)} ({_range(found)}) at {format_parameters(found.parameters)}."


def _range(found: Prediction | Checked) -> str:
    return f"{_number(found.low)} to {_number(found.high)}"


def _number(value: float) -> str:
    return f"{value:.6g}"
