"""What the trainings and the deployment jobs of a driven run have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudtune.provider import Json, Plan, start_constants, start_name
from cloudtune.results import Started
from cloudtune_watson import response
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.prices import MIN_BILLED_SECONDS

POLL_SECONDS, POLL_SECONDS_EMULATED = 15.0, 0.25
HIDDEN_SECONDS = 30.0
"""Chosen, since IBM documents no time."""


class RunJobs:
    """The jobs of one run, each for one start of a trial. IBM ends none after some time."""

    enforces_trial_timeout = False

    def __init__(self, plan: Plan, *, emulated: bool) -> None:
        self.hidden_seconds = 0.0 if emulated else HIDDEN_SECONDS
        self.poll_seconds = POLL_SECONDS_EMULATED if emulated else POLL_SECONDS
        self._plan = plan
        self._emulated = emulated

    def job_name(self, number: int, start: int) -> str:
        """Return the name of the job of a trial's start."""
        return start_name(self._plan.facts.job_name, number, start)

    def _billed_seconds(self, started: float | None, ended: float | None) -> float | None:
        """Return the seconds for which IBM bills an ended job; None if they are unknown."""
        if not started or not ended or self._emulated:
            return None
        return max(ended - started, MIN_BILLED_SECONDS)

    def _values(self, started: Started) -> dict[str, Any]:
        """Return the values that a start gets, including a named resource and a seed."""
        return {**started.parameters, **start_constants(self._plan, started)}


def end_job(end: Callable[[], None], find: Callable[[], Json | None]) -> None:
    """Ask IBM to end a job; a refusal is ignored if the job has ended or does not exist.

    Args:
        end: The call.
        find: Returns the job, or None if it does not exist.

    Raises:
        WatsonError: If IBM cannot be called, or refuses.
    """
    try:
        end()
    except WatsonError as error:
        if error.retryable or error.affects_all_calls:
            raise
        job = find()
        if job is not None and not response.has_ended(job):
            raise
