"""Whether the metrics of a few starts are found, complete, and change."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from cloudtune.diagnostics import Check
from cloudtune.doctor.captures import (
    Capture,
    ambiguous_line,
    ambiguous_names,
    find_captures,
    misread_numbers,
    output_lines,
    reader_warning,
    suggest_expression,
)
from cloudtune.doctor.corrections import single_metric, whole_number
from cloudtune.doctor.probe import Start
from cloudtune.doctor.trials import Trials
from cloudtune.results.failure import sample_lines
from cloudtune.study.quantities import format_count, format_list
from cloudtune.study.schema import Objective
from cloudtune.study.study import Study
from cloudtune.study.suggestions import did_you_mean

_MIN_CONSTANT = 3
"""Equal measurements of one trial from which on they look like a mistake."""
_MAX_LINE = 100
_MAX_SHOWN = 3
_MIN_SECONDS = 1.0
"""How long a script runs at least for its measurements to be late."""
_LATE = 0.8
_MOMENT = 0.2
"""Seconds within which the lines of a buffer arrive that is flushed when the script ends."""
_SMALLER_IS_BETTER = r"loss|error|err|rmse|mse|mae|mape|perplexity|ppl|latency|wer|cer"
_LARGER_IS_BETTER = r"accuracy|acc|f1|auc|auroc|r2|precision|recall|reward|bleu|rouge|iou|map|score"


def check_metrics(
    study: Study,
    trials: Trials,
    options: Collection[str],
    *,
    is_local: bool,
    reads_arguments: bool = True,
) -> Iterator[Check]:
    """Yield mistakes in the metrics, or the measurements of the objective.

    Args:
        study: The study.
        trials: The trials.
        options: The names of the options that the source defines.
        is_local: Whether the script ran without a service's delays, so that it is known when its
            measurements arrive.
        reads_arguments: Whether the source seems to read arguments at all.
    """
    starts = [start for start in trials.starts if not start.failed]
    lines = [line for start in starts for line in output_lines(start.output)]
    objectives = {each.metric: each for each in study.objectives}
    problems = [
        check
        for name in dict.fromkeys([*objectives, *study.trial.metrics])
        for check in _check_metric(study, name, objectives.get(name), starts, lines)
    ]
    if is_local:
        problems += _check_buffering(starts)
    yield from problems
    errors = any(each.severity == "error" for each in problems)
    if not errors:
        if reads_arguments:
            yield from _check_movement(trials, options)
        else:
            check = _error if len(trials.starts) > 1 and not trials.moves else _warning
            yield check(
                "arguments-unread", "parameters",
                "no file of the source reads arguments: no parser, no sys.argv, no params()",
                "read them, for example by params() of cloudtune.trial",
            )  # fmt: skip
        yield from (_summary(each, starts) for each in study.objectives)


def _check_metric(
    study: Study, name: str, objective: Objective | None, starts: Sequence[Start], lines: list[str]
) -> Iterator[Check]:
    path = f"trial.metrics.{name}" if name in study.trial.metrics else "objective"
    if objective:
        yield from _check_goal(objective)
    by_start = [start.values(name) for start in starts]
    values = [value for each in by_start for value in each]
    found = {text: find_captures(text, lines) for text in study.trial.metrics.get(name, ())}
    if not values and not any(misread_numbers(text, lines) for text in found):
        is_late = any(start.out_of_time for start in starts)
        if objective or found:
            yield _missing(name, path, found, lines, is_late=is_late)
        return
    for text, captures in found.items():
        yield from check_expression(name, path, text, captures, lines)
    yield from _check_values(name, path, by_start, found)
    if objective:
        yield from _check_steps(name, path, starts)
        yield from _check_timing(study, name, starts)


def _check_goal(objective: Objective) -> Iterator[Check]:
    words, goal = objective.metric.lower(), objective.goal
    suspicious = {"maximize": _SMALLER_IS_BETTER, "minimize": _LARGER_IS_BETTER}[goal]
    usual = {"maximize": _LARGER_IS_BETTER, "minimize": _SMALLER_IS_BETTER}[goal]
    parts = re.split(r"[^a-z0-9]+", words)
    if any(re.fullmatch(suspicious, part) for part in parts) and not any(
        re.fullmatch(f"{usual}|neg|negative|minus", part) for part in parts
    ):
        other = "minimize" if goal == "maximize" else "maximize"
        yield _warning(
            "goal", "objective.goal", f"{goal} {objective.metric}: a {objective.metric} is usually "
            f"{other}d", f"set goal: {other}, unless this is intended",
        )  # fmt: skip


def _missing(
    name: str,
    path: str,
    found: dict[str, list[Capture]],
    lines: list[str],
    *,
    is_late: bool,
) -> Check:
    """Return why a metric has no value."""
    suggested = suggest_expression(name, lines)
    fix = f"call report({name}=...) of cloudtune.trial, or print it and set trial.metrics"
    expressions = " or ".join(map(_quote, found))
    invalid = [each for captures in found.values() for each in captures if each.value is None]
    samples = sample_lines("\n".join(lines), [name])
    printed = f"prints: {' | '.join(map(_cut, samples))}" if samples else "prints nothing"
    if invalid:
        last = invalid[-1]
        message = f"{expressions} matches {last.text!r}, not a number, in: {_cut(last.line)}"
        suggested = next(filter(None, (whole_number(name, text, lines) for text in found)), None)
    elif found:
        message = f"no line matches {expressions}; the script {printed}"
    else:
        message = f"the script reports no {name}; it {printed}"
    command = _correction(name, suggested)
    fix = "set in trial:" if command else fix
    if is_late and not invalid:
        return Check(
            severity="unknown", area="script", id="metric-not-yet", path=path,
            message=f"no {name} within --seconds; {message}",
            fix="give it more time with --seconds",
        )  # fmt: skip
    return Check(
        severity="error", area="script", id="metric-missing", path=path, message=message, fix=fix,
        command=command,
    )  # fmt: skip


def check_expression(
    name: str, path: str, expression: str, captures: list[Capture], lines: list[str]
) -> Iterator[Check]:
    """Yield the numbers that an expression reads wrongly, or misses."""
    quoted = _quote(expression)
    misread = misread_numbers(expression, lines)
    cut = [each for each in misread if each.text and each.text != each.number]
    missed = list(dict.fromkeys(each.line for each in misread if not each.text))
    invalid = [each for each in captures if each.value is None]
    is_partial = misread or invalid
    whole = _correction(name, whole_number(name, expression, lines) if is_partial else None)
    fix = "capture the whole number, with sign and exponent"
    if cut:
        parts = list(dict.fromkeys(f"{each.text} of {each.number}" for each in cut))
        shown = format_list(parts, _MAX_SHOWN)
        message = f"{quoted} reads only a part of the number: {shown}"
        yield _expression_check("metric-cut", path, message, fix, correction=whole)
    elif missed:
        message = (
            f"{quoted} does not match the number in: {' | '.join(map(_cut, missed[:_MAX_SHOWN]))}"
        )
        yield _expression_check("metric-missed", path, message, fix, correction=whole)
    elif invalid:
        message = f"{quoted} matches {invalid[0].text!r}, not a number, in: {_cut(invalid[0].line)}"
        check = _expression_check("metric-not-number", path, message, fix, correction=whole)
        yield check if misread else replace(check, severity="warning")
    words, double = ambiguous_names(captures), ambiguous_line(captures)
    names = words or ambiguous_names(captures, several_words=True)
    if words or (names and not double):
        fix, shown = "make it match only one of them", ", ".join(names[:_MAX_SHOWN])
        message = f"{quoted} matches several metrics, {shown}, and the last match counts"
    elif double:
        fix = f"make it also match the name of {name}"
        message = f"{quoted} matches twice, with different values, in: {_cut(double.line)}"
    else:
        warning = "" if misread or invalid else reader_warning(name, expression, lines)
        message, _, fix = warning.partition("; ")
        if warning:
            yield _warning("metric-missed", path, message, fix)
        return
    single = _correction(name, single_metric(name, expression, lines))
    check = _expression_check("metric-ambiguous", path, message, fix, correction=single)
    yield check if words or double else replace(check, severity="warning")


def _expression_check(check: str, path: str, message: str, fix: str, *, correction: str) -> Check:
    """Return an error of an expression, with the correction if it is known."""
    return Check(
        severity="error",
        area="script",
        id=check,
        path=path,
        message=message,
        fix=f"{fix}, in trial:" if correction else fix,
        command=correction,
    )


def _check_values(
    name: str, path: str, by_start: list[list[float]], found: dict[str, list[Capture]]
) -> Iterator[Check]:
    """Yield values that are not finite, or that never change."""
    values = [value for each in by_start for value in each]
    printed = [each.value for captures in found.values() for each in captures]
    infinite = [v for v in [*values, *printed] if v is not None and not math.isfinite(v)]
    if infinite:
        lasts = [each[-1] for each in by_start if each]
        always = not any(map(math.isfinite, lasts))
        message = f"{name} is {infinite[0]} {'in every trial' if always else 'in a trial'}"
        fix = "such a trial has no result: check the bounds of the parameters and the script"
        yield (_error if always else _warning)("metric-not-finite", path, message, fix)
        return
    full = [each for each in by_start if len(each) >= _MIN_CONSTANT]
    if found and full and all(_counts(each) for each in full):
        yield _error(
            "metric-counter", path, f"{name} counts {full[0][0]:g}, {full[0][1]:g}, "
            f"{full[0][2]:g} ...: its expression captures another number",
            "name the group of the value: (?P<value>...), and that of the epoch (?P<step>...)",
        )  # fmt: skip
        return
    if full and all(len(set(each)) == 1 for each in full):
        yield _warning(
            "metric-constant", path,
            f"{name} is {full[0][0]:g} in all {len(full[0])} measurements of a trial",
            "check what the script reports: it does not change while it trains",
        )  # fmt: skip


def _counts(values: Sequence[float]) -> bool:
    """Return whether values are 0, 1, 2 and so on, or 1, 2, 3."""
    return values[0] in {0, 1} and all(after == before + 1 for before, after in pairwise(values))


def _check_steps(name: str, path: str, starts: Sequence[Start]) -> Iterator[Check]:
    for start in starts:
        steps = [each.step for each in start.measured if name in each.metrics]
        for before, after in pairwise(steps):
            if after <= before:
                yield _warning(
                    "steps", path, f"the steps of {name} do not rise: {after} comes after {before}",
                    "report each step once, in order",
                )  # fmt: skip
                return


def _check_timing(study: Study, name: str, starts: Sequence[Start]) -> Iterator[Check]:
    """Yield whether measurements come too late for what needs them during the training."""
    hyperband = study.strategy.name == "hyperband" and study.strategy.resource is None
    needs = "early_stopping" if study.early_stopping else "strategy" if hyperband else ""
    counts = [len(start.values(name)) for start in starts if not start.out_of_time]
    if needs and counts and max(counts) == 1:
        rule = "early stopping" if study.early_stopping else "hyperband"
        yield _warning(
            "metric-late", needs, f"{name} is measured only at the end; {rule} needs it earlier",
            "report it after each epoch, or remove the block",
        )  # fmt: skip


def _check_buffering(starts: Sequence[Start]) -> Iterator[Check]:
    """Yield whether measurements arrive only when the script has ended.

    On a busy machine, the measurements of a script that flushes its output can arrive together,
    too. So no start may contradict.
    """
    starts = [s for s in starts if len(s.arrivals) >= _MIN_CONSTANT and not s.out_of_time]
    if any(start.arrivals[-1] - start.arrivals[0] >= _MOMENT for start in starts):
        return
    for start in starts:
        is_late = start.arrivals[0] - start.begun > _LATE * start.seconds
        if is_late and start.seconds >= _MIN_SECONDS:
            yield _warning(
                "metric-buffered", "trial.metrics",
                f"all {len(start.arrivals)} measurements arrive at the end",
                "flush the output after each line; a pipe in a command buffers it",
            )  # fmt: skip
            return


def _check_movement(trials: Trials, options: Collection[str]) -> Iterator[Check]:
    """Yield whether parameters have no effect."""
    starts = [start for start in trials.starts if not start.failed]
    measured = [start for start in starts if start.measured]
    is_complete = len(measured) > 1 and len(measured) == len(trials.starts)
    first = trials.first.parameters
    differing = {
        name for start in measured for name in first if start.parameters.get(name) != first[name]
    }
    if is_complete and differing and not trials.moves:
        value = measured[0].measured[-1].metrics
        shown = ", ".join(f"{name} {each:g}" for name, each in value.items())
        check = _warning(
            "objective-fixed", "parameters",
            f"{format_count(len(measured), 'trial')} with different parameters all measure "
            f"{shown}", "check that the script reads its parameters, and that they have an effect",
        )  # fmt: skip
        certain = differing <= {*trials.ignored}
        yield replace(check, severity="error") if certain else check
    for name in trials.ignored:
        hint = did_you_mean(name, options)
        yield _warning(
            "parameter-ignored", f"parameters.{name}",
            f"the script has no option {name}, and its value has no effect",
            f"rename it, or make the script read it{f'; {hint}' if hint else ''}",
        )  # fmt: skip

    for name in trials.without_effect:
        low = trials.first.parameters[name]
        high = trials.second.parameters[name] if trials.second else low
        yield _warning(
            "parameter-ignored", f"parameters.{name}",
            f"{name} alone, {low} or {high}, changes no measurement",
            "check that the script uses it; it may matter only with other values of the others",
        )  # fmt: skip


def _summary(objective: Objective, starts: Sequence[Start]) -> Check:
    name = objective.metric
    counts = sorted({len(start.values(name)) for start in starts if start.values(name)})
    lasts = [f"{start.values(name)[-1]:.4g}" for start in starts if start.values(name)]
    times = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0] if counts else 0)
    noun = "measurement" if times == "1" else "measurements"
    message = f"{name} {' and '.join(lasts[:2])}, {times} {noun} each"
    return Check(severity="ok", area="script", id="metric", path="objective", message=message)


def _correction(name: str, expression: str | None) -> str:
    """Return the line of the study with an expression; empty without one."""
    return f"metrics: {{{name}: {_quote(expression)}}}" if expression else ""


def _quote(expression: str) -> str:
    return "'" + expression.replace("'", "''") + "'"


def _cut(line: str) -> str:
    line = line.strip()
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 3]}..."


def _error(name: str, path: str, message: str, fix: str) -> Check:
    return Check(severity="error", area="script", id=name, path=path, message=message, fix=fix)


def _warning(name: str, path: str, message: str, fix: str) -> Check:
    return Check(severity="warning", area="script", id=name, path=path, message=message, fix=fix)
