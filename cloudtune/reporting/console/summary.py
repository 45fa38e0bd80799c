"""Runs as lines of text and as rows of tables.

Names, values, and reasons may come from anywhere, so each line is sanitized.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.launcher.values import expand_maps
from cloudtune.reporting.console.trial_page import format_failures
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
    limit_changes,
    metric_warnings,
    misread_trials,
)
from cloudtune.results.model import job_state, script_values
from cloudtune.results.outcomes import explain_infeasible
from cloudtune.study.quantities import format_cost, format_count
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult, Trial


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
    lines += [f"warning: {text}" for text in metric_warnings(trials)]
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
        bounds = f"{format_cost(least)} to {format_cost(total, costs[0].currency)} (estimated"
        return [f"{bounds}, between what the service can bill at least and at most){more}"]
    return [f"about {format_cost(total, costs[0].currency)} ({costs[0].basis}){more}"]
