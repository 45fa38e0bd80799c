"""Ends a job whose trials all fail alike: the cause is the script or the study, not a trial.

It applies until a trial succeeds, unless the study says with ``limits.max_failed_trials`` how many
failures it tolerates.
"""

from __future__ import annotations

from cloudtune.results.events import MEASURED_STATES, Ended, Outcome
from cloudtune.results.failure import failure_cause
from cloudtune.results.trials import Trials
from cloudtune.study.quantities import format_count
from cloudtune.study.study import Study

MAX_FAILURES_ALIKE = 3
"""Failures with one cause, without any success, from which on a job is not continued."""

GONE = "no longer exists"
STOPPED_ELSEWHERE = "not by cloudtune"
"""How the reasons of failures end that say nothing about a script."""


class CircuitBreaker:
    """Counts failures with the same cause until a trial succeeds.

    In driven mode no trial starts while the breaker is open and others still run. In managed mode
    the service starts trials regardless, so as many fail as run at a time.
    """

    def __init__(self, study: Study, trials: Trials, *, managed: bool = False) -> None:
        """Create a breaker of the job with these trials."""
        self._trials = trials
        self._max_trials = study.limits.max_trials
        self._armed = study.limits.max_failed_trials is None
        parallel = (study.limits.parallel_trials or 1) if managed else 1
        self._threshold = max(MAX_FAILURES_ALIKE, parallel)
        self._cause = ""
        self._count = 0
        self._first: Ended | None = None
        self._any_measured = False

    def add(self, event: Ended) -> None:
        """Count an end, other than ``cancelled``; the trials already include it."""
        if event.state in MEASURED_STATES | {"pending"}:
            self._armed = False
        is_lost = event.reason.endswith((GONE, STOPPED_ELSEWHERE))
        if not self._armed or event.state != "failed" or is_lost:
            return
        cause = failure_cause(event.reason)
        if self._first is None or cause != self._cause:
            self._cause, self._count, self._first, self._any_measured = cause, 0, event, False
        self._count += 1
        self._any_measured |= self._trials.objective(event.number) is not None

    @property
    def is_open(self) -> bool:
        """Whether no more trials should start."""
        return self._armed and self._count >= self._threshold and not self._any_ahead()

    def _any_ahead(self) -> bool:
        """Return whether a running trial measured the objective, which no failed one did."""
        return not self._any_measured and any(
            trial.state == "running" and trial.objective is not None for trial in self._trials.all()
        )

    @property
    def outcome(self) -> Outcome:
        """The outcome of a job that starts no more trials."""
        assert self._first is not None
        trials = format_count(self._count, "trial")
        which = f"all {trials}" if self._count == len(self._trials) else f"{trials} in a row"
        reason = (
            f"{which} failed alike, and none succeeded; set limits.max_failed_trials to tolerate "
            "more failures"
        )
        return Outcome("failed", reason, failure=self._first)

    def managed_outcome(self) -> Outcome | None:
        """Return the outcome of a managed job that should be stopped."""
        if not self.is_open:
            return None
        is_over = self._max_trials is not None and len(self._trials) >= self._max_trials
        if is_over and all(trial.ended is not None for trial in self._trials.all()):
            return None
        return self.outcome
