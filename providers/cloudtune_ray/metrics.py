"""Reads the record of a job: the file in which the launcher writes measurements, and how it ended.

``GET /api/jobs/{id}/logs`` returns the whole log each time. The record contains no output of the
script, and only its last lines are read: as many as needed to reach the last known measurement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.provider import Json, Measurement, is_map

FIRST_LINES = 32
"""Lines of the first call for a record."""
MAX_LINES = 131_072
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

    @property
    def end_code(self) -> int | None:
        """The exit code of the script; None while it runs, or if its end is unknown."""
        return int(self.end["end"]) if self.end else None

    def read(self, tail: Tail) -> None:
        """Add what is new, if the record can be read."""
        count = FIRST_LINES
        while True:
            lines = tail(count)
            if lines is None:
                return
            rows = list(_parse(lines))
            numbers = [row["n"] for row in rows if "n" in row]
            is_whole = len(lines) < count
            if is_whole or (numbers and numbers[0] <= len(self.measurements) + 1):
                break
            if count >= MAX_LINES:
                self.remark = "its first measurements are too many to be read"
                break
            count *= 8
        for row in rows:
            self._add(row)

    def _add(self, row: Json) -> None:
        if "n" in row:
            if row["n"] > len(self.measurements):
                self.measurements.append(Measurement(row["step"], row["metrics"], row.get("time")))
        elif "start" in row:
            self.started, self.host = row["start"], row.get("host")
        elif "failure" in row:
            self.failure = str(row["failure"])
        elif "end" in row:
            self.end = row
            self.failure = self.failure or str(row.get("reason", ""))


def _parse(lines: Iterable[str]) -> Iterable[Json]:
    for line in lines:
        try:
            row: Any = json.loads(line)
        except ValueError:  # the writer is in the middle of a line
            continue
        if is_map(row):
            yield dict(row)
