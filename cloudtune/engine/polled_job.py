"""A start of a trial while its service is polled, and what each poll shows of its machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from cloudtune.engine.circuit_breaker import STOPPED_ELSEWHERE
from cloudtune.provider.models import TrainingJob
from cloudtune.results.event_checks import event_problem
from cloudtune.results.events import (
    UNKNOWN_TIME,
    Ended,
    Measured,
    Running,
    Started,
    Stopped,
    TrialState,
    Waiting,
)
from cloudtune.results.model import Measurement
from cloudtune.results.run_time import RunTime

FIRST_PAUSE = 2
LONGEST_PAUSE = 40
"""Chosen: how many polls pass before a machine is asked for again, doubled from the first to the
longest. With polls every 15 s, that is half a minute to ten minutes."""
MAX_ASKED = 24
"""Chosen: how often in a row a job without a ``timeout`` asks for a machine, about 3.5 hours."""


@dataclass
class PolledJob:
    """A start of a trial until its `Ended`."""

    started: Started
    emitted: int = 0
    """The number of its measurements that were emitted."""
    may_exist: bool = False
    """Whether its training job may exist although the service did not confirm it."""
    absent_after: float = 0.0
    """When a training job that is not found does not exist."""
    not_before: float = 0.0
    """When it is created, by `time.monotonic`."""
    stop: bool = False
    """Whether the driver wants it to end."""
    stop_sent: bool = False
    run_time: RunTime = field(init=False)

    def __post_init__(self) -> None:
        """Begin its run time."""
        self.run_time = RunTime.begin(self.started)

    @property
    def id(self) -> str:
        """The name of its training job."""
        assert self.started.id is not None
        return self.started.id

    def observe(
        self, polled: TrainingJob, *, now: float, last_poll: float | None
    ) -> list[Waiting | Running | Measured]:
        """Return what a poll newly shows, other than an end; arguments as in `machine_event`."""
        number, new = self.started.number, polled.measurements[self.emitted :]
        self.emitted = max(self.emitted, len(polled.measurements))
        events: list[Waiting | Running | Measured] = [to_event(number, each) for each in new]
        machine = machine_event(number, self.run_time, polled, now=now, last_poll=last_poll)
        if machine is not None:
            events.insert(0, machine)
            if not event_problem(machine):
                self.run_time.tell(machine)
        return events

    def wait(self, reason: str) -> Waiting:
        """Record that it waits before its training job is created, and return that as an event."""
        event = Waiting(self.started.number, time.time(), reason)
        self.run_time.tell(event)
        return event

    def outcome(self, polled: TrainingJob, service: str) -> tuple[TrialState, str]:
        """Return the state and the reason with which a trial ends whose training job is over."""
        is_lost = polled.lost or polled.no_machine
        if self.stop and (is_lost or polled.state == "cancelled"):
            return "completed", ""
        if polled.lost:
            return "cancelled", polled.reason
        if polled.state == "cancelled":
            return "failed", f"the training job was stopped at {service}, {STOPPED_ELSEWHERE}"
        return polled.state, polled.reason

    def end(self, event: Ended, polled: TrainingJob | None) -> Ended:
        """Return the end of a trial, which has ended by itself if its job succeeded."""
        succeeded = polled is not None and polled.state == "completed"
        event = with_bounds(event, self.run_time) if polled else event
        return Stopped(**vars(event)) if self.stop and not succeeded else event


def to_event(number: int, measurement: Measurement) -> Measured:
    """Return a measurement of a trial as an event."""
    return Measured(number, measurement.time or time.time(), measurement.step, measurement.metrics)


def machine_event(
    number: int, known: RunTime, polled: TrainingJob, *, now: float, last_poll: float | None
) -> Waiting | Running | None:
    """Return what a poll newly shows of a trial's machine: that it waits for one, or has it.

    A trial that ended before it was seen running has run since the service says so; else since the
    last poll that saw it waiting, which is an upper bound; since an unknown time if another process
    saw that. If it was cancelled before that, it has not run.

    Args:
        number: The trial.
        known: The times of its last start.
        polled: What the service reports.
        now: The time of the poll.
        last_poll: The time of the poll before, if there was one.
    """
    if polled.state == "waiting" or polled.no_machine:
        reason = polled.reason or polled.word
        return None if known.wait_reason == reason else Waiting(number, now, reason)
    if known.is_running or polled.state == "unknown":
        return None
    is_first = known.first_ran is None
    if not polled.over:
        return Running(number, (polled.started if is_first else None) or now)
    if polled.started is not None and is_first:
        return Running(number, polled.started)
    if known.is_waiting and polled.state != "cancelled":
        return Running(number, UNKNOWN_TIME if last_poll is None else last_poll)
    return None


def with_bounds(end: Ended, known: RunTime) -> Ended:
    """Return the end of a job, with bounds of what is billed if its start was never seen.

    A job may begin and end while no process polls it, and not every service reports when its
    machine ran. It then ran for nothing at least, and at most since it was created.
    """
    is_seen = known.first_ran is not None or known.is_waiting
    if is_seen or end.billed_seconds is not None or UNKNOWN_TIME in {known.started, end.time}:
        return end
    most = max(0.0, end.time - known.started)
    return replace(end, billed_seconds=most, billed_at_least=0.0)


@dataclass
class Capacity:
    """How often in a row a service had no machine for a job of a run, and when to ask again."""

    poll_seconds: float
    """Seconds between two polls."""
    asks_on: bool
    """Whether a timeout of the study ends the run, so that it needs no other end."""
    asked: int = 0
    until: float = 0.0
    """When the next job is created, by `time.monotonic`."""
    reason: str = ""
    """What the service reported."""

    @property
    def pause(self) -> float:
        """The seconds before the next job is created."""
        return max(0.0, self.until - time.monotonic())

    @property
    def is_exhausted(self) -> bool:
        """Whether to give up."""
        return self.asked >= MAX_ASKED and not self.asks_on

    @property
    def advice(self) -> str:
        """How long cloudtune asks for machines."""
        end = "until limits.timeout" if self.asks_on else f"up to {MAX_ASKED} times in a row"
        return f"cloudtune asks for a machine again, after increasing pauses, {end}"

    def refuse(self, reason: str) -> None:
        """Count a job without a machine; those of a pause count once."""
        self.reason = reason.rstrip(".")
        if not self.pause:
            polls = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.asked, 10))
            self.until = time.monotonic() + polls * self.poll_seconds
            self.asked += 1

    def grant(self) -> None:
        """Record that a job got a machine."""
        self.asked = 0

    def end_reason(self, service: str) -> str:
        """Return why a job ends that got no machine."""
        return (
            f"{self.reason}; {service} had no machine {self.asked} times in a row: choose another "
            "machine or region, or set limits.timeout to ask until then; `cloudtune resume` asks "
            "again"
        )
