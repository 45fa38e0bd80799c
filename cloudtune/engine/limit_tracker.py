"""The limits of a study that count trials: failures, patience, target."""

from __future__ import annotations

from collections.abc import Sequence

from cloudtune.results.events import Ended, Outcome, TrialState
from cloudtune.results.objective import reaches_targets
from cloudtune.study.quantities import format_count
from cloudtune.study.study import Study

_MAX_CONSECUTIVE_FAILURES = 25
"""Failures in a row that end a job without a limit that counts failures."""


class LimitTracker:
    """Counts the ended trials of a job against the study's limits."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._failures = 0
        self._consecutive_failures = 0
        self._trials_since_best = 0
        self._best: float | None = None
        self._target_trial: int | None = None

    def add(self, event: Ended, objective: Sequence[float] | None) -> None:
        """Count an end, other than ``cancelled``, with the objective values of its trial."""
        if event.state == "failed":
            self._failures += 1
            self._consecutive_failures += 1
            self._trials_since_best += 1
            return
        self._consecutive_failures = 0
        if objective is not None and len(objective) == 1:
            self._add_objective(objective[0], event.state)
        is_target = event.state == "completed" and reaches_targets(self._study, objective)
        if is_target and self._target_trial is None:
            self._target_trial = event.number

    def _add_objective(self, value: float, state: TrialState) -> None:
        value *= 1 if self._study.objectives[0].goal == "minimize" else -1
        if self._best is None or value < self._best:
            self._best = value
            self._trials_since_best = 0
        elif state != "pending":
            self._trials_since_best += 1

    def outcome(self) -> Outcome | None:
        """Return the outcome of the job if a limit ends it."""
        limits = self._study.limits
        if limits.max_failed_trials is not None and self._failures > limits.max_failed_trials:
            failures = format_count(self._failures, "trial")
            limit = limits.max_failed_trials
            return Outcome("failed", f"{failures} failed; max_failed_trials is {limit}")
        is_counted = (limits.max_trials, limits.max_failed_trials, limits.patience) != (None,) * 3
        if not is_counted and self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            return Outcome("failed", f"{_MAX_CONSECUTIVE_FAILURES} trials in a row failed")
        if self._target_trial is not None:
            return Outcome("completed", f"trial {self._target_trial} reached the target")
        if limits.patience is not None and self._trials_since_best >= limits.patience:
            trials = format_count(limits.patience, "trial")
            return Outcome("completed", f"no better objective in {trials}")
        return None
