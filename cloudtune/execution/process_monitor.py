"""Monitoring of one process: its output, reports, exit and stop requests."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cloudtune.execution.child_process import Child
from cloudtune.execution.fds import create_poll, drain, has_writer, is_readable, open_fifo
from cloudtune.execution.log_file import LogFile
from cloudtune.execution.metric_reader import (
    Measurement,
    MetricError,
    MetricPatterns,
    ReportReader,
    StepCounter,
)
from cloudtune.launcher.output import oldest_first
from cloudtune.launcher.printed_lines import READ_BYTES
from cloudtune.launcher.secrets import SecretFilter

_SMALL_READ = 4 * 1024
"""Bytes. After a read of at most this size, output is left to accumulate."""
_ACCUMULATION_SECONDS = 0.05
"""How long output may accumulate. One print can be several writes, each of which would wake us."""
_ORDER_SECONDS = 0.005
"""The same if there are two streams: the order of what accumulates in both is not known."""
_KILL_ROUNDS = 3
"""Attempts to kill the remaining processes: one that is just starting has no mark yet."""
_KILL_PAUSE = 0.002
"""Seconds between these attempts."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process and how to monitor it."""

    command: Sequence[str]
    cwd: str | Path
    env: Mapping[str, str]
    """The whole environment, without the mark, which the pool adds."""
    log: str | Path
    """The file for its output; an existing log is continued."""
    reports: str | Path | None = None
    """The file to which the script writes its reports."""
    doorbell: str | Path | None = None
    """A FIFO that the script writes to after each report; created if necessary."""
    metrics: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """Regular expressions that find metrics in the output."""
    metrics_as_service: bool = False
    """Whether they are read as a service reads them that searches the log itself."""
    grace: float = 10.0
    """Seconds between the request to exit and the kill."""
    lower: str | None = None
    """A folder that `cwd` shows with copy on write, as `forkserver.overlay` does it."""
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The names that replace secrets in the log and in messages, by value."""
    steps: StepCounter = field(default_factory=StepCounter)
    """Counts the printed measurements; pass an earlier one to continue its count."""


class MonitoredProcess(Protocol):
    """What `ProcessMonitor` needs of the process."""

    def emit(self, measurements: Iterable[Measurement]) -> None:
        """Emit measurements."""

    def seconds_left(self, grace: float) -> float | None:
        """Return how long the process may still run, or None if it was not asked to stop."""
        ...

    def kill(self, reason: str) -> None:
        """Kill the process."""

    def kill_descendants(self) -> None:
        """Kill what the process started outside its group."""


class _Stream:
    """A pipe for output of the process, whose lines do not mix with those of another pipe."""

    def __init__(self, number: int, secrets: SecretFilter) -> None:
        self.number = number
        self.secrets = copy(secrets)  # each holds back a possible start of a secret
        self.fd, self.end = os.pipe()
        os.set_blocking(self.fd, False)


class ProcessMonitor:
    """The channels of one process: output, reports and doorbell.

    Standard output and error share a pipe, which keeps their order, unless metrics are read from
    their lines.
    """

    def __init__(self, process: MonitoredProcess, spec: ProcessSpec, wakeup_fd: int) -> None:
        """Open the channels. `wakeup_fd` becomes readable when the process is to stop.

        Raises:
            MetricError: If a regular expression is invalid.
            OSError: If a channel cannot be opened.
        """
        self.error = ""
        """Why its metrics make the process fail."""
        self.warning = ""
        """A problem with its metrics that does not make it fail."""
        self._process = process
        self._spec = spec
        self._secrets = SecretFilter(spec.secrets)
        self._patterns = MetricPatterns(
            spec.metrics,
            spec.steps,
            self._secrets,
            as_service=spec.metrics_as_service,
        )
        self._wakeup_fd = wakeup_fd
        self._streams: list[_Stream] = []
        """Those that are still open."""
        self.log = LogFile(spec.log)
        self._reports: ReportReader | None = None
        self._doorbell: int | None = None
        self._open_fds: list[int] = []
        try:
            if spec.reports:
                self._reports = ReportReader(spec.reports, secrets=self._secrets)
            if spec.doorbell:
                self._doorbell = open_fifo(spec.doorbell)
                self._open_fds.append(self._doorbell)
            for number in range(2 if spec.metrics else 1):
                self._streams.append(stream := _Stream(number, self._secrets))
                self._open_fds += [stream.fd, stream.end]
            self.output_ends = self._streams[0].end, self._streams[-1].end
        except BaseException:
            self.close()
            raise

    @property
    def lacks_printed_metrics(self) -> bool:
        """Whether the output had no value of a metric that is to be found in it."""
        return any(name not in self._spec.steps for name in self._spec.metrics)

    def close(self) -> None:
        """Close the channels."""
        for fd in self._open_fds:
            os.close(fd)
        if self._reports:
            self._reports.close()
        self.log.close()

    def run_until_exit(self, child: Child) -> None:
        """Process output and reports until the child has exited; does not collect it."""
        for end in {*self.output_ends}:
            self._open_fds.remove(end)
            os.close(end)
        exit_fd = child.exit_fd
        fds = [fd for fd in (exit_fd, self._wakeup_fd, self._doorbell) if fd is not None]
        grace = self._spec.grace
        accumulating: _Stream | None = self._streams[0]
        pause = _ACCUMULATION_SECONDS if len(self._streams) == 1 else _ORDER_SECONDS
        while True:
            timeout = self._process.seconds_left(grace)
            if timeout == 0 and not is_readable(exit_fd):
                self._process.kill(f"did not exit within {grace:g} s of the request to stop")
                timeout = None
            if accumulating:
                timeout = min(pause, timeout or pause)
            awaited = [each.fd for each in self._streams if each is not accumulating]
            poll = create_poll([*fds, *awaited])
            ready = {fd for fd, _ in poll.poll(None if timeout is None else timeout * 1000)}
            accumulating = self._read_streams(ready, accumulating)
            if self._doorbell in ready:
                drain(self._doorbell)
                self._read_reports()
            if self._wakeup_fd in ready:
                drain(self._wakeup_fd)
            if exit_fd in ready:
                return

    def finish(self, code: int | str, *, stopped: bool) -> None:
        """Process the remaining output, without waiting for other processes that hold the pipe.

        Args:
            code: The exit code, a negative signal, or why it is unknown.
            stopped: Whether the process was asked to stop.
        """
        streams = self._streams.copy()
        self._read_outputs(streams)  # the content of the pipes, then their ends
        self._read_outputs(self._streams.copy())
        for _ in range(_KILL_ROUNDS):
            if not any(has_writer(each.fd) for each in self._streams):
                break
            self._process.kill_descendants()
            time.sleep(_KILL_PAUSE)
        for stream in streams:
            self.log.write(stream.secrets.finish(), stream.number)
        failed = code != 0 and not stopped
        self._emit(self._patterns.finish(failed=failed, completed=code == 0))
        self.warning = self._patterns.warning
        self._read_reports()

    def _read_streams(self, ready: set[int], accumulating: _Stream | None) -> _Stream | None:
        """Process the output of the streams in the order of its arrival, as far as that is known.

        Return the stream whose next output may accumulate until the other one has some.
        """
        first = [accumulating] if accumulating else []
        streams = first + [each for each in self._streams if each.fd in ready]
        size = self._read_outputs(streams)
        return streams[0] if len(streams) == 1 and 0 < size <= _SMALL_READ else None

    def _read_outputs(self, streams: Sequence[_Stream]) -> int:
        """Process the available output of streams; return its size in bytes."""
        outputs: dict[_Stream, bytes] = {}
        for stream in streams:
            with suppress(BlockingIOError):
                outputs[stream] = os.read(stream.fd, READ_BYTES)
                if not outputs[stream]:
                    self._streams.remove(stream)
        for stream, data in oldest_first(outputs):
            self.log.write(stream.secrets.feed(data), stream.number)
            self._emit(self._patterns.feed(data, stream.number))
        return sum(map(len, outputs.values()))

    def _read_reports(self) -> None:
        if self._reports:
            self._emit(self._reports.read())

    def _emit(self, measurements: Iterable[Measurement]) -> None:
        """Emit measurements; if they are invalid, kill the process and ignore all later ones."""
        if self.error:
            return
        try:
            self._process.emit(measurements)
        except MetricError as error:
            self.error = str(error)
            self._process.kill(self.error)
