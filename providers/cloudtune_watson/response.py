"""Translates IBM's descriptions of trainings and deployment jobs into cloudtune's states.

Unknown states are kept as text and translated to ``unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudtune.provider import Json
from cloudtune.results import FINAL_STATES, TrialState
from cloudtune_watson.documents import part, rows

TRAINING_STATES: Mapping[str, TrialState] = {
    "queued": "waiting",
    "pending": "waiting",
    "running": "running",
    "storing": "running",
    "completed": "completed",
    "failed": "failed",
    "error": "failed",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
"""States of trainings: TrainingStatus in IBM's watsonx-ai-node-sdk 1.7.14, and the older ones that
ibm-watson-machine-learning 1.0.370 waits for. Deployment jobs have the same, of which
ibm-watsonx-ai 1.8.1, deployment/batch.py, waits for the final ones."""

_MAX_REASON = 1_000


def service_state(training: Json) -> str:
    """Return IBM's word for the state of a training."""
    return str(training_status(training).get("state", ""))


def training_state(training: Json) -> TrialState:
    """Return the state of a training."""
    return TRAINING_STATES.get(service_state(training).lower(), "unknown")


def has_ended(training: Json) -> bool:
    """Return whether a training has ended."""
    return training_state(training) in FINAL_STATES


def failure_reason(training: Json) -> str:
    """Return why a training failed; empty if it has not failed."""
    if training_state(training) != "failed":
        return ""
    status = training_status(training)
    reasons = [str(error.get("message") or "") for error in rows(part(status, "failure"), "errors")]
    reasons.append(str(part(status, "message").get("text") or ""))
    return next(filter(None, reasons), "")[:_MAX_REASON] or "IBM gives no reason"


def training_status(training: Json) -> Json:
    """Return the ``status`` of a training or of a deployment job; empty if it has none."""
    return part(training, "entity", "status") or part(training, "entity", "scoring", "status")


def to_seconds(time: Any) -> float | None:
    """Return a time of a response in seconds since the epoch; numbers are milliseconds."""
    if isinstance(time, int | float):
        return time / 1000
    if not isinstance(time, str) or not time:
        return None
    if time.isdigit():
        return int(time) / 1000
    try:
        moment = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", time))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
