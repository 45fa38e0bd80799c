"""How long a start of a trial waited for its machine, and how long it ran."""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.results.events import UNKNOWN_TIME, Ended, Event, Running, Started, Waiting


@dataclass(slots=True)
class RunTime:
    """The times of one start: a fold over its events, of which `Started` is the first.

    A start that neither waits nor is seen running, as on this machine, runs from its beginning.
    """

    started: float
    since: float | None = None
    """Since when it runs or waits, whichever it does; None after its end."""
    ran: float = 0.0
    """The seconds for which it ran before `since`."""
    waited: float = 0.0
    """The seconds for which it waited before `since`."""
    wait_reason: str = ""
    """What it waits for; empty while it runs."""
    first_ran: float | None = None
    """When its machine first ran; None until that is known."""
    is_known: bool = True
    """Whether `ran` is known."""

    @classmethod
    def begin(cls, event: Started) -> RunTime:
        """Return the times of a start that has just begun."""
        return cls(event.time, event.time)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a machine."""
        return bool(self.wait_reason)

    @property
    def is_running(self) -> bool:
        """Whether its machine is known to run."""
        return self.first_ran is not None and self.since is not None and not self.wait_reason

    def ran_until(self, time: float) -> float:
        """Return the seconds for which it has run at a time."""
        is_timed = self.since not in {None, UNKNOWN_TIME} and not self.wait_reason
        return self.ran + (max(0.0, time - (self.since or time)) if is_timed else 0.0)

    def tell(self, event: Event) -> None:
        """Add the next event of the start."""
        if isinstance(event, Waiting):
            if self.first_ran is not None and not self.wait_reason:
                self._enter(event.time)
            self.wait_reason = event.reason or "a machine"
        elif isinstance(event, Running):
            if self.wait_reason or self.first_ran is None:
                self.wait_reason = self.wait_reason or "a machine"
                self._enter(event.time)
            self.wait_reason = ""
            self.first_ran = event.time if self.first_ran is None else self.first_ran
        elif isinstance(event, Ended):
            self._end(event)

    def _end(self, event: Ended) -> None:
        if self.since is None:  # a pending trial may end without another start
            return
        self._enter(event.time)
        self.since = None
        self.wait_reason = ""
        if event.seconds is not None:
            self.ran, self.is_known = event.seconds, True

    def _enter(self, time: float) -> None:
        """End the present phase at a time, which begins the next one."""
        assert self.since is not None
        is_timed = UNKNOWN_TIME not in {self.since, time}
        seconds = max(0.0, time - self.since) if is_timed else 0.0
        if self.wait_reason:
            self.waited += seconds
        else:
            self.ran += seconds
            self.is_known = self.is_known and is_timed
        self.since = time
