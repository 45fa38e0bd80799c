"""What a trial's own processes write about it: read without trust, by every provider.

A script can write anything into its own files, so each value is checked before it is used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from cloudtune.results.events import UNKNOWN_TIME
from cloudtune.study.schema import Json
from cloudtune.trial import MAX_REPORT_LINE_BYTES

MAX_INTEGER = 2**63
"""Integers are below it, as in the ledger's database."""
MAX_MEASUREMENTS = 250_000
"""Measurements of one trial."""
_LATEST = 253_402_300_800.0
"""The year 10000: what is later is no date."""
_MAX_SHOWN = 80
"""Characters of an invalid line that a message quotes."""


class InvalidReportError(ValueError):
    """What a trial has written is invalid; the message says what, without a subject."""


@dataclass(frozen=True, slots=True)
class Report:
    """Metric values that a script reported."""

    metrics: dict[str, float]
    step: int | None
    """None if the script gave no step."""
    time: float | None


def is_whole(content: str | bytes) -> bool:
    """Return whether content is JSON, rather than missing, cut off or just being written."""
    try:
        json.loads(content)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def is_integer(value: object) -> bool:
    """Return whether a value is an integer that the ledger can store."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_INTEGER


def is_number(value: object) -> bool:
    """Return whether a value is a number that a float can represent; it may be NaN or infinite."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return isinstance(value, float)


def is_time(value: object) -> bool:
    """Return whether a value is a time in seconds since the epoch, or `UNKNOWN_TIME`."""
    return is_number(value) and UNKNOWN_TIME <= cast("float", value) < _LATEST


def is_text(value: object) -> bool:
    """Return whether a value is a string."""
    return isinstance(value, str)


def is_bool(value: object) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def check_count(measurements: int) -> None:
    """Check the number of a trial's measurements.

    Raises:
        InvalidReportError: If there are too many.
    """
    if measurements > MAX_MEASUREMENTS:
        raise InvalidReportError(f"reported more than {MAX_MEASUREMENTS:,} measurements")


def parse_record(
    line: bytes | str,
    checks: Mapping[str, Callable[[object], bool]],
    what: str,
    hide: Callable[[str], str] = str,
) -> Json:
    """Return a JSON object that a trial wrote; an absent field is None.

    Args:
        line: The text of the object.
        checks: Returns whether the value of a field is valid, for each field that is used.
        what: The name of the object in messages.
        hide: Removes secrets from what a message quotes.

    Raises:
        InvalidReportError: If it is no object, or a field is invalid.
    """
    try:
        loaded: object = json.loads(line)
    except (ValueError, RecursionError):
        loaded = None
    if isinstance(loaded, dict):
        record = cast("Json", loaded)
        if all(check(record.get(name)) for name, check in checks.items()):
            return record
    text = line if isinstance(line, str) else line.decode("utf-8", "backslashreplace")
    raise InvalidReportError(f"invalid {what} {hide(text)[:_MAX_SHOWN]!r}")


def or_absent(check: Callable[[object], bool]) -> Callable[[object], bool]:
    """Return a check that also accepts None."""
    return lambda value: value is None or check(value)


def parse_report(line: bytes | str, hide: Callable[[str], str] = str) -> Report:
    """Return the report in a line of JSON, without secrets in the names of its metrics.

    Raises:
        InvalidReportError: If it is not one, or is too long.
    """
    if len(line) > MAX_REPORT_LINE_BYTES:
        raise InvalidReportError(f"reported a line of more than {MAX_REPORT_LINE_BYTES:,} bytes")
    fields = parse_record(line, _REPORT, "report", hide)
    metrics = {hide(name): float(value) for name, value in fields["metrics"].items()}
    return Report(metrics, fields.get("step"), fields.get("time"))


def _is_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_number, cast("Json", value).values()))


_REPORT: Mapping[str, Callable[[object], bool]] = {
    "metrics": _is_metrics,
    "step": or_absent(is_integer),
    "time": or_absent(is_time),
}
