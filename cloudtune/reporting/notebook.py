"""Studies, plans, results and reports as HTML for notebooks: tables with all text escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from cloudtune.doctor.model import Diagnosis
from cloudtune.errors import MissingExtraError
from cloudtune.planning.forecast import forecast
from cloudtune.provider.plan import Plan
from cloudtune.reporting.console.diagnosis import format_checks
from cloudtune.reporting.console.plan_page import bracket_rows, describe_verdict, plan_rows
from cloudtune.reporting.console.summary import job_rows
from cloudtune.reporting.phrases import (
    describe_parameter,
    describe_space,
    describe_strategy,
    format_limits,
    format_objectives,
    format_parameters,
    format_seconds,
    format_short,
)
from cloudtune.reporting.sanitize import format_json, sanitize_line
from cloudtune.results.model import JobResults, StudyResult, Trial, trial_rank
from cloudtune.study.search_space import list_nodes
from cloudtune.study.study import Study

_MAX_TRIALS = 10
"""Trials of a job that are shown, the best first."""
_PAGE_HEIGHT = 800
"""Pixels of the frame of a report; longer pages scroll."""


def to_html(value: object) -> str:
    """Return the HTML of a study, a plan, a result, a trial or a diagnosis."""
    match value:
        case Study():
            return study_html(value)
        case Plan():
            return plan_html(value)
        case StudyResult():
            return results_html([value])
        case JobResults():
            return results_html(value.jobs)
        case Trial():
            return trial_html(value)
        case Diagnosis():
            return f"<pre>{escape(chr(10).join(format_checks(value.checks)))}</pre>"
        case _:
            raise TypeError(f"{type(value).__name__} has no HTML")


def study_html(study: Study) -> str:
    """Return the parameters, strategy, and limits of a study."""
    rows = [
        {"parameter": node.name} | describe_parameter(node.parameter) for node in list_nodes(study)
    ]
    lines = [
        describe_space(study),
        f"strategy: {describe_strategy(study, study.strategy.seed)}",
        f"limits: {format_limits(study)}",
    ]
    return _block(study.name or "study", lines) + _table(rows)


def plan_html(plan: Plan) -> str:
    """Return a plan: whether it can run, its findings, and its request."""
    if plan.broken:
        return _block(f"{plan.provider}: cannot be planned", [plan.broken])
    known = forecast(plan)
    page = plan_rows(plan, known)
    lines = [
        *(f"{label}: {text}" for label, text in page.items() if label != "request"),
        *(f"{note.severity}: {note}" for note in plan.notes),
    ]
    rows = [
        {"finding": each.kind, "field": each.path, "reason": each.reason} for each in plan.findings
    ]
    emulated = ", emulated" if plan.facts.emulated else ""
    request = escape(format_json(plan.request, indent=2))
    return (
        _block(f"{plan.provider}{emulated}: {describe_verdict(plan)}", lines)
        + _table(bracket_rows(plan, known))
        + _table(rows)
        + f"<details><summary>request</summary><pre>{request}</pre></details>"
    )


def results_html(results: Sequence[StudyResult]) -> str:
    """Return a table of jobs, and the best trials of each job."""
    if not results:
        return _block("no jobs", [])
    name = results[0].study.name or "study"
    return (
        _block(f"{name}, run {results[0].run}", [])
        + _table(job_rows(results))
        + "".join(map(_trials, results))
    )


def trial_html(trial: Trial) -> str:
    """Return the parameters and metrics of a trial, and how it ended."""
    lines = [trial.reason] if trial.reason else []
    if trial.started_at:
        seconds = "" if trial.seconds is None else f", took {format_seconds(trial.seconds)}"
        lines.append(f"started {trial.started_at:%Y-%m-%d %H:%M:%S} UTC{seconds}")
    if trial.log:
        lines.append(f"log: {trial.log}")
    parameters = [
        {"parameter": name, "value": format_short(value)}
        for name, value in trial.parameters.items()
    ]
    metrics = [
        {"metric": name, "value": format_short(value)} for name, value in trial.metrics.items()
    ]
    title = f"trial {trial.number} {trial.state.replace('_', ' ')}"
    return _block(title, lines) + _table(parameters) + _table(metrics)


class ReportText(str):
    """The text of a report, which notebooks show as its page, or as text if that needs an extra."""

    _form: str
    _render_page: Callable[[], str]

    def __new__(cls, text: str, form: str, render_page: Callable[[], str]) -> ReportText:
        """Return a report as text of a form; a function returns its page."""
        report = super().__new__(cls, text)
        report._form = form
        report._render_page = render_page
        return report

    def __repr__(self) -> str:
        if self._form in {"html", "json"}:
            return f"a report as {self._form}, {len(self):,} characters"
        return str(self)

    def _repr_html_(self) -> str:
        try:
            page = self._render_page()
        except MissingExtraError as error:
            return f"<pre>{escape(self)}</pre><div>{_safe(f'as a page, it {error}')}</div>"
        # The scripts of the page cannot reach the notebook.
        return (
            f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="report" '
            f'width="100%" height="{_PAGE_HEIGHT}" style="border: 0"></iframe>'
        )

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


def _trials(result: StudyResult) -> str:
    study = result.study
    measured = [trial for trial in result.trials if trial.objective]
    if len(study.objectives) == 1:
        goal, best = study.objectives[0].goal, result.best
        measured.sort(
            key=lambda t: (
                best is None or t.number != best.number,
                bool(t.broken),
                trial_rank(t, goal),
            )
        )
    rows = [
        {
            "trial": trial.number,
            "state": trial.state.replace("_", " "),
            "objective": format_objectives(study, trial),
            "parameters": format_parameters(trial.parameters),
        }
        for trial in measured[:_MAX_TRIALS]
    ]
    title = f"{result.provider}: {len(rows)} of {len(result.trials)} trials"
    lines = [result.reason, result.decision.reason if result.decision else ""]
    return _block(title, [line for line in lines if line], level=4) + _table(rows)


def _block(title: str, lines: Sequence[str], level: int = 3) -> str:
    """Return a heading and the lines below it."""
    body = "".join(f"<div>{_safe(line)}</div>" for line in lines)
    return f"<h{level}>{_safe(title)}</h{level}>{body}"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col">{_safe(name)}</th>' for name in names)
    cells = ("".join(f"<td>{_safe(row.get(name))}</td>" for name in names) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""


def _safe(value: Any) -> str:
    return "" if value is None else escape(sanitize_line(str(value)))
