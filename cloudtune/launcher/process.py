"""Runs processes, and passes on what they print and report."""

from __future__ import annotations

import json
import os
import sys

from cloudtune.launcher.contract import Contract
from cloudtune.launcher.memory import (
    OUT_OF_MEMORY,
    SIGKILL_EXIT,
    count_memory_kills,
    is_memory_error,
)
from cloudtune.launcher.output import displayed_text, oldest_first, split_lines
from cloudtune.launcher.printed_lines import READ_BYTES
from cloudtune.launcher.printed_metrics import PrintedMetrics, TrialError
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.trial import MAX_REPORT_LINE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import Popen
    from typing import Any

    Json = dict[str, Any]

MAX_REASON_LENGTH = 1024
"""Character limit of the reason for which a trial failed."""


class _Stream:
    """An output of a process, and its line that is not complete."""

    def __init__(self, number: int, secrets: SecretFilter) -> None:
        import copy

        self.number = number
        self.secrets = copy.copy(secrets)  # each holds back a possible start of a secret
        self.partial_line = b""
        self.is_overwritten = False
        """Whether that overwrites a line, as a progress bar does."""


class Launcher:
    """Runs processes, copies their output line by line, and passes reports on to the contract.

    It wakes up for output, reports, signals and the end of the process.
    """

    def __init__(self, contract: Contract, trial: Json, secrets: SecretFilter) -> None:
        import signal

        self._secrets = secrets
        self.stop_signals: list[int] = []
        self._kill_at: float | None = None
        self._memory_kills = count_memory_kills()
        self._contract = contract
        self._processes: list[Popen[bytes]] = []
        self._last_lines: list[bytes] = []
        self._partial_report = b""
        self._within_line = False
        self._writer: _Stream | None = None
        self._by_age: list[_Stream] = []
        """The outputs of the process, the one that was written last at the end."""
        self._reports: int | None = None
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer)
        self._wakeups = [wake_reader]
        if "reports" not in contract.trial:
            self._reports = os.open(trial["reports"], os.O_RDONLY | os.O_CREAT, 0o600)
            os.mkfifo(trial["doorbell"])
            self._wakeups.append(os.open(trial["doorbell"], os.O_RDWR | os.O_NONBLOCK))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._forward_signal)

    def install(self, requirements: str, python: str, env: Mapping[str, str]) -> int:
        """Install requirements with pip, and return its exit code; not 0 after a stop signal.

        Raises:
            TrialError: If pip fails.
        """
        options = ["--disable-pip-version-check", "--no-input"]
        code = self.run([python, "-m", "pip", "install", *options, "-r", requirements], env)
        if code and not self.stop_signals:
            message = "cannot install {}: {}"
            raise TrialError(message.format(requirements, self.failure_reason(code)))
        return code

    def run(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        metrics: PrintedMetrics | None = None,
    ) -> int:
        """Run a process to its end, report the metrics in its lines, and return its exit code.

        Without ``metrics``, its standard output and error share a pipe, which keeps their order.
        A child that keeps the output open after that is not waited for.

        Raises:
            TrialError: If the process cannot be started, or a metric's regex takes too long.
        """
        import select
        import subprocess

        try:
            process = subprocess.Popen(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if metrics else subprocess.STDOUT,
            )
        except OSError as error:
            raise TrialError("cannot start {}: {}".format(words[0], error), 127) from error
        self._processes, self._last_lines = [process], []
        for number in self.stop_signals:
            process.send_signal(number)
        pipes = [pipe.fileno() for pipe in (process.stdout, process.stderr) if pipe]
        streams = {fd: _Stream(number, self._secrets) for number, fd in enumerate(pipes)}
        self._by_age = [*streams.values()]

        def read(fds: Sequence[int]) -> None:
            outputs = {fd: os.read(fd, READ_BYTES) for fd in fds}
            for fd, data in oldest_first(outputs):
                if not data:
                    pipes.remove(fd)
                self._copy(data, streams[fd], metrics)

        try:
            while process.poll() is None:
                timeout = self._kill_if_due(process, self._contract.tick())
                ready = select.select(self._wakeups + pipes, [], [], timeout)[0]
                for fd in set(ready).difference(pipes):
                    os.read(fd, READ_BYTES)
                read([fd for fd in ready if fd in pipes])
                self._publish_reports()
            for _ in range(64):
                read(select.select(pipes, [], [], 0)[0])
            for stream in self._by_age:
                self._pass_on(stream.partial_line, stream, is_last=True)
            if metrics:
                metrics.finish(failed=process.returncode != 0 and not self.stop_signals)
            self._publish_reports()
            self._contract.tick()
        except TrialError:
            process.kill()
            process.wait()
            raise
        return process.returncode

    def failure_reason(self, code: int) -> str:
        """Return how the process ended, with its last lines, up to `MAX_REASON_LENGTH`."""
        import signal

        ending = "exit code {}".format(code)
        if code < 0:
            names = {each.value: each.name for each in signal.Signals}
            ending = "killed by {}".format(names.get(-code, "signal {}".format(-code)))
        output = b"\n".join(self._last_lines[-5:]).decode("utf-8", "replace")
        is_killed = code in (-signal.SIGKILL, SIGKILL_EXIT)
        if is_memory_error(output) or (is_killed and count_memory_kills() > self._memory_kills):
            ending = "{}: {}".format(OUT_OF_MEMORY, ending)
        room = MAX_REASON_LENGTH - len(ending)
        lines: list[str] = []
        for data in reversed(self._last_lines):
            line = displayed_text(data.decode("utf-8", "replace")).rstrip()[: room - 1]
            room -= len(line) + 1
            if lines and room <= 0:
                break
            lines.insert(0, line)
        return "\n".join([ending, *lines])

    def _kill_if_due(self, process: Popen[bytes], timeout: float | None) -> float | None:
        """Kill a process that was asked to stop in vain; return how long to wait at most."""
        import time

        if self._kill_at is None:
            return timeout
        left = self._kill_at - time.monotonic()
        if left <= 0:
            self._kill_at = None
            process.kill()
            return timeout
        return left if timeout is None else min(left, timeout)

    def _forward_signal(self, number: int, _frame: Any) -> None:
        import time

        if self._contract.grace is not None and not self.stop_signals:
            self._kill_at = time.monotonic() + self._contract.grace
        self.stop_signals.append(number)
        for process in () if self._contract.signals_script else self._processes:
            process.send_signal(number)

    def _copy(self, data: bytes, stream: _Stream, metrics: PrintedMetrics | None) -> None:
        """Copy complete lines to our output, after an incomplete progress bar of another stream."""
        if data and stream is self._by_age[0]:
            self._by_age.reverse()
        pending = stream.partial_line + data
        end = max(pending.rfind(b"\n"), pending.rfind(b"\r")) + 1
        if len(pending) - end > MAX_REPORT_LINE_BYTES:
            end = len(pending)
        complete, stream.partial_line = pending[:end], pending[end:]
        older = self._by_age[0]
        if complete and older is not stream and older.is_overwritten:
            self._pass_on(older.partial_line, older)
            older.partial_line = b""
        if complete:
            stream.is_overwritten = complete.endswith(b"\r")
        self._pass_on(complete, stream)
        if metrics:
            metrics.feed(data, stream.number)  # unmasked, since a metric can look like a secret

    def _pass_on(self, output: bytes, stream: _Stream, *, is_last: bool = False) -> None:
        masked = stream.secrets.feed(output) + (stream.secrets.finish() if is_last else b"")
        self._write(masked, stream)
        self._last_lines = self._last_lines[-40:]
        self._last_lines += [line[:MAX_REASON_LENGTH] for line in split_lines(masked)[-40:]]

    def _publish_reports(self) -> None:
        import contextlib

        published: list[str] = []
        while self._reports is not None:
            data = os.read(self._reports, 65_536)
            *lines, self._partial_report = (self._partial_report + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):  # a full disk truncates lines
                    report = json.loads(line)
                    self._contract.observe(report)
                    published.append(self._contract.publish(self._hide_names(report)))
            if not data:
                break
        self._write("".join(published).encode())

    def _hide_names(self, report: Json) -> Json:
        """Return a report without secrets; its numbers stay, since one can look like a secret."""
        metrics = {self._secrets.hide_text(k): value for k, value in report["metrics"].items()}
        return {**report, "metrics": metrics}

    def _write(self, data: bytes, stream: _Stream | None = None) -> None:
        """Write output, which does not continue a line of another stream."""
        if data:
            if self._within_line and stream is not self._writer:
                data = b"\n" + data
            self._writer = stream
            self._within_line = not data.endswith(b"\n")
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
