"""Reads the record of a job: the file in which the launcher writes measurements, and how it ended.

``GET /api/jobs/{id}/logs`` returns the whole log each time. The record contains no output of the
script, and only its last lines are read: as many as needed to reach the last known measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cloudtune.provider import Json
from cloudtune.results import (
    InvalidReportError,
    Measurement,
    check_count,
    is_bool,
    is_integer,
    is_text,
    is_time,
    is_whole,
    or_absent,
    parse_record,
    parse_report,
)

FIRST_LINES = 32
"""Lines of the first call for a record."""
MAX_LINES = 131_072
_CHECKS = {
    "n": or_absent(is_integer),
    "start": or_absent(is_time),
    "host": or_absent(is_text),
    "failure": or_absent(is_text),
    "end": or_absent(is_integer),
    "time": or_absent(is_time),
    "stopped": or_absent(is_bool),
    "reason": or_absent(is_text),
}
"""The fields of a line and their types."""
Tail = Callable[[int], "Sequence[str] | None"]
"""Returns so many last lines of a record, or None if it cannot be read."""


@dataclass
class Record:
    """The part of the record of one job that was read."""

    measurements: list[Measurement] = field(default_factory=list[Measurement])
    started: float | None = None
    host: str | None = None
    failure: str = ""
    end: Json | None = None
    """The line that the job's program writes last."""
    remark: str = ""
    """Why measurements are missing, if so."""
    problem: str = ""
    """What is wrong with the record, which the script can write, too; its trial fails."""
    hide: Callable[[str], str] = str
    """Removes secrets from a text."""

    @property
    def end_code(self) -> int | None:
        """The exit code of the script; None while it runs, or if its end is unknown."""
        return int(self.end["end"]) if self.end else None

    def read(self, tail: Tail) -> None:
        """Add what is new, if the record can be read. After a problem, nothing is added."""
        if not self.problem:
            try:
                self._read(tail)
            except InvalidReportError as error:
                self.problem = str(error)

    def _read(self, tail: Tail) -> None:
        count = FIRST_LINES
        while True:
            lines = tail(count)
            if lines is None:
                return
            rows = {
                line: parse_record(line, _CHECKS, "record", self.hide)
                for line in lines
                if is_whole(line)
            }
            numbers = [row["n"] for row in rows.values() if row.get("n") is not None]
            is_all = len(lines) < count
            if is_all or (numbers and numbers[0] <= len(self.measurements) + 1):
                break
            if count >= MAX_LINES:
                self.remark = "its first measurements are too many to be read"
                break
            count *= 8
        for line, row in rows.items():
            self._add(line, row)

    def _add(self, line: str, row: Json) -> None:
        if row.get("n") is not None:
            if row["n"] <= len(self.measurements):
                return
            report = parse_report(line, self.hide)
            step = row["n"] if report.step is None else report.step
            self.measurements.append(Measurement(step, report.metrics, report.time))
            check_count(len(self.measurements))
        elif row.get("start") is not None:
            self.started, self.host = row["start"], row.get("host")
        elif row.get("failure") is not None:
            self.failure = row["failure"]
        elif row.get("end") is not None:
            self.end = row
            self.failure = self.failure or row.get("reason") or ""
        else:
            parse_report(line, self.hide)  # which has no number
