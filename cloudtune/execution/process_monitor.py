"""Watching one process: what it prints, what it reports, when it ends, when it is to stop."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cloudtune.execution.child_process import Child
from cloudtune.execution.fds import create_poll, drain, has_writer, open_fifo
from cloudtune.execution.log_file import LogFile
from cloudtune.execution.metric_reader import (
    Measurement,
    MetricError,
    MetricPatterns,
    ReportReader,
    StepCounter,
)

_BLOCK = 64 * 1024
"""Bytes that a pipe holds, and that are read at one time."""
_FEW = 4 * 1024
"""Bytes that are not worth being woken for: after so few, more may gather."""
_SWEEPS = 3
"""How often what a process leaves behind is looked for: what is just being started has no mark."""
_SWEEP_PAUSE = 0.002
"""Seconds in between."""
_GATHER = 0.05
"""Seconds that output may gather. One print can be several writes, each of which would wake us."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process, and how it is watched."""

    command: Sequence[str]
    cwd: str | Path
    env: Mapping[str, str]
    """The whole environment; the run's mark is added."""
    log: str | Path
    """Where its output goes; an earlier log is continued."""
    reports: str | Path | None = None
    """Where the script puts what it reports."""
    doorbell: str | Path | None = None
    """A FIFO, made if need be, that the script rings after each report."""
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Expressions that find metrics in the output."""
    grace: float = 10.0
    """Seconds between asking it to end and killing it."""
    steps: StepCounter = field(default_factory=StepCounter)
    """Counts what the expressions find; hand over the same one where counting goes on."""


class MonitoredProcess(Protocol):
    """What a watch asks of the process that it watches, and tells it."""

    def emit(self, steps: Iterable[Measurement]) -> None:
        """Tell of measurements."""
        ...

    def seconds_left(self, grace: float) -> float | None:
        """Return how long it still may run once it was asked to end; None if it was not."""
        ...

    def kill(self, why: str) -> None:
        """End it at once."""
        ...

    def sweep(self) -> None:
        """End what it has left behind."""
        ...


class ProcessMonitor:
    """What one process says, and by which channels it says it."""

    def __init__(self, process: MonitoredProcess, spec: ProcessSpec, woken: int) -> None:
        """Open the channels.

        Args:
            process: What is watched.
            spec: How it is watched.
            woken: Readable when somebody wants the process to end.

        Raises:
            BadMetrics: If an expression cannot be read.
            OSError: If a channel cannot be opened.
        """
        self.fault = ""
        """Why what it says makes it fail."""
        self.remark = ""
        """What is odd in what it said, without making it fail."""
        self._process = process
        self._spec = spec
        self._expressions = MetricPatterns(spec.metrics, spec.steps)
        self._woken = woken
        self._output_open = True
        self.log = LogFile(spec.log)
        """Takes what it prints."""
        self._reports: ReportReader | None = None
        self._bell: int | None = None
        self._ends: list[int] = []
        try:
            if spec.reports:
                self._reports = ReportReader(spec.reports)
            if spec.doorbell:
                self._bell = open_fifo(spec.doorbell)
                self._ends.append(self._bell)
            self._output, self.output_end = os.pipe()
            self._ends += [self._output, self.output_end]
            os.set_blocking(self._output, False)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the channels."""
        for end in self._ends:
            os.close(end)
        if self._reports:
            self._reports.close()
        self.log.close()

    def until_exit(self, child: Child) -> None:
        """Take in what the process says until it has ended; it is not collected yet."""
        self._ends.remove(self.output_end)
        os.close(self.output_end)
        exited = child.exited
        ends = [end for end in (exited, self._woken, self._bell) if end is not None]
        without_output, everything = create_poll(ends), create_poll([*ends, self._output])
        grace = self._spec.grace
        gathering = True
        while True:
            left = self._process.seconds_left(grace)
            if left == 0:
                self._process.kill(f"did not end within {grace:g} s of being asked to")
                left = None
            if gathering:
                left = _GATHER if left is None else min(left, _GATHER)
            watched = everything if self._output_open and not gathering else without_output
            ready = {end for end, _ in watched.poll(None if left is None else left * 1000)}
            gathering = self._output in ready and 0 < self._take_output() <= _FEW
            if self._bell in ready:
                drain(self._bell)
                self._take_reports()
            if self._woken in ready:
                drain(self._woken)
            if exited in ready:
                return

    def finish(self) -> None:
        """Take in what is left, without waiting for others who hold the pipe."""
        for _ in range(2):  # what the pipe held, then its end
            if self._output_open:
                self._take_output()
        for _ in range(_SWEEPS):
            if not self._output_open or not has_writer(self._output):
                break
            self._process.sweep()
            time.sleep(_SWEEP_PAUSE)
        self._say(self._expressions.finish())
        self.remark = self._expressions.remark
        self._take_reports()

    def _take_output(self) -> int:
        """Take in what there is to read; return how many bytes that was."""
        try:
            data = os.read(self._output, _BLOCK)
        except BlockingIOError:
            return 0
        if data:
            self.log.write(data)
            self._say(self._expressions.feed(data))
        else:
            self._output_open = False
        return len(data)

    def _take_reports(self) -> None:
        if self._reports:
            self._say(self._reports.read())

    def _say(self, steps: Iterable[Measurement]) -> None:
        """Tell of measurements; where something is wrong with them, kill the process."""
        if self.fault:
            return
        try:
            self._process.emit(steps)
        except MetricError as error:
            self.fault = str(error)
            self._process.kill(self.fault)
