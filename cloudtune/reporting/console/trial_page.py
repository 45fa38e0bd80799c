"""A trial, and the trials that failed, as sanitized lines of text."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cloudtune.reporting.phrases import format_objectives, format_seconds, visible_value
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.aggregate import failures_by_cause
from cloudtune.results.failure import error_line, failing_frame, sample_lines
from cloudtune.results.outcomes import describe_broken
from cloudtune.study.quantities import format_cost

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult, Trial

_MAX_LOG_LINE = 200
"""Characters of a line of a log."""


def format_trial(result: StudyResult, trial: Trial, *, has_log: bool) -> list[str]:
    """Return all that is known of a trial, one value on each line."""
    emulated = " (emulated)" if result.emulated else ""
    lines = [f"trial {trial.number} of run {result.run} on {result.provider}{emulated}"]
    facts = {
        "state": trial.state.replace("_", " "),
        "reason": trial.reason,
        "objective": format_objectives(result.study, trial),
    }
    if trial.proposal:
        facts["proposed"] = trial.why or "from outside"
    if trial.broken:
        facts["constraints"] = describe_broken(result.study, trial)
    facts |= {
        name: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
        for name, seconds in (("started", trial.started), ("ended", trial.ended))
        if seconds is not None
    }
    if trial.seconds is not None:
        facts["run time"] = format_seconds(trial.seconds)
    if trial.waited:
        facts["waited"] = format_seconds(trial.waited)
    if trial.cost:
        least = trial.cost.at_least
        bound = "" if least is None else f"{format_cost(least)} to "
        most = format_cost(trial.cost.amount, trial.cost.currency)
        facts["cost"] = f"{bound}{most} ({trial.cost.basis})"
    for name in (
        "machine",
        "resource",
        "replaces",
        "retries",
        "exit_code",
        "word",
        "log",
        "artifacts",
    ):
        value = getattr(trial, name)
        facts[name.replace("_", " ")] = "" if value is None else str(value)
    width = max(map(len, facts))
    lines += [f"  {name:{width}}   {value}" for name, value in facts.items() if value]
    blocks = {
        "parameters": {name: visible_value(value) for name, value in trial.parameters.items()},
        "last metrics": {name: f"{value:.6g}" for name, value in trial.metrics.items()},
    }
    for title, values in blocks.items():
        width = max(map(len, values), default=0)
        lines += [f"  {title}"] if values else []
        lines += [f"    {name:{width}}   {value}" for name, value in values.items()]
    if len(trial.measurements) > 1:
        lines.append("  measurements")
        for each in trial.measurements:
            metrics = "  ".join(f"{name} {value:.6g}" for name, value in each.metrics.items())
            lines.append(f"    step {each.step}: {metrics}")
    lines += [f"  | {line}" for line in trial.log_tail.splitlines()]
    if has_log:
        lines.append(f"  output: {_log_command(result, trial)}")
    return [sanitize_line(line) for line in lines]


def format_failures(result: StudyResult) -> list[str]:
    """Return the failures of a job by cause, with the last lines of the first trial's log."""
    lines: list[str] = []
    for cause in failures_by_cause([result]):
        first = cause.first
        count = f"{cause.count} trials" if cause.count > 1 else f"trial {first.number}"
        lines.append(f"failed: {count}: {first.reason or cause.reason}")
        if first.exit_code == 0:
            shown = sample_lines(first.log_tail, [o.metric for o in result.study.objectives])
        else:
            shown = failing_frame(first.log_tail) or first.log_tail.splitlines()[-3:-1]
            last = error_line(first.log_tail)
            shown += [last] if last not in cause.reason else []
        lines += [f"  | {line[:_MAX_LOG_LINE]}" for line in shown]
        if _may_have_log(result, first):
            lines.append(f"  log: {_log_command(result, first)}")
    return [sanitize_line(line) for line in lines]


def _may_have_log(result: StudyResult, trial: Trial) -> bool:
    from cloudtune.provider import registry

    if trial.log or trial.log_tail or trial.exit_code is not None:
        return True
    return bool(trial.word) and registry.has_mode(
        result.provider, result.mode
    )  # a tool has no logs


def _log_command(result: StudyResult, trial: Trial) -> str:
    return f"cloudtune logs {result.run} {trial.number} --on {result.provider}"
