"""Whether a job has changed since it was exported."""

from __future__ import annotations

from cloudtune.results.events import OPEN_JOB_STATES
from cloudtune.results.model import StudyResult

_UNFINISHED = {"unknown", *OPEN_JOB_STATES}


def export_state(result: StudyResult) -> str:
    """Return a text that changes when a job continues, to be stored with its export.

    Empty for a job that goes on: its export is always repeated.
    """
    return "" if result.state in _UNFINISHED else f"{result.state} {result.ended}"
