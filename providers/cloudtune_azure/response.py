"""The states of Azure's jobs as cloudtune's.

The words are those of ``JobStatus`` in the REST API 2024-04-01, but for Unknown, which is unknown
here, too. Recordings have Starting, Queued, Preparing, Running, Completed and Failed
(tests/recordings/azure).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudtune.provider import Json, is_map
from cloudtune.results import JobState, TrialState

STATES: Mapping[str, TrialState] = {
    "NotStarted": "waiting",
    "Starting": "waiting",
    "Provisioning": "waiting",
    "Preparing": "waiting",
    "Queued": "waiting",
    "Paused": "waiting",
    "Running": "running",
    "Finalizing": "running",
    "CancelRequested": "running",
    "NotResponding": "running",
    "Completed": "completed",
    "Failed": "failed",
    "Canceled": "cancelled",
}
ENDED = frozenset({"Completed", "Failed", "Canceled"})
STOPPING = frozenset({"CancelRequested"})
"""Finalizing is no stop: the script has ended, and its outputs are stored (enum JobStatus of
azure-ai-ml 1.20.0)."""
_SWEEP_STATES: Mapping[str, JobState] = {
    "Completed": "completed",
    "Failed": "failed",
    "Canceled": "cancelled",
}
_SERVICE_ERRORS = frozenset({"ServiceError", "SystemError"})
"""The codes of run history for failures of the service, not of the script: not verified against the
live service."""
_MAX_REASON = 1_000


def status(job: Json) -> str:
    """Return Azure's word for the state of a job."""
    return str(job["properties"].get("status") or "Unknown")


def trial_state(job: Json) -> TrialState:
    """Return the state of a trial."""
    return STATES.get(status(job), "unknown")


def is_sweep(job: Json) -> bool:
    """Return whether a job is a sweep."""
    return bool(job["properties"].get("jobType") == "Sweep")


def sweep_state(sweep: Json) -> JobState:
    """Return the state of a sweep, which runs from its creation to its end (recorded)."""
    return _SWEEP_STATES.get(status(sweep), "running")


def has_ended(job: Json) -> bool:
    """Return whether a job has ended."""
    return status(job) in ENDED


def is_stopping(job: Json) -> bool:
    """Return whether a job was asked to end and still runs."""
    return status(job) in STOPPING


def times(job: Json) -> tuple[float | None, float | None]:
    """Return when a job started and ended, which jobs have since 2025."""
    properties: Json = job["properties"].get("properties") or {}
    return _seconds(properties.get("StartTimeUtc")), _seconds(properties.get("EndTimeUtc"))


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def failure(details: Json) -> tuple[str, bool]:
    """Return why a job failed, by its run history, and whether that was the service's fault."""
    outer: Any = details.get("error")
    error: Any = outer.get("error") if is_map(outer) else None
    if not is_map(error):
        return "", False
    reason = str(error.get("message") or error.get("code") or "")[:_MAX_REASON]
    return reason, str(error.get("code")) in _SERVICE_ERRORS
