"""The service's own time on this machine: what it takes there, divided by the emulator's speed."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

DEFAULT_SPEED = 600.0


@dataclass(frozen=True)
class Delays:
    """Lets time pass that the service takes for itself; a script takes as long as it takes."""

    speed: float = DEFAULT_SPEED

    def wait(self, seconds: float, stop: Event) -> bool:
        """Let some of the service's time pass; return whether a stop was wanted meanwhile."""
        return stop.wait(seconds / self.speed)
