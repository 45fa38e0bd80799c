"""Summaries over trials and jobs: state counts, the best trial of all jobs, failures by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cloudtune.errors import UsageError
from cloudtune.launcher.metrics import MISREADS
from cloudtune.results.events import MEASURED_STATES, TrialState
from cloudtune.results.failure import explain_failure, failure_cause
from cloudtune.results.model import StudyResult, Trial

_MIN_EQUAL = 3
"""Trials with one result from which on the parameters seem to have no effect."""


def best_of_jobs(
    jobs: Iterable[tuple[StudyResult, Iterable[Trial]]],
) -> list[tuple[StudyResult, Trial]]:
    """Return the best trial of all jobs, or their common Pareto front if there are more objectives.

    Of a job that was confirmed, that is the trial to take, by its value in the search. Emulated
    jobs are never ranked against real ones: they count only if every job is emulated.

    Args:
        jobs: Each job with its trials, which are read once.

    Returns:
        Each trial with its job. Empty if no trial has an objective.

    Raises:
        UsageError: If the jobs have different objectives.
    """
    candidates: list[tuple[StudyResult, Trial]] = []
    goals: dict[bool, set[tuple[tuple[str, str], ...]]] = {}
    for job, trials in jobs:
        objectives = job.study.objectives
        goals.setdefault(job.emulated, set()).add(tuple((o.metric, o.goal) for o in objectives))
        candidates += [(job, trial) for trial in job.chosen_trials(trials)]
    emulated = False not in goals
    ranked_goals = goals.get(emulated, set())
    if len(ranked_goals) > 1:
        raise UsageError("these runs have different objectives; name runs of one study")
    ranked = {id(trial): (job, trial) for job, trial in candidates if job.emulated == emulated}
    if not ranked:
        return []
    search = replace(next(iter(ranked.values()))[0], decision=None)
    winners = search.best_trials(trial for _, trial in ranked.values())
    return [ranked[id(trial)] for trial in winners]


def count_states(trials: Iterable[Trial]) -> dict[TrialState, int]:
    """Return the number of trials in each state that occurs."""
    return Counter(trial.state for trial in trials)


def equal_results(trials: Iterable[Trial]) -> str:
    """Return that all trials measured the same although they differ; empty if they did not."""
    measured = [
        each for each in trials if each.objective is not None and each.state in MEASURED_STATES
    ]
    results = {trial.objective for trial in measured}
    assignments = {tuple(sorted(trial.parameters.items())) for trial in measured}
    if len(results) != 1 or len(measured) < _MIN_EQUAL or len(assignments) < _MIN_EQUAL:
        return ""
    values = ", ".join(f"{value:g}" for value in next(iter(results)) or ())
    return (
        f"all {len(measured)} trials measured {values}, with different parameters: check that the "
        "script uses them"
    )


@dataclass(frozen=True)
class FailureCause:
    """Failed trials that have one cause in common."""

    reason: str
    """The reason of the first one. The reasons of the others differ only in words with a digit."""
    count: int
    run: str
    """The run of the first trial."""
    first: Trial


def failures_by_cause(jobs: Sequence[StudyResult]) -> list[FailureCause]:
    """Return the causes of failed trials, the most frequent first."""
    by_cause: dict[str, list[tuple[str, Trial]]] = {}
    for job in jobs:
        for trial in job.trials:
            if trial.state == "failed":
                cause = failure_cause(failure_reason(trial))
                by_cause.setdefault(cause, []).append((job.run, trial))
    causes: list[FailureCause] = []
    for failed in sorted(by_cause.values(), key=len, reverse=True):
        run, first = failed[0]
        reason = failure_reason(first) or "no reason was given"
        causes.append(FailureCause(reason, len(failed), run, first))
    return causes


def metric_warnings(trials: Iterable[Trial]) -> list[str]:
    """Return why metrics of completed trials may be wrong, each text with its trials."""
    numbers: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state == "completed" and trial.reason:
            numbers.setdefault(trial.reason, []).append(trial.number)
    return [
        f"trial {first}{f' and {len(more)} more' if more else ''}: {reason}"
        for reason, (first, *more) in numbers.items()
    ]


def misread_trials(result: StudyResult) -> list[Trial]:
    """Return the trials of a job whose numbers an expression misread, unless it tolerates failures.

    They have no result, and may be the best, so the best of the others may be wrong.
    """
    if result.study.limits.max_failed_trials is not None:
        return []
    return [each for each in result.trials if each.state == "failed" and MISREADS in each.reason]


def failure_reason(trial: Trial) -> str:
    """Return why a trial failed; older ledgers have the line of its output only in its log."""
    is_crash = trial.exit_code != 0
    return explain_failure(trial.reason, trial.log_tail) if is_crash else trial.reason


def limit_changes(result: StudyResult) -> list[str]:
    """Return how the limits of a job have changed since it was created, oldest first."""
    return [
        f"{path} from {_limit(old)} to {_limit(new)}"
        for change in result.changes or ()
        for path, (old, new) in change["fields"].items()
    ]


def _limit(value: object) -> str:
    return "none" if value is None else str(value)
