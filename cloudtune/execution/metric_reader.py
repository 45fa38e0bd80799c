"""Metrics of a process: those in its printed lines and those that it reports."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cloudtune.launcher.contract import BEGINS_ANEW
from cloudtune.launcher.metrics import MetricReader, MisreadNumberError, value_group
from cloudtune.launcher.printed_lines import Line, PrintedLines
from cloudtune.launcher.secrets import SecretFilter
from cloudtune.results.reports import (
    InvalidReportError,
    check_count,
    is_integer,
    or_absent,
    parse_record,
    parse_report,
)
from cloudtune.trial import MAX_REPORT_LINE_BYTES, append_line

if TYPE_CHECKING:
    import regex

    Search = Callable[[str], Iterable[re.Match[str]]]

MAX_SEARCHED_BYTES = 128 * 1024 * 1024
MAX_SEARCHED_LINES = 1_000_000
"""Limits of the output of one process that regular expressions search: a few seconds of work."""
MAX_REPORT_BYTES = 64 * 1024 * 1024
"""Bytes that one trial may report."""
SEARCH_TIMEOUT = 2.0
"""Seconds that one regular expression may spend on one line."""
_BLOCK = 1024 * 1024
_NO_SECRETS = SecretFilter({})
_AFTER_STEP = "after_step"
_BEGINNING = json.dumps({"metrics": {}, BEGINS_ANEW: 0}).encode()[:-2]
_TOO_MUCH = (
    f"printed more than {MAX_SEARCHED_LINES:,} lines or {MAX_SEARCHED_BYTES // 2**20} MiB that can "
    "have metrics; print less, or call cloudtune.trial.report"
)

Measurement = tuple[float, int, dict[str, float]]
"""The time of a measurement, its step, and the metric values."""


class MetricError(Exception):
    """The metrics of a process are invalid, so its trial fails. The message has no subject."""


class StepCounter:
    """Numbers the measurements of each metric from 1, unless the script gives a step."""

    def __init__(self, after_step: int = 0) -> None:
        """Begin after a step, for a script that continues from its checkpoint."""
        self._after_step = after_step
        self._last: dict[str, int] = {}
        self._count = 0

    def __contains__(self, name: str) -> bool:
        """Return whether a metric was measured."""
        return name in self._last

    def group(self, values: Mapping[str, float], step: int | None) -> dict[int, dict[str, float]]:
        """Return the values grouped by step.

        Raises:
            MetricError: If there are too many measurements.
        """
        grouped: dict[int, dict[str, float]] = {}
        for name, value in values.items():
            at = self._last.get(name, self._after_step) + 1 if step is None else step
            self._last[name] = max(at, self._last.get(name, at))
            grouped.setdefault(at, {})[name] = value
        self._count += len(grouped)
        try:
            check_count(self._count)
        except InvalidReportError as error:
            raise MetricError(str(error)) from None
        return grouped


class MetricPatterns:
    """Finds metrics in printed lines with the regular expressions of a study."""

    def __init__(
        self,
        metrics: Mapping[str, Sequence[str]],
        steps: StepCounter,
        secrets: SecretFilter = _NO_SECRETS,
        *,
        as_service: bool = False,
    ) -> None:
        """Compile the regular expressions.

        Args:
            metrics: The regular expressions by metric.
            steps: Counts the measurements.
            secrets: What messages do not quote.
            as_service: Whether every match counts as it is, as at a service that searches the log
                itself: also in lines of tracebacks, and a part of a number.

        Raises:
            MetricError: If a regular expression is invalid.
        """
        self._readers = [
            _reader(name, text, secrets.hide_cut_text)
            for name, texts in metrics.items()
            for text in texts
        ]
        self._searched_bytes = self._searched_lines = 0
        self._steps = steps
        self._remarks: dict[str, str] = {}
        """The metrics whose last text is no number."""
        self._as_service = as_service
        self._lines = PrintedLines([r.required for r in self._readers], as_service=as_service)

    @property
    def warning(self) -> str:
        """The metrics whose last match is not a number, or that may be wrong for other reasons."""
        warnings = (reader.warning for reader in self._readers)
        texts = [*self._remarks.values(), *filter(None, warnings)]
        return "; ".join(texts)

    def feed(self, data: bytes, stream: int = 0) -> Iterator[Measurement]:
        """Yield the measurements in the lines that ``data`` completes in its stream, 0 or 1.

        Raises:
            MetricError: If a search takes too long, a number is not read whole, or there is too
                much to search.
        """
        for line in self._lines.feed(data, stream) if self._readers else ():
            yield from self._search(line)

    def finish(self, *, failed: bool = False, completed: bool = False) -> Iterator[Measurement]:
        """Yield the measurements in the last lines, which may have no line break.

        If the process has ``failed``, the lines after a last traceback belong to its message. If it
        has ``completed``, metrics whose last text is no number end with NaN.
        """
        for line in self._lines.finish(failed=failed) if self._readers else ():
            yield from self._search(line)
        for name in self._remarks if completed and not self._as_service else ():
            if name in self._steps:
                for step, values in self._steps.group({name: math.nan}, None).items():
                    yield time.time(), step, values

    def _search(self, line: Line) -> Iterator[Measurement]:
        readers = [(n, r) for n, r in enumerate(self._readers) if r.required in line.content]
        if not readers:
            return
        self._searched_bytes += len(line.content)
        self._searched_lines += 1
        is_limited = self._searched_bytes > MAX_SEARCHED_BYTES
        if is_limited or self._searched_lines > MAX_SEARCHED_LINES:
            raise MetricError(_TOO_MUCH)
        text, is_complete = line.text, line.is_complete
        by_step: dict[int, dict[str, float]] = {}
        for index, reader in readers:
            name = reader.name
            try:
                if self._as_service:
                    numbers = reader.match(text)
                else:
                    numbers = reader.read(text, is_complete=is_complete)
            except MisreadNumberError as error:
                raise MetricError(str(error)) from None
            except TimeoutError:
                raise MetricError(
                    f"the regular expression of the metric {name} needed more than "
                    f"{SEARCH_TIMEOUT:g} s for one line: {reader.pattern.pattern}"
                ) from None
            if reader.no_number:
                self._remarks[name] = reader.remark
            elif numbers:
                self._remarks.pop(name, None)
            for value, given in line.new_numbers(index, numbers):
                for step, values in self._steps.group({name: value}, given).items():
                    by_step.setdefault(step, {}).update(values)
        now = time.time()
        for step, values in by_step.items():
            yield now, step, values


def _reader(name: str, text: str, hide: Callable[[str], str]) -> MetricReader:
    pattern = _compile(name, text)
    search = partial(pattern.finditer, timeout=SEARCH_TIMEOUT, concurrent=True)
    return MetricReader(name, cast("re.Pattern[str]", pattern), cast("Search", search), hide)


@lru_cache
def _compile(name: str, text: str) -> regex.Pattern[str]:
    import regex

    try:
        pattern = regex.compile(text)
    except regex.error as error:
        raise MetricError(f"invalid regular expression of the metric {name}: {error}") from None
    if not value_group(cast("re.Pattern[str]", pattern)):
        raise MetricError(
            f"the regular expression of the metric {name} needs a group around the value"
        )
    return pattern


def begin_reports(path: str | Path, after_step: int) -> None:
    """Write to a file of reports where the steps of its script begin.

    Args:
        path: The file.
        after_step: The step after which the reports that follow are counted: 0 if the script starts
            from the beginning, else the last one before its checkpoint.

    Raises:
        OSError: If the file cannot be written.
    """
    line: dict[str, object] = {"metrics": {}, BEGINS_ANEW: not after_step}
    append_line(str(path), {**line, _AFTER_STEP: after_step} if after_step else line)


class ReportReader:
    """Reads the reports that a script writes with ``cloudtune.trial.report``."""

    def __init__(
        self, path: str | Path, *, from_start: bool = False, secrets: SecretFilter = _NO_SECRETS
    ) -> None:
        """Open a file of reports, if it exists already; secrets in it are replaced.

        Its present content is counted and skipped unless `from_start` is set.
        """
        self._secrets = secrets
        self._path = path
        self._file: int | None = None
        self._rest = b""
        self._size = 0
        self._steps = StepCounter()
        if not from_start:
            self._skip_content()

    def read(self) -> Iterator[Measurement]:
        """Yield the measurements added since the last call.

        Raises:
            MetricError: If a line is invalid or the reports are too long.
        """
        if self._file is None:
            self._file = self._open()
        if self._file is None:
            return
        while data := os.read(self._file, _BLOCK):
            self._size += len(data)
            if self._size > MAX_REPORT_BYTES:
                raise MetricError(f"reported more than {MAX_REPORT_BYTES // 2**20} MiB")
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                yield from self._parse(line)
            if len(self._rest) > MAX_REPORT_LINE_BYTES:
                raise MetricError(f"reported a line of more than {MAX_REPORT_LINE_BYTES:,} bytes")

    def _parse(self, line: bytes) -> Iterator[Measurement]:
        try:
            if line.startswith(_BEGINNING):
                self._steps = StepCounter(_first_step(line, self._secrets))
                return
            report = parse_report(line, self._secrets.hide_text)
        except InvalidReportError as error:
            raise MetricError(str(error)) from None
        when = time.time() if report.time is None else report.time
        for at, group in self._steps.group(report.metrics, report.step).items():
            yield when, at, group

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)

    def _open(self) -> int | None:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            file = os.open(self._path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MetricError(f"its reports cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise MetricError("its reports cannot be read: not a regular file")
        return file

    def _skip_content(self) -> None:
        try:
            for _ in self.read():
                pass
        except MetricError:
            self._rest = b""
            if self._file is not None:
                os.lseek(self._file, 0, os.SEEK_END)


def _first_step(line: bytes, secrets: SecretFilter) -> int:
    checks = {_AFTER_STEP: or_absent(is_integer)}
    return parse_record(line, checks, "report", secrets.hide_text).get(_AFTER_STEP) or 0
