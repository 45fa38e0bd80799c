"""Results: one format for every provider, and the fold of a job's events into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.events import TrialState


@dataclass(frozen=True)
class RawTrial:
    """A trial as a service tells it: its parameters in the service's own values."""

    id: str
    state: TrialState
    word: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
