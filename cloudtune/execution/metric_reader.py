"""Metrics from what a process says: the lines that it prints, and those that it reports."""

from __future__ import annotations

import json
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cloudtune.trial import LONGEST_REPORT, number, plain

if TYPE_CHECKING:
    import regex

MAX_LINE_BYTES = 64 * 1024
"""Bytes of a printed line in which metrics are looked for."""
MAX_REPORT_BYTES = 64 * 1024 * 1024
"""Bytes that one trial may report."""
MAX_MEASUREMENTS = 250_000
"""Measurements that one trial may make."""
SEARCH_TIMEOUT = 2.0
"""Seconds that one expression may spend on one line."""
_BLOCK = 1024 * 1024
_SHOWN = 40
"""Characters that are shown of a text that is no number."""

Measurement = tuple[float, int, dict[str, float]]
"""When it was measured, at which step, and the values."""


class MetricError(Exception):
    """A process says something about metrics that cannot be used; the trial fails for it."""


class StepCounter:
    """Numbers measurements: from 1 for each metric, where the script gives no step."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._count = 0

    def __contains__(self, name: str) -> bool:
        """Return whether a metric was measured."""
        return name in self._last

    def place(self, values: Mapping[str, float], step: int | None) -> dict[int, dict[str, float]]:
        """Return the values by the step at which they count.

        Raises:
            BadMetrics: If there are too many.
        """
        placed: dict[int, dict[str, float]] = {}
        for name, value in values.items():
            at = self._last.get(name, 0) + 1 if step is None else step
            self._last[name] = max(at, self._last.get(name, at))
            placed.setdefault(at, {})[name] = value
        self._count += len(placed)
        if self._count > MAX_MEASUREMENTS:
            raise MetricError(f"it made more than {MAX_MEASUREMENTS:,} measurements")
        return placed


class MetricPatterns:
    """Finds metrics in printed lines by a study's expressions."""

    def __init__(self, metrics: Mapping[str, Sequence[str]], steps: StepCounter) -> None:
        """Prepare the expressions.

        Raises:
            BadMetrics: If one cannot be read.
        """
        self._patterns = [(name, said) for name, many in metrics.items() for said in many]
        self._compiled = [(name, _compiled(name, said)) for name, said in self._patterns]
        self._steps = steps
        self._odd: dict[str, str] = {}
        self._rest = b""
        self._skipping = False

    @property
    def remark(self) -> str:
        """What the expressions found for metrics of which they never found a number."""
        return "; ".join(
            f"the expression of {name} found {text!r}, which is no number"
            for name, text in self._odd.items()
            if name not in self._steps
        )

    def feed(self, data: bytes) -> Iterator[Measurement]:
        """Yield the measurements in the lines that ``data`` completes.

        Raises:
            BadMetrics: If an expression takes too long.
        """
        if not self._compiled:
            return
        *lines, rest = (self._rest + data.replace(b"\r", b"\n")).split(b"\n")
        for line in lines:
            if not self._skipping and line:
                yield from self._search(line)
            self._skipping = False
        if len(rest) > MAX_LINE_BYTES:
            if not self._skipping:
                yield from self._search(rest)
            self._skipping = True
            rest = b""
        self._rest = rest

    def finish(self) -> Iterator[Measurement]:
        """Yield the measurements in a last line that has no end."""
        return self.feed(b"\n")

    def _search(self, line: bytes) -> Iterator[Measurement]:
        said = plain(line[:MAX_LINE_BYTES].decode("utf-8", "replace"))
        found: dict[int, dict[str, float]] = {}
        for name, pattern in self._compiled:
            group = "value" if "value" in pattern.groupindex else 1
            try:
                for match in pattern.finditer(said, timeout=SEARCH_TIMEOUT, concurrent=True):
                    text = match[group] or ""
                    value = number(text)
                    if value is None:
                        self._odd[name] = text[:_SHOWN]
                        continue
                    for at, values in self._steps.place({name: value}, None).items():
                        found.setdefault(at, {}).update(values)
            except TimeoutError:
                raise MetricError(
                    f"the expression of the metric {name} took more than {SEARCH_TIMEOUT:g} s on "
                    f"one line, and would on others: {pattern.pattern}"
                ) from None
        now = time.time()
        for at, values in found.items():
            yield now, at, values


@lru_cache
def _compiled(name: str, said: str) -> regex.Pattern[str]:
    import regex

    try:
        pattern = regex.compile(said)
    except regex.error as error:
        raise MetricError(f"the expression of the metric {name} is wrong: {error}") from None
    if pattern.groups == 0:
        raise MetricError(f"the expression of the metric {name} needs a group around the value")
    return pattern


class ReportReader:
    """Reads what a script reported with ``cloudtune.trial.report``."""

    def __init__(self, path: str | Path, *, from_start: bool = False) -> None:
        """Prepare to read a file, which need not exist yet.

        Args:
            path: The file.
            from_start: Read what it holds already; otherwise that is counted and passed over.
        """
        self._path = path
        self._file: int | None = None
        self._rest = b""
        self._taken = 0
        self._steps = StepCounter()
        if not from_start:
            self._pass_over()

    def read(self) -> Iterator[Measurement]:
        """Yield the measurements that were added since the last call.

        Raises:
            BadMetrics: If a line cannot be read, or too much was reported.
        """
        if self._file is None:
            self._file = self._opened()
        if self._file is None:
            return
        while data := os.read(self._file, _BLOCK):
            self._taken += len(data)
            if self._taken > MAX_REPORT_BYTES:
                raise MetricError(f"it reported more than {MAX_REPORT_BYTES // 2**20} MiB")
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                yield from self._placed(line)
            if len(self._rest) > LONGEST_REPORT:
                raise MetricError(f"it reported a line of more than {LONGEST_REPORT:,} bytes")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)

    def _opened(self) -> int | None:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            file = os.open(self._path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MetricError(f"its reports cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise MetricError("its reports cannot be read: they are no file")
        return file

    def _pass_over(self) -> None:
        try:
            for _ in self.read():
                pass
        except MetricError:
            self._rest = b""
            if self._file is not None:
                os.lseek(self._file, 0, os.SEEK_END)

    def _placed(self, line: bytes) -> Iterator[Measurement]:
        if len(line) > LONGEST_REPORT:
            raise MetricError(f"it reported a line of more than {LONGEST_REPORT:,} bytes")
        when, step, values = _parsed(line)
        for at, placed in self._steps.place(values, step).items():
            yield when, at, placed


def _parsed(line: bytes) -> tuple[float, int | None, dict[str, float]]:
    shown = line[:80].decode("utf-8", "backslashreplace")
    try:
        report = json.loads(line)
        if not isinstance(report, dict):
            raise TypeError
        said = cast("dict[str, Any]", report)
        step: Any = said.get("step")
        values = {name: _number(value) for name, value in said["metrics"].items()}
        when = _number(said.get("time", time.time()))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise MetricError(f"a line of its reports cannot be read: {shown!r}") from None
    whole = step is None or (isinstance(step, int) and not isinstance(step, bool))
    if not whole or (step is not None and abs(step) >= 2**63) or not math.isfinite(when):
        raise MetricError(f"a line of its reports cannot be read: {shown!r}")
    return when, step, values


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)
