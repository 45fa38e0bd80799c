"""One run of a script, whoever asked for it: how it stands, and what it has measured.

Training jobs and executions of a search are both of this kind; each service has its own words for
the states.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

from cloudtune.emulation.faults import Fault
from cloudtune_watson.contract import Measurement, Start, Written

State = Literal["waiting", "running", "storing", "completed", "failed", "stopped"]
OVER = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True)
class Prepared:
    """A job whose folders are there."""

    start: Start
    written: Written


@dataclass
class Job:
    """One run of a script. Changed under the lock of the emulator alone."""

    id: str
    log: Path
    """What the script prints."""
    prepare: Callable[[], Prepared]
    """Makes its folders, anew when its machine was taken away; raises `BadSpec` or `OSError`."""
    live: bool
    """Whether the service reads what is measured while the script runs, or only at its end."""
    fault: Fault | None = None
    state: State = "waiting"
    reason: str = ""
    """Why it failed."""
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    measured: list[Measurement] = field(default_factory=list[Measurement])
    stop_wanted: Event = field(default_factory=Event)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER

    def enter(self, state: State, reason: str = "") -> None:
        """Go to another state."""
        self.state = state
        self.changed = time.time()
        if state == "running" and self.started is None:
            self.started = self.changed
        if state in OVER:
            self.ended = self.changed
            self.reason = reason

    def take(self, new: Sequence[Measurement]) -> None:
        """Take note of measurements; metrics of one step that come one by one are one."""
        for found in new:
            last = self.measured[-1] if self.measured else None
            if last and last.step == found.step and last.metrics.keys().isdisjoint(found.metrics):
                both = {**last.metrics, **found.metrics}
                self.measured[-1] = Measurement(last.step, found.time, both)
            else:
                self.measured.append(found)
