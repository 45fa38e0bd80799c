"""Plans and runs in words: lines for people, rows for tables and machines.

Names, values and reasons may come from anywhere, so each line for people is made `sanitize_line`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudtune.fitting.capabilities import Capabilities
from cloudtune.reporting.phrases import (
    describe_strategy,
    format_limits,
    format_objective_values,
    format_objectives,
    format_parameters,
    format_seconds,
)
from cloudtune.reporting.sanitize import format_json, sanitize_line
from cloudtune.results.aggregate import count_states, failures_by_cause
from cloudtune.results.model import job_state
from cloudtune.study.quantities import format_count
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan
    from cloudtune.results.model import StudyResult, Trial


_LINE = 200
"""Characters of a line of a log in a summary."""


def format_plan(plan: Plan, *, brief: bool) -> list[str]:
    """Return a plan as lines; brief leaves the request out."""
    from cloudtune.planning.planner import other_mode_findings

    if plan.broken:
        return [sanitize_line(f"{plan.provider}: cannot be planned: {plan.broken}")]
    study = plan.fitted.study
    word = "cannot run this study" if plan.refused else "can run this study"
    emulated = ", emulated here" if plan.facts.emulated else ""
    lines = [f"{plan.provider}: {word}, mode {plan.mode}{emulated}"]
    if not brief:
        lines += [
            f"  strategy   {describe_strategy(study, plan.seed)}",
            f"  limits     {format_limits(study)}",
            f"  survives this machine being switched off: {'yes' if plan.unattended else 'no'}",
            f"  cost       {format_plan_cost(plan)}",
        ]
    for finding in plan.findings:
        lines.append(f"  {location_prefix(plan.study, finding.path)}{finding}")
    for note in plan.notes:
        lines.append(f"  note: {location_prefix(plan.study, note.path)}{note}")
    for mode, findings in other_mode_findings(plan).items():
        what = "; ".join(str(finding) for finding in findings) or "nothing lost"
        lines.append(f"  in {mode} mode: {what}")
    if not brief:
        request = format_json(plan.request, indent=2).split("\n")
        lines += ["  request:", *(f"    {line}" for line in request)]
    return [sanitize_line(line) for line in lines]


def format_plan_cost(plan: Plan) -> str:
    """Return what a plan may cost."""
    from cloudtune.provider.models import CloudSettings

    if plan.facts.emulated:
        return "none: it is emulated"
    if plan.estimate:
        return sanitize_line(str(plan.estimate))
    if not isinstance(plan.settings, CloudSettings):
        return "none"
    return f"unknown: give the price of an hour under providers.{plan.provider}.prices"


def format_reuse(study: Study, trial: Trial, source: str) -> list[str]:
    """Return a trial's parameters as JSON, and as words for the script in the source folder.

    The words are left out where they cannot be shown as they are.
    """
    from cloudtune.reporting.assignment import script_arguments

    words = script_arguments(study, {**study.constants, **trial.parameters}, source)
    lines = [f"  as JSON: {format_json(dict(trial.parameters))}"]
    pasted = shlex.join(words)
    if words and "{{" not in pasted and pasted == sanitize_line(pasted):
        lines.append(f"  as words: {pasted}")
    return lines


def job_rows(found: Sequence[StudyResult]) -> list[dict[str, Any]]:
    """Return one row a job of a run: what became of it."""
    rows = [
        {
            "provider": result.provider,
            "emulated": "yes" if result.emulated else None,
            "state": job_state(result),
            "trials": len(result.trials),
            "failed": count_states(result.trials).get("failed", 0),
            "best": format_objective_values(result.best) if result.best else None,
            "trial": result.best.number if result.best else None,
            "took": format_elapsed(result),
            "cost": "; ".join(_cost_words(result)) or None,
        }
        for result in found
    ]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def format_elapsed(result: StudyResult) -> str | None:
    """Return for how long a job ran, None while it has not ended."""
    seconds = (result.ended or 0) - (result.started or 0) - (result.idle or 0)
    return format_seconds(seconds) if seconds > 0 else None


def format_summary(result: StudyResult, folder: str) -> list[str]:
    """Return what a job's user wants to see at its end."""
    study = result.study
    trials = result.trials
    took = f" in {format_elapsed(result)}" if format_elapsed(result) else ""
    counts = ", ".join(
        f"{n} {state.replace('_', ' ')}" for state, n in count_states(trials).items()
    )
    where = f" on {result.provider}{', emulated' if result.emulated else ''}"
    where += "," if result.emulated and took else ""
    lines = [f"{format_count(len(trials), 'trial')}{where}{took}: {counts or 'none'}"]
    lines += [f"cost: {words}" for words in _cost_words(result)]
    if result.reason:
        word = "refused" if job_state(result) == "refused" else "ended"
        lines.append(f"{word}: {result.reason}")
    if len(study.objectives) > 1:
        lines.append(f"Pareto set of {format_count(len(result.pareto), 'trial')}:")
        for trial in result.pareto:
            lines.append(
                f"  trial {trial.number}  {format_objectives(study, trial)}  "
                f"{format_parameters(trial.parameters)}"
            )
    elif best := result.best:
        lines += [f"best: {format_objectives(study, best)} in trial {best.number}"]
        lines += [f"  {name}: {format_value(value)}" for name, value in best.parameters.items()]
        lines += format_reuse(study, best, f"{folder}/{result.provider}/source")
    elif trials:
        measured = any(trial.objective is not None for trial in trials)
        lines.append(
            "no trial that measured the objective completed"
            if measured
            else "no trial measured the objective"
        )
    lines += format_failures(result)
    if result.link:
        lines.append(f"at the service: {result.link}")
    return [sanitize_line(line) for line in lines]


def resume_hints(found: Sequence[StudyResult]) -> list[str]:
    """Return how an interrupted run goes on."""
    stopped = [r for r in found if r.state == "cancelled" and r.mode == "managed"]
    lines = [
        f"{result.provider} has stopped its job, which cannot go on{_building_on(result)}"
        for result in stopped
    ]
    if len(stopped) < len([r for r in found if r.state == "cancelled"]):
        lines.append(f"interrupted; go on with: cloudtune resume {found[0].run}")
    return [sanitize_line(line) for line in lines]


def stop_messages(what: str, found: Sequence[StudyResult]) -> list[str]:
    """Return what is said when jobs are asked to end, and how each goes on later."""
    driven = any(result.mode == "driven" for result in found)
    later = f"; go on later with: cloudtune resume {found[0].run}" if driven else ""
    lines = [f"asked {what} to end{later}"]
    lines += [
        f"what {result.provider} stops cannot go on{_building_on(result)}"
        for result in found
        if result.mode == "managed"
    ]
    return [sanitize_line(line) for line in lines]


def _building_on(result: StudyResult) -> str:
    from cloudtune.provider import registry

    able = registry.get(result.provider).capabilities.managed
    if not (able and able.warm_start):
        return ""
    return f"; a new run can build on it: warm_start: {{from: {result.run}}}"


def _cost_words(result: StudyResult) -> list[str]:
    costs = [trial.cost for trial in result.trials if trial.cost]
    if not costs:
        return []
    whole = sum(cost.amount for cost in costs)
    unknown = len(result.trials) - len(costs)
    more = f"; unknown of {format_count(unknown, 'trial')}" if unknown else ""
    return [f"about {whole:.2f} {costs[0].currency} ({costs[0].basis}){more}"]


def format_failures(result: StudyResult) -> list[str]:
    """Return the failures of a job by cause, with the last words of the first of each."""
    lines: list[str] = []
    for cause in failures_by_cause([result]):
        first = cause.first
        count = f"{cause.count} trials" if cause.count > 1 else f"trial {first.number}"
        lines.append(f"failed: {count}: {first.reason}")
        lines += [f"  | {line[:_LINE]}" for line in first.log_tail.splitlines()[-3:]]
        lines.append(f"  more: cloudtune logs {result.run} {first.number} --on {result.provider}")
    return [sanitize_line(line) for line in lines]


def capability_rows(found: Sequence[tuple[Capabilities, str | None]]) -> list[dict[str, Any]]:
    """Return one row a provider and mode, for the table of providers.

    Args:
        found: What each can do, and the extra that is not installed but needed to run.
    """
    rows: list[dict[str, Any]] = []
    for each, extra in found:
        for mode in ("managed", "driven"):
            able = each.for_mode(mode)
            if able is not None:
                rows.append(
                    {
                        "provider": each.provider,
                        "mode": mode,
                        "strategies": ", ".join(sorted(able.strategies)),
                        "parameters": ", ".join(able.parameters),
                        "conditions": able.conditions != "none",
                        "early stopping": ", ".join(sorted(able.early_stopping)),
                        "most trials": able.max_trials.value if able.max_trials else None,
                        "verified": each.verified,
                        "missing": extra and f"cloudtune[{extra}]",
                    }
                )
    return rows


def location_prefix(study: Study, path: str) -> str:
    """Return ``file:line: `` for a field of a study that came from a file, else nothing."""
    file, line = study.location(path)
    return f"{file}:{line}: " if file and line else ""
