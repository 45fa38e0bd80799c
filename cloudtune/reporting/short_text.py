"""Studies, plans, results and trials as a few lines of text, which ``print`` and a prompt show."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from cloudtune.doctor.model import Diagnosis
from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.diagnosis import format_checks
from cloudtune.reporting.console.plan_page import describe_cost, describe_verdict
from cloudtune.reporting.console.summary import job_rows
from cloudtune.reporting.phrases import (
    describe_parameter,
    describe_space,
    describe_strategy,
    format_best,
    format_limits,
)
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.aggregate import failures_by_cause
from cloudtune.results.model import JobResults, StudyResult, Trial
from cloudtune.results.outcomes import explain_infeasible
from cloudtune.study.quantities import format_count
from cloudtune.study.search_space import Value, format_value, list_nodes
from cloudtune.study.study import Study

_MAX_LINES = 8
"""Parameters, messages or jobs that are shown."""
_MAX_WIDTH = 160
"""Characters of a line."""
_MAX_PART = 80
"""Characters of a reason, or of a parameter with its value."""


def to_text(value: object) -> str:
    """Return a study, a plan, a result, a trial or a diagnosis as a few lines."""
    match value:
        case Study():
            lines = _study_lines(value)
        case Plan():
            lines = _plan_lines(value)
        case StudyResult():
            return results_text([value])
        case JobResults():
            return results_text(value.jobs)
        case Trial():
            return _trial_text(value)
        case Diagnosis():
            return "\n".join(format_checks(value.checks))
        case _:
            raise TypeError(f"{type(value).__name__} has no short text")
    return _join(lines)


def results_text(results: Sequence[StudyResult]) -> str:
    """Return one line for each job of a run, with its best trial."""
    if not results:
        return "no jobs"
    name = results[0].study.name or "study"
    return _join([f"{name}, run {results[0].run}", *_first(map(_job_line, results))])


def _study_lines(study: Study) -> list[str]:
    parameters: list[str] = []
    for node in list_nodes(study):
        fields = describe_parameter(node.parameter)
        when = f", when {fields['when']}" if fields["when"] else ""
        parameters.append(f"{node.name}: {fields['type']} {fields['values']}{when}".rstrip())
    return [
        f"{study.name or 'study'}: {describe_space(study)}",
        *_first(parameters),
        f"strategy: {describe_strategy(study, study.strategy.seed)}",
        f"limits: {format_limits(study)}",
    ]


def _plan_lines(plan: Plan) -> list[str]:
    if plan.broken:
        return [f"{plan.provider}: cannot be planned: {plan.broken}"]
    return [
        f"{plan.provider}{', emulated' * plan.facts.emulated}: {describe_verdict(plan)}",
        f"mode: {plan.mode}",
        f"limits: {format_limits(plan.fitted.study)}",
        f"cost: {describe_cost(plan)}",
        *_first([*map(str, plan.findings), *(f"{n.severity}: {n}" for n in plan.notes)]),
    ]


def _job_line(result: StudyResult) -> str:
    (row,) = job_rows([result])
    emulated = ", emulated" if result.emulated else ""
    failed = f" ({row['failed']} failed)" if row["failed"] else ""
    trials = f"{format_count(len(result.trials), 'trial')}{failed}"
    line = f"{result.provider}{emulated}: {row['state']}, {trials}"
    if best := result.best:
        values = " ".join(f"{name}={format_value(v)}" for name, v in best.parameters.items())
        return f"{line}; best {format_best(result.study, best)}: {values}"
    if len(result.study.objectives) > 1:
        return f"{line}; Pareto front of {format_count(len(result.pareto), 'trial')}"
    if infeasible := explain_infeasible(result.study, result.trials):
        return f"{line}; {infeasible}"
    causes = [cause.reason for cause in failures_by_cause([result])[:1]]
    return "; ".join([line, *causes, *([result.reason] if result.reason else [])])


def _trial_text(trial: Trial) -> str:
    fields: Mapping[str, object] = {
        "number": trial.number,
        "state": trial.state,
        **({"objective": trial.objective} if trial.objective else {}),
        **({"reason": _shorten(trial.reason, _MAX_PART)} if trial.reason else {}),
    }
    words = [f"{name}={value!r}" for name, value in fields.items()]
    return f"Trial({', '.join([*words, f'parameters={_assignment(trial.parameters)}'])})"


def _assignment(parameters: Mapping[str, Value]) -> str:
    items = [_shorten(f"{name!r}: {value!r}", _MAX_PART) for name, value in parameters.items()]
    rest = ["..."] if len(items) > _MAX_LINES else []
    return f"{{{', '.join(items[:_MAX_LINES] + rest)}}}"


def _first(lines: Sequence[str] | map[str]) -> list[str]:
    every = [*lines]
    hidden = len(every) - _MAX_LINES
    return [*every[:_MAX_LINES], f"and {hidden} more"] if hidden > 0 else every


def _join(lines: Sequence[str]) -> str:
    """Return the lines with all but the first one indented."""
    return "\n  ".join(_shorten(line, _MAX_WIDTH) for line in lines)


def _shorten(line: str, width: int) -> str:
    return textwrap.shorten(sanitize_line(line), width, placeholder=" ...")
