"""The limits that end a job: failures, patience and the target are counted here.

In driven mode cloudtune enforces all of them, in managed mode those that the service does not.
"""

from __future__ import annotations

import math
from collections.abc import Set

from cloudtune.fitting.capabilities import ENFORCED_DRIVEN
from cloudtune.results.events import Ended, Outcome, TrialState
from cloudtune.results.objective import reaches_targets
from cloudtune.results.trials import Trials
from cloudtune.study.limits import LIMITS
from cloudtune.study.quantities import format_count
from cloudtune.study.study import Study

(TIMEOUT_REASON,) = LIMITS["timeout"].reasons
"""Why a job ends that its study's timeout ends."""
_MAX_CONSECUTIVE_FAILURES = 25
"""Failures in a row that end a job without a limit that counts failures."""


def limit_of(reason: str) -> str | None:
    """Return the limit that ended a job for a reason; None if no limit or the target did."""
    return next((n for n, each in LIMITS.items() if any(r in reason for r in each.reasons)), None)


class LimitTracker:
    """Counts the ended trials of a job against the study's limits."""

    def __init__(self, study: Study, enforced: Set[str] = ENFORCED_DRIVEN) -> None:
        """Create a tracker of the limits with these names; a service enforces the others."""
        self._study = study
        self._enforced = enforced
        self._failures = 0
        self._consecutive_failures = 0
        self._trials_since_best = 0
        self._best: float | None = None
        self._target_trial: int | None = None

    def add(self, event: Ended, trials: Trials) -> None:
        """Count an end, other than ``cancelled``, of one of the trials."""
        objective, broken = trials.objective(event.number), trials.broken(event.number)
        if event.state == "failed":
            self._failures += 1
            self._consecutive_failures += 1
            self._trials_since_best += 1
            return
        self._consecutive_failures = 0
        if objective is not None and len(objective) == 1:
            sign = 1 if self._study.objectives[0].goal == "minimize" else -1
            self._add_score(math.inf if broken else sign * objective[0], event.state)
        is_target = event.state == "completed" and reaches_targets(self._study, objective)
        is_target = is_target and not broken
        if is_target and self._target_trial is None:
            self._target_trial = event.number

    def _add_score(self, score: float, state: TrialState) -> None:
        if self._best is None or score < self._best:
            self._best = score
            self._trials_since_best = 0
        elif state != "pending":
            self._trials_since_best += 1

    def outcome(self) -> Outcome | None:
        """Return the outcome of the job if a limit ends it."""
        limits, enforced = self._study.limits, self._enforced
        tolerated = limits.max_failed_trials if "max_failed_trials" in enforced else None
        if tolerated is not None and self._failures > tolerated:
            failures = format_count(self._failures, "trial")
            return Outcome("failed", f"{failures} failed; max_failed_trials is {tolerated}")
        is_counted = (limits.max_trials, limits.max_failed_trials, limits.patience) != (None,) * 3
        is_endless = "max_trials" in enforced and not is_counted
        if is_endless and self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            return Outcome("failed", f"{_MAX_CONSECUTIVE_FAILURES} trials in a row failed")
        if self._target_trial is not None and "target" in enforced:
            return Outcome("completed", f"trial {self._target_trial} reached the target")
        patience = limits.patience if "patience" in enforced else None
        if patience is not None and self._trials_since_best >= patience:
            trials = format_count(patience, "trial")
            return Outcome("completed", f"no better objective in {trials}")
        return None
