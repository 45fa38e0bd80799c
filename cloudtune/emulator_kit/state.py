"""What the emulated services remember of a job: its state, its times and what it measured."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from cloudtune.emulation.faults import Fault

if TYPE_CHECKING:
    from dataclasses import Field


@dataclass(kw_only=True)
class Job:
    """A job in the service's own words. Changed only under the emulator's lock."""

    RUNNING: ClassVar[str] = ""
    """The state in which the job starts to run."""
    FINAL: ClassVar[Collection[str]] = ()
    """The states in which the job has ended."""

    state: str = ""
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    stop_requested: Event = field(default_factory=Event)

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.state in self.FINAL

    def enter(self, state: str) -> None:
        """Enter a state, and record when."""
        self.state = state
        self.updated = time.time()
        if state == self.RUNNING and self.started is None:
            self.started = self.updated
        if self.is_over:
            self.ended = self.updated


@dataclass(kw_only=True)
class ScriptJob(Job):
    """A job that runs a script."""

    fault: Fault | None = None
    """The job's fault in the fault plan."""


class Measurement(Protocol):
    """Metrics of one step; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def step(self) -> int:
        """The step."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """The values by metric."""
        ...


MeasurementT = TypeVar("MeasurementT", bound=Measurement)


def add_measurement(measurements: list[MeasurementT], new: MeasurementT) -> None:
    """Append a measurement, or merge it into the last one.

    Different metrics of the same step that arrive one by one are one measurement.
    """
    last = measurements[-1] if measurements else None
    if last and last.step == new.step and last.metrics.keys().isdisjoint(new.metrics):
        measurements[-1] = replace(new, metrics={**last.metrics, **new.metrics})
    else:
        measurements.append(new)
