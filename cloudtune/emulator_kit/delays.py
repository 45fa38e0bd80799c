"""The delays of the service, divided by the emulator's speed."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

DEFAULT_SPEED = 600.0


@dataclass(frozen=True)
class Delays:
    """Lets the service's own time pass; the time of scripts is never scaled."""

    speed: float = DEFAULT_SPEED

    def wait(self, seconds: float, stop: Event) -> bool:
        """Wait for some of the service's time; return whether ``stop`` was set meanwhile."""
        return stop.wait(seconds / self.speed)
