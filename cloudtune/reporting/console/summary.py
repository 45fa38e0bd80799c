"""Runs as lines of text and as rows of tables.

Names, values, and reasons may come from anywhere, so each line is sanitized.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.fitting.capabilities import DRIVEN, Capabilities, ModeCapabilities
from cloudtune.launcher.values import expand_maps
from cloudtune.reporting.phrases import (
    describe_choice,
    format_best,
    format_objective_values,
    format_objectives,
    format_parameters,
    format_seconds,
    visible_value,
)
from cloudtune.reporting.sanitize import format_json, sanitize_line
from cloudtune.results.aggregate import (
    count_states,
    equal_results,
    failures_by_cause,
    limit_changes,
    misread_trials,
)
from cloudtune.results.failure import error_line, failing_frame, sample_lines
from cloudtune.results.model import job_state, script_values
from cloudtune.results.outcomes import describe_broken, explain_infeasible
from cloudtune.study.quantities import format_count
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult, Trial


_LIST_WIDTH = 79
_MAX_LOG_LINE = 200
"""Characters of a line of a log in a summary."""


def format_reuse(study: Study, trial: Trial, source: str) -> list[str]:
    """Return a trial's parameters as JSON and as arguments for the script in the source folder.

    The arguments are omitted if the script takes none, or if they cannot be printed exactly.
    """
    from cloudtune.study.arguments import script_arguments, takes_arguments

    arguments = script_arguments(study, script_values(study, trial), source)
    lines = [f"  as JSON: {format_json(expand_maps(study.maps, trial.parameters))}"]
    command = shlex.join(arguments)
    exact = "{{" not in command and command == sanitize_line(command)
    if arguments and exact and takes_arguments(study, source):
        lines.append(f"  as arguments: {command}")
    return lines


def format_choice(result: StudyResult) -> list[str]:
    """Return which trial the model would take, if it is not the best one.

    Not after a strategy that needs no model: to load one takes as long as a hundred short trials.
    """
    from cloudtune.search.model_choice import model_choice

    strategy = result.study.strategy.name
    needs_no_model = STRATEGIES[strategy].is_sequence and strategy != "external"
    if result.decision or result.confirmation or (needs_no_model and result.mode == "driven"):
        return []
    choice = model_choice(result.study, result.trials)
    if choice is None:
        return []
    hint = "" if result.attached else f"; to repeat both: cloudtune confirm {result.run}"
    return [f"{describe_choice(result.study.objectives[0].metric, choice)}{hint}"]


def job_rows(results: Sequence[StudyResult]) -> list[dict[str, Any]]:
    """Return one row for each job; each row has all columns that any job has a value for."""
    rows: list[dict[str, Any]] = [
        {
            "provider": result.provider,
            "emulated": "yes" if result.emulated else None,
            "state": job_state(result),
            "trials": len(result.trials),
            "failed": count_states(result.trials).get("failed", 0),
            "best": format_objective_values(best) if best else None,
            "trial": best.number if best else None,
            "duration": format_elapsed(result),
            "cost": "; ".join(_format_costs(result)) or None,
        }
        for result in results
        for best in [result.best]
    ]
    used = {name for row in rows for name, value in row.items() if value is not None}
    return [{name: value for name, value in row.items() if name in used} for row in rows]


def format_elapsed(result: StudyResult) -> str | None:
    """Return how long a job ran, without idle time; None while it runs."""
    seconds = (result.ended or 0) - (result.started or 0) - (result.idle or 0)
    return format_seconds(seconds) if seconds > 0 else None


def format_summary(result: StudyResult, folder: str) -> list[str]:
    """Return the summary of a job that ended. The folder is that of its run."""
    study = result.study
    trials = result.trials
    elapsed = format_elapsed(result)
    duration = f" in {elapsed}" if elapsed else ""
    counts = ", ".join(
        f"{n} {state.replace('_', ' ')}" for state, n in count_states(trials).items()
    )
    where = f" on {result.provider}{', emulated' if result.emulated else ''}"
    where += "," if result.emulated and elapsed else ""
    if job_state(result) == "refused":
        return [sanitize_line(f"refused{where.removesuffix(',')}: {result.reason}")]
    lines = [f"{format_count(len(trials), 'trial')}{where}{duration}: {counts or 'none'}"]
    lines += [f"cost: {cost}" for cost in _format_costs(result)]
    if result.reason:
        lines.append(f"ended: {result.reason}")
    if len(study.objectives) > 1 and result.pareto:
        lines.append(f"Pareto front of {format_count(len(result.pareto), 'trial')}:")
        for trial in result.pareto:
            lines.append(
                f"  trial {trial.number}  {format_objectives(study, trial)}  "
                f"{format_parameters(trial.parameters)}"
            )
    elif best := result.best:
        lines += [f"best: {format_best(study, best)}"]
        lines += [f"  {name}: {visible_value(value)}" for name, value in best.parameters.items()]
        lines += format_reuse(study, best, f"{folder}/{result.provider}/source")
        lines += format_choice(result)
    elif infeasible := explain_infeasible(study, trials):
        lines.append(infeasible)
    elif any(trial.objective is not None for trial in trials):
        lines.append("no completed trial measured the objective")
    elif any(trial.state != "failed" for trial in trials):
        lines.append("no trial measured the objective")
    if result.best and (misread := misread_trials(result)):
        count = format_count(len(misread), "trial")
        text = f"the best may be another: {count} with misread numbers failed; correct the"
        lines.append(f"{text} expression, and start a new run")
    if result.decision:
        lines.append(f"note: {result.decision.reason}")
    lines += filter(None, [equal_results(trials)])
    lines += format_failures(result)
    if result.link:
        lines.append(f"in the service's console: {result.link}")
    lines += [f"changed: {text}" for text in limit_changes(result)]
    if result.attached:
        lines.append(f"attached: {result.attached}")
    return [sanitize_line(line) for line in lines]


def resume_hints(results: Sequence[StudyResult]) -> list[str]:
    """Return how to resume an interrupted run, or build on it."""
    stopped = [r for r in results if r.state == "cancelled" and r.mode == "managed" and r.job]
    lines = [
        f"{result.provider} stopped its job, which cannot be resumed{_warm_start_hint(result)}"
        for result in stopped
    ]
    lines += [
        f"{result.provider} continues the job; to follow it again: cloudtune resume {result.run}; "
        f"to stop it: cloudtune stop {result.run}"
        for result in results
        if result.state == "running" and result.attached
    ]
    if len(stopped) < len([r for r in results if r.state == "cancelled"]):
        lines.append(f"interrupted; resume with: cloudtune resume {results[0].run}")
    return [sanitize_line(line) for line in lines]


def stop_messages(target: str, results: Sequence[StudyResult]) -> list[str]:
    """Return the confirmation of a request to stop jobs, named in words, and how to resume them."""
    driven = any(result.mode == "driven" for result in results)
    hint = f"; resume with: cloudtune resume {results[0].run}" if driven else ""
    lines = [f"asked {target} to stop{hint}"]
    lines += [
        f"{result.provider} stops the job {result.job}, which was started elsewhere, for everyone"
        for result in results
        if result.attached
    ]
    lines += [
        f"the job on {result.provider} cannot be resumed{_warm_start_hint(result)}"
        for result in results
        if result.mode == "managed"
    ]
    return [sanitize_line(line) for line in lines]


def _warm_start_hint(result: StudyResult) -> str:
    from cloudtune.provider import registry

    if result.provider not in registry.names():  # the tool of an attached run
        return ""
    managed = registry.get(result.provider).capabilities.managed
    if not (managed and managed.warm_start):
        return ""
    return f"; to build on it in a new run, set warm_start: {{from: {result.run}}}"


def _format_costs(result: StudyResult) -> list[str]:
    costs = [trial.cost for trial in result.trials if trial.cost]
    if not costs:
        return []
    total = sum(cost.amount for cost in costs)
    unknown = len(result.trials) - len(costs)
    more = f"; unknown for {format_count(unknown, 'trial')}" if unknown else ""
    if any(cost.at_least is not None for cost in costs):
        least = sum(cost.amount if cost.at_least is None else cost.at_least for cost in costs)
        bounds = f"{least:.2f} to {total:.2f} {costs[0].currency} (estimated"
        return [f"{bounds}, between what the service can bill at least and at most){more}"]
    return [f"about {total:.2f} {costs[0].currency} ({costs[0].basis}){more}"]


def format_trial(result: StudyResult, trial: Trial, *, has_log: bool) -> list[str]:
    """Return all that is known of a trial, one value on each line."""
    import time

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
        bound = "" if least is None else f"{least:.4g} to "
        facts["cost"] = f"{bound}{trial.cost.amount:.4g} {trial.cost.currency} ({trial.cost.basis})"
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


def capability_rows(providers: Sequence[tuple[Capabilities, str | None]]) -> list[dict[str, Any]]:
    """Return one row for each provider and mode, with the extra that it lacks, if any."""
    rows: list[dict[str, Any]] = []
    for each, extra in providers:
        for mode in ("managed", "driven"):
            supported = each.for_mode(mode)
            if supported is not None:
                rows.append(
                    {
                        "provider": each.provider,
                        "mode": mode,
                        "strategies": ", ".join(sorted(supported.strategies)),
                        "parameters": ", ".join(supported.parameters),
                        "conditions": supported.conditions != "none",
                        "early stopping": ", ".join(sorted(supported.early_stopping)),
                        "most trials": supported.max_trials.value if supported.max_trials else None,
                        "verified": each.verified,
                        "missing": extra and f"cloudtune[{extra}]",
                    }
                )
    return rows


def format_capabilities(providers: Sequence[tuple[Capabilities, str | None]]) -> list[str]:
    """Return the providers with their modes as lines of at most 79 columns.

    Each provider comes with the extra that it lacks, if any.
    """
    lines: list[str] = []
    for each, extra in providers:
        missing = f"; to install it: pip install 'cloudtune[{extra}]'" if extra else ""
        lines.append(f"{each.provider}: {each.title}, verified: {each.verified}{missing}")
        for mode in ("managed", "driven"):
            if supported := each.for_mode(mode):
                text = f"  {mode:8} {_describe_mode(supported)}"
                lines += textwrap.wrap(text, _LIST_WIDTH, subsequent_indent=" " * 11)
    return [sanitize_line(line) for line in lines]


def _describe_mode(mode: ModeCapabilities) -> str:
    if mode.strategies == DRIVEN.strategies and mode.parameters == DRIVEN.parameters:
        return "all strategies, parameters, and stopping rules of cloudtune"
    parts = [
        f"strategies {', '.join(sorted(mode.strategies))}",
        f"parameters {', '.join(mode.parameters)}{'' if mode.conditions == 'none' else ', when'}",
        f"early stopping {', '.join(sorted(mode.early_stopping)) or 'none'}",
    ]
    if mode.max_trials:
        parts.append(f"at most {mode.max_trials.value:,} trials")
    return "; ".join(parts)
