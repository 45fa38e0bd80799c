"""Reports the metrics that a script prints."""

from __future__ import annotations

from cloudtune.launcher.metrics import MetricReader, MisreadNumberError
from cloudtune.launcher.printed_lines import Line, PrintedLines
from cloudtune.trial import append_line, ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from re import Pattern
    from typing import Any

    Json = dict[str, Any]
    MetricPattern = tuple[str, Pattern[str]]

REGEX_TIMEOUT = 2.0
"""Seconds that the launcher lets one metric's regex spend on one line."""


class TrialError(Exception):
    """The trial fails for another reason than its script's exit code."""

    def __init__(self, reason: str, code: int = 2) -> None:
        super().__init__(reason)
        self.code = code


def compile_patterns(metrics: Mapping[str, Sequence[str]]) -> list[MetricPattern]:
    """Return the compiled regular expressions of metrics, with their names.

    Raises:
        ValueError: If this Python cannot compile one.
    """
    if not any(metrics.values()):
        return []
    import re

    patterns: list[MetricPattern] = []
    for name, regexes in metrics.items():
        for regex in regexes:
            try:
                patterns.append((name, re.compile(regex)))
            except re.error as error:
                message = "this Python cannot compile the regex of metric {}: {}"
                raise ValueError(message.format(name, error)) from error
    return patterns


class PrintedMetrics:
    """Reports the metrics in lines.

    It must be used in the main thread: a timer's signal interrupts `re` after `REGEX_TIMEOUT`.
    """

    def __init__(
        self, patterns: Sequence[MetricPattern], trial: Json, hide: Callable[[str], str]
    ) -> None:
        """Set the metrics; ``hide`` returns a text without secrets, for messages."""
        import signal

        self._readers = [MetricReader(name, each, each.finditer, hide) for name, each in patterns]
        self._lines = PrintedLines([reader.required for reader in self._readers])
        self._remarks: dict[str, str] = {}
        """What each metric was last printed as, if that is no number."""
        self._measured: set[str] = set()
        self._trial = trial
        self._current = ["", ""]
        if patterns:
            signal.signal(signal.SIGALRM, self._interrupt)

    def feed(self, output: bytes, stream: int = 0) -> None:
        """Report the metrics in the lines that an output completes in its stream, 0 or 1."""
        if self._readers:
            for line in self._lines.feed(output, stream):
                self._search(line)

    def finish(self, *, failed: bool) -> None:
        """Report the metrics in the last lines, after the end of the process."""
        if self._readers:
            for line in self._lines.finish(failed=failed):
                self._search(line)

    def remark(self, objectives: Iterable[str]) -> str:
        """Return which measured objective was last printed without a number; empty if none."""
        names = (name for name in objectives if name in self._measured)
        return next((self._remarks[name] for name in names if name in self._remarks), "")

    @property
    def warning(self) -> str:
        """Which metrics end without a number or may be wrong, and why; empty if nothing is odd."""
        warnings = (reader.warning for reader in self._readers)
        return "; ".join([*self._remarks.values(), *filter(None, warnings)])

    def _interrupt(self, _number: int, _frame: Any) -> None:
        message = "the regex of metric {} took more than {:g} s on one line: {}"
        raise TrialError(message.format(self._current[0], REGEX_TIMEOUT, self._current[1]))

    def _search(self, line: Line) -> None:
        import signal
        import time

        for index, reader in enumerate(self._readers):
            if reader.required not in line.content:
                continue
            name = reader.name
            self._current[:] = [name, reader.pattern.pattern]
            signal.setitimer(signal.ITIMER_REAL, REGEX_TIMEOUT)
            try:
                numbers = reader.read(line.text, is_complete=line.is_complete)
            except MisreadNumberError as error:
                raise TrialError(str(error)) from error
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if reader.no_number:
                self._remarks[name] = reader.remark
            elif numbers:
                self._remarks.pop(name, None)
                self._measured.add(name)
            for value, step in line.new_numbers(index, numbers):
                report: Json = {"metrics": {name: value}, "time": time.time()}
                if step is not None:
                    report["step"] = step
                append_line(self._trial["reports"], report)
                ring(self._trial.get("doorbell"))
