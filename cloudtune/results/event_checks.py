"""The check of each event before it is recorded, and of those that have no checksum.

Events come from scripts, services and providers, whose mistakes must not damage a run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import cast, get_args

from cloudtune.results.events import (
    Carryover,
    Ended,
    Event,
    HostFailure,
    Measured,
    Running,
    Started,
    Stopped,
    TrialState,
    Waiting,
)
from cloudtune.results.reports import is_bool, is_integer, is_number, is_text, is_time, or_absent

MAX_TEXT_LENGTH = 2**20
"""Characters of one text of an event, and of the names of its metrics together."""
_MAX_SHOWN = 60
"""Characters of an invalid value that a message quotes."""


def event_problem(event: Event) -> str:
    """Return what is wrong with an event, as the reason of its trial; empty if it is valid."""
    fields = vars(event)
    for name, check in _CHECKS[type(event)].items():
        if not check(fields[name]):
            kind = "measurement" if isinstance(event, Measured) else type(event).__name__.lower()
            return f"invalid {kind}: {name} is {_describe(fields[name])}"
    return ""


def valid_end(event: Ended) -> Ended:
    """Return the end of a trial, or a failure if the provider returned an invalid one."""
    problem = event_problem(event)
    return Ended(event.number, time.time(), "failed", problem) if problem else event


def _describe(value: object) -> str:
    """Return a number, or the type of another value, which could contain a secret."""
    if value is None or is_number(value) or isinstance(value, bool | int):
        return repr(value)[:_MAX_SHOWN]
    return f"a wrong {type(value).__name__}"


def _is_short(value: object) -> bool:
    return is_text(value) and len(cast("str", value)) <= MAX_TEXT_LENGTH


def _is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(cast("float", value))


def _is_state(value: object) -> bool:
    return value in get_args(TrialState)


def _is_value(value: object) -> bool:
    return is_bool(value) or is_number(value) or _is_short(value)


def _is_map(is_valid: Callable[[object], bool]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, Mapping):
            return False
        entries = cast("Mapping[object, object]", value)
        return all(is_text(key) and is_valid(each) for key, each in entries.items()) and (
            sum(len(cast("str", key)) for key in entries) <= MAX_TEXT_LENGTH
        )

    return check


_MEASURED: Mapping[str, Callable[[object], bool]] = {
    "number": is_integer,
    "time": is_time,
    "step": is_integer,
    "metrics": _is_map(is_number),
}
_ENDED: Mapping[str, Callable[[object], bool]] = {
    "number": is_integer,
    "time": is_time,
    "state": _is_state,
    "reason": _is_short,
    "exit_code": or_absent(is_integer),
    "log_tail": _is_short,
    "word": or_absent(_is_short),
    "log": or_absent(_is_short),
    "artifacts": or_absent(_is_short),
    "billed_seconds": or_absent(_is_finite),
    "machine": or_absent(_is_short),
    "seconds": or_absent(_is_finite),
    "lost": is_bool,
    "out_of_memory": is_bool,
    "billed_at_least": or_absent(_is_finite),
}
_CHECKS: Mapping[type[Event], Mapping[str, Callable[[object], bool]]] = {
    Started: {
        "number": is_integer,
        "time": is_time,
        "parameters": _is_map(_is_value),
        "resource": or_absent(is_integer),
        "replaces": or_absent(is_integer),
        "id": or_absent(_is_short),
        "after_step": is_integer,
        "memory": _is_map(lambda _: True),
        "checkpoint": or_absent(is_integer),
        "memory_retries": is_integer,
        "seed": or_absent(is_integer),
        "proposal": or_absent(_is_short),
        "why": _is_short,
    },
    Waiting: {"number": is_integer, "time": is_time, "reason": _is_short},
    Running: {"number": is_integer, "time": is_time},
    Measured: _MEASURED,
    Carryover: _MEASURED,
    Ended: _ENDED,
    HostFailure: _ENDED,
    Stopped: _ENDED,
}
