"""A plan as the page to read before spending, and a table of several plans.

Names, values, and reasons may come from anywhere, so each line is sanitized.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from cloudtune.planning.forecast import Forecast, forecast, known_waits
from cloudtune.planning.planner import other_mode_findings
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.reporting.phrases import (
    describe_strategy,
    format_seconds,
    location_prefix,
)
from cloudtune.reporting.sanitize import format_json, sanitize_line
from cloudtune.study.quantities import format_cost, format_count

_COMPARED = ("mode", "search", "trials", "limits", "time", "cost", "machine")
"""The rows of a page that are short enough for a table."""


def format_plan(plan: Plan, *, brief: bool, request: bool = False) -> list[str]:
    """Return a plan as lines.

    Args:
        plan: The plan.
        brief: Only show whether it can run, its findings, and its notes.
        request: Show the whole request.
    """
    if plan.broken:
        return [sanitize_line(f"{plan.provider}: cannot be planned: {plan.broken}")]
    emulated = ", emulated" if plan.facts.emulated else ""
    lines = [f"{plan.provider}{emulated}: {describe_verdict(plan)}"]
    if not brief:
        known = forecast(plan)
        rows = plan_rows(plan, known)
        if request:
            del rows["request"]
        width = max(map(len, rows))
        lines += [f"  {label:{width}}   {text}" for label, text in rows.items()]
        if brackets := bracket_rows(plan, known):
            from cloudtune.reporting.console.tables import render_table
            from cloudtune.results.dataframes import to_columns

            lines.append(f"  trials by bracket and {_resource(plan)}:")
            lines += [f"    {line}" for line in render_table(to_columns(brackets))]
    study = plan.study
    if plan.findings:
        lines.append("  changes:" if not plan.refused else "  refused and changed:")
        findings = sorted(plan.findings, key=lambda each: each.kind != "refused")
        lines += [f"    {location_prefix(study, each.path)}{each}" for each in findings]
    if plan.notes:
        lines.append("  notes:")
        lines += [
            f"    {location_prefix(study, note.path)}{_severity(note.severity)}{note}"
            for note in plan.notes
        ]
    lines += _other_modes(plan)
    if request:
        text = format_json(plan.request, indent=2).split("\n")
        lines += ["  request:", *(f"    {line}" for line in text)]
    return [sanitize_line(line) for line in lines]


def describe_verdict(plan: Plan) -> str:
    """Return whether a plan can run, in words."""
    if plan.verdict == "can run with changes":
        return f"can run with {format_count(len(plan.findings), 'change')}"
    if plan.verdict == "refused":
        others = len(plan.findings) - len(plan.refused)
        more = f", and {format_count(others, 'change')}" if others else ""
        return f"cannot run this study: {len(plan.refused)} refused{more}"
    return plan.verdict


def plan_rows(plan: Plan, known: Forecast | None = None) -> dict[str, str]:
    """Return what a plan does, takes, costs, and creates, by label."""
    study, limits = plan.fitted.study, plan.fitted.study.limits
    shown = {"max_trials", "parallel_trials"}
    others = limits.model_dump(mode="json", exclude_none=True, exclude=shown)
    known = known or forecast(plan)
    count = "no maximum" if known.trials is None else str(known.trials)
    rows = {
        "mode": f"{plan.mode}: {_describe_mode(plan)}",
        "search": describe_strategy(study, plan.seed),
        "trials": f"{count}, {known.parallel} at a time",
        "stopping": _describe_stopping(plan),
        "limits": ", ".join(f"{name} {value}" for name, value in others.items()),
        "time": describe_time(plan, known),
        "cost": describe_cost(plan, known),
        "resource": _describe_resource(plan, known),
        **registry.get(plan.provider).outline(plan),
        "request": "shown with --request",
    }
    return {label: sanitize_line(text) for label, text in rows.items() if text}


def _describe_stopping(plan: Plan) -> str:
    """Return the rule of early stopping, with its rungs if cloudtune applies it."""
    stopping = plan.fitted.study.early_stopping
    if stopping is None:
        return ""
    if plan.mode == "managed" or stopping.rule != "halving":
        return stopping.rule
    from cloudtune.search.early_stopping import halving_rungs

    first, second, third, *_ = halving_rungs(stopping)
    share = f"the best 1 of {second // first}"
    return f"halving: at steps {first}, {second}, {third} and so on, {share} trials continue"


def describe_time(plan: Plan, known: Forecast) -> str:
    """Return how long a job may take, with the basis of the estimate."""
    most = _describe_limits(plan, known)
    if known.basis is None:
        return f"unknown, since no trial of this study has completed here{'; ' * bool(most)}{most}"
    basis = known.basis
    place = f"{basis.provider}{', emulated' * basis.emulated}"
    trials = format_count(basis.trials, "trial")
    each = _range(format_seconds(basis.low), format_seconds(basis.high))
    middle = f"half of the {trials}" if basis.trials > 1 else trials
    reason = f"{middle} of run {basis.run} on {place} took {each}"
    if (basis.provider, basis.emulated) != (plan.provider, plan.facts.emulated):
        reason += "; other machines differ"
    if waits := known_waits(plan, basis):
        reason += f", and waited {_range(*map(format_seconds, waits))} for machines"
    elif isinstance(plan.settings, CloudSettings) and not plan.facts.emulated:
        reason += "; each trial also waits for its machine"
    if known.seconds is None:
        return f"no end by itself; {most or 'no limit'}; {reason}"
    total = _range(*map(format_seconds, known.seconds))
    return f"about {total}{', ' * bool(most)}{most}: {reason}"


def _describe_limits(plan: Plan, known: Forecast) -> str:
    """Return when the limits of a study end its job, if they do."""
    if known.most is None and known.running is None:
        return ""
    if known.most is None or (known.running is not None and known.running < known.most):
        waits = f"about {format_seconds(known.running or 0)} by its time limits, without the time "
        waits += "that trials wait for machines"
        end = "" if known.most is None else f", and at most {format_seconds(known.most)}"
        return waits + end
    stop = ""
    if isinstance(plan.settings, CloudSettings) and not plan.facts.emulated:
        stop = ", and then until the service has stopped its trials"
    return f"at most {format_seconds(known.most)} by its time limits{stop}"


def describe_cost(plan: Plan, known: Forecast | None = None) -> str:
    """Return what a job may cost, with the basis of the estimate."""
    if plan.facts.emulated:
        return "none (emulated)"
    if plan.estimate is None:
        if not isinstance(plan.settings, CloudSettings):
            return "none"
        return f"unknown; set the hourly price under providers.{plan.provider}.prices"
    about = ""
    if known and known.cost:
        costs = (format_cost(each, plan.estimate.currency) for each in known.cost)
        about = f"about {_range(*costs)} for that time; "
    return about + str(plan.estimate)


def _resource(plan: Plan) -> str:
    return plan.fitted.study.strategy.resource or "steps"


def _describe_resource(plan: Plan, known: Forecast) -> str:
    """Return how much of its resource hyperband needs."""
    if known.brackets is None:
        return ""
    total, scratch = (
        _range(*map(str, each)) for each in (known.brackets.total, known.brackets.from_scratch)
    )
    text = f"{total} {_resource(plan)} in all"
    if total != f"{known.brackets.most}":
        text = f"about {text}, at most {known.brackets.most}"
    return text + f"; about {scratch} if no trial continues from its checkpoint" * (
        scratch != total
    )


def bracket_rows(plan: Plan, known: Forecast) -> list[dict[str, int]]:
    """Return about how many trials of each bracket get how much of the resource."""
    return [
        {f"{_resource(plan)} from": bracket.start}
        | {f"{amount}": count for amount, count in bracket.trials.items()}
        for bracket in (known.brackets.brackets if known.brackets else ())
    ]


def compare_plans(plans: Sequence[Plan]) -> dict[str, list[str]]:
    """Return the columns of a table of differences: the labels, and one for each plan.

    The rows are those of the pages that are short, and the fields with findings other than the
    providers' own settings.
    """
    planned = [plan for plan in plans if not plan.broken]
    rows: dict[str, list[str]] = {"verdict": [plan.verdict for plan in plans]}
    pages = [plan_rows(plan) if not plan.broken else {} for plan in plans]
    for label in _COMPARED:
        rows[label] = [_short(page.get(label, "")) for page in pages]
    paths = dict.fromkeys(each.path for plan in planned for each in plan.findings)
    for path in (path for path in paths if not path.startswith("providers.")):
        rows[path] = [_kinds(plan, path) for plan in plans]
    different = {label: row for label, row in rows.items() if len(set(row)) > 1}
    columns: dict[str, list[str]] = {"": list(different)} if different else {}
    for number, plan in enumerate(plans):
        if different:
            columns[plan.provider] = [row[number] for row in different.values()]
    return columns


def _short(text: str) -> str:
    """Return the text of a row without its reasons and sources."""
    for mark in (": ", "; ", " ("):
        text = text.partition(mark)[0]
    return text


def plan_details(plan: Plan) -> Mapping[str, object]:
    """Return what a page shows beyond the stored plan, as JSON data."""
    if plan.broken:
        return {"verdict": plan.verdict}
    known = forecast(plan)
    return {
        "verdict": plan.verdict,
        "forecast": asdict(known),
        "outline": dict(registry.get(plan.provider).outline(plan)),
    }


def _describe_mode(plan: Plan) -> str:
    capabilities = registry.get(plan.provider).capabilities
    both = capabilities.managed is not None and capabilities.driven is not None
    who = f"{capabilities.title}'s tuner" if plan.mode == "managed" else "cloudtune"
    text = f"{who} chooses the trials"
    if plan.study.providers.get(plan.provider, {}).get("mode", "auto") != "auto":
        text += f", as providers.{plan.provider}.mode requires"
    elif both and plan.mode == "driven":
        refused = [
            each
            for each in other_mode_findings(plan)["managed"]
            if each.kind == "refused" and each not in plan.findings
        ]
        text += f", since managed mode refuses {refused[0].path}" if refused else ""
    needs = "continues without" if plan.unattended else "needs"
    return f"{text}; the job {needs} this machine"


def _other_modes(plan: Plan) -> Iterator[str]:
    """Yield the changes that the modes not used by the plan would make."""
    for mode, findings in other_mode_findings(plan).items():
        others = [str(finding) for finding in findings if finding not in plan.findings]
        if repeated := len(findings) - len(others):
            others.append(f"{repeated} of the findings above")
        yield f"  in {mode} mode: {'; '.join(others) or 'no findings'}"


def _kinds(plan: Plan, path: str) -> str:
    return ", ".join(dict.fromkeys(each.kind for each in plan.findings if each.path == path))


def _severity(severity: str) -> str:
    return "" if severity == "note" else f"{severity}: "


def _range(low: str, high: str) -> str:
    if low == high:
        return low
    (first, *units), (_, *others) = low.split(" ", 1), high.split(" ", 1)
    return f"{first} to {high}" if units == others else f"{low} to {high}"
