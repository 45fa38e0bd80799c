"""What `status` says of a job, and how to go on with it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from cloudtune.engine.job_emulator import EMULATOR_ENDED
from cloudtune.engine.job_limits import limit_of
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.results.aggregate import metric_warnings
from cloudtune.results.events import COUNTED_STATES, OPEN_JOB_STATES, changed_since
from cloudtune.results.model import job_state
from cloudtune.results.objective import MISSING_METRIC
from cloudtune.study.expected_trials import expected_trials
from cloudtune.study.quantities import format_count

if TYPE_CHECKING:
    from cloudtune.results.model import StudyResult


def allows_more(result: StudyResult) -> bool:
    """Return whether the limits of a job allow more trials than it has."""
    most = expected_trials(result.study)
    return most is None or _counted(result) < most


def _counted(result: StudyResult) -> int:
    return sum(t.state in COUNTED_STATES for t in result.trials)


def continuation_hints(result: StudyResult) -> list[str]:
    """Return how to go on with a job that is complete, or that a limit ended; empty for others."""
    from cloudtune.comparison.next_steps import resume_past_failures

    if job_state(result) not in {"completed", "failed"} or result.mode == "managed":
        return []
    counted, most, limits = _counted(result), expected_trials(result.study), result.study.limits
    if changed_since(result.changes or (), result.ended) and allows_more(result):
        return [f"its limits have changed since it ended; to go on: cloudtune resume {result.run}"]
    limit = limit_of(result.reason)
    build = f"to build on it in a new run, set warm_start: {{from: {result.run}}}"
    more = _resume(result, f"limits.{limit}", "VALUE") if limit else ""
    if not limit and most is not None and limits.max_trials == most:
        more = _resume(result, "limits.max_trials", str(2 * max(most, counted)))
    tolerant = resume_past_failures(result)
    if tolerant or all_failed(result):
        return _hints_after_failures(result, tolerant or more)
    if result.state == "failed":
        return []
    if result.confirmation:
        return [f"print the trial to take: cloudtune results {result.confirmation.run} --best"]
    if limit:
        return [f"to go on: {more}", build]
    if result.reason or most is None or counted < most:
        return [result.reason or "the search is complete", build]
    ran = max(most, counted)
    if more:
        return [f"all {format_count(ran, 'trial')} have run", f"to run more: {more}", build]
    return [f"all {format_count(ran, 'assignment')} have run", build]


def all_failed(result: StudyResult) -> bool:
    """Return whether all trials of a job failed."""
    return bool(result.trials) and all(trial.state == "failed" for trial in result.trials)


def _hints_after_failures(result: StudyResult, resume: str) -> list[str]:
    from cloudtune.comparison.next_steps import fails_again

    if fails_again(result):
        if result.confirmation and result.trials[0].reason.startswith(MISSING_METRIC):
            run = result.confirmation.run
            printed = "--set trial.metrics.NAME=EXPRESSION if the script prints it"
            hint = f"cloudtune confirm {run} --set confirm.metric=NAME, and {printed}"
            return [f"name another metric: {hint}"]
        return ["correct the script or the study, and start a new run: this one keeps its copies"]
    hints = ["if the script or the study is wrong, start a new run: this one keeps its copies"]
    if resume:
        hints.append(f"if the cause is elsewhere, remove it and go on: {resume}")
    return hints


def status_hints(state: str, result: StudyResult) -> list[str]:
    """Return what to do next about a job in a state, which may be ``interrupted``."""
    run = result.run
    if result.reason.startswith(EMULATOR_ENDED):  # it says what to do
        return []
    if state in OPEN_JOB_STATES:
        return [f"watch it: cloudtune watch {run}", f"stop it: cloudtune stop {run}"]
    is_resumable = state == "cancelled" and (result.mode == "driven" or not result.job)
    if is_resumable or state in {"interrupted", "unknown"}:
        return [f"resume it: cloudtune resume {run}"]
    return continuation_hints(result)


def format_status(state: str, result: StudyResult) -> list[str]:
    """Return how a job is doing: its progress, its reason, and what to do next."""
    from cloudtune.confirmation.analysis import analyze
    from cloudtune.reporting.confirmation import describe_confirmation
    from cloudtune.reporting.console.summary import format_choice
    from cloudtune.reporting.console.trial_page import format_failures
    from cloudtune.reporting.phrases import format_best, format_parameters

    open_ = {"running", "waiting"} | ({"cancelled"} if result.mode == "driven" else set[str]())
    ended = sum(trial.state not in open_ for trial in result.trials)
    most = expected_trials(result.study)
    progress = f"{ended} of {most}" if most and ended <= most else f"{ended}"
    reason = f": {result.reason}" if result.reason else ""
    lines = [f"{result.provider}: {state}, {progress} trials ended{reason}"]
    if result.confirmation and (found := analyze(result)):
        lines += [f"{title}: {text}" for title, text in describe_confirmation(found)]
    elif best := result.best:
        text = format_best(result.study, best)
        lines.append(f"best: {text}  {format_parameters(best.parameters)}")
        lines += format_choice(result) if state == "completed" else []
    if result.decision:
        lines.append(f"note: {result.decision.reason}")
    lines += [f"warning: {text}" for text in metric_warnings(result.trials)]
    lines += _format_waiting(result)
    if state == "running" and _awaits_proposal(result):
        lines.append(f"waits for a proposal: cloudtune propose {result.run} --params '{{...}}'")
    lines += format_failures(result)
    return [sanitize_line(line) for line in [*lines, *status_hints(state, result)]]


def _format_waiting(result: StudyResult) -> list[str]:
    """Return which trials wait for a machine, one line for each reason."""
    numbers: dict[str, list[int]] = {}
    for trial in result.trials:
        if trial.state == "waiting":
            numbers.setdefault(trial.reason, []).append(trial.number)
    return [
        f"waiting: trial{'s' if len(trials) > 1 else ''} {', '.join(map(str, trials))}: {reason}"
        for reason, trials in numbers.items()
    ]


def _awaits_proposal(result: StudyResult) -> bool:
    """Return whether no trial runs and the next one is left to outsiders, as far as trials tell."""
    strategy, most = result.study.strategy, result.study.limits.max_trials
    share = 1.0 if strategy.name == "external" else strategy.proposals or 0.0
    is_idle = not any(trial.state in {"running", "waiting"} for trial in result.trials)
    if result.mode != "driven" or not share or not is_idle:
        return False
    count = sum(trial.replaces is None for trial in result.trials)
    taken = max(sum(bool(t.proposal) for t in result.trials), int(share * count))
    is_last = most is not None and most - count <= int(share * most) - taken
    return taken < int(share * (count + 1)) or is_last


def _resume(result: StudyResult, path: str, value: str) -> str:
    return shlex.join(["cloudtune", "resume", result.run, "--set", f"{path}={value}"])
