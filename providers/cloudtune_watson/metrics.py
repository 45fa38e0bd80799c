"""The files in which a trial's measurements lie, in all forms that are in use.

``val_dict_list.json`` is a JSON list of maps, or, as the ``emetrics.py`` of IBM's later samples
writes it, JSON text that holds such a list as Python prints it. ``evaluation-metrics.txt`` has one
JSON object a line, each value as text with a code of its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from cloudtune.provider import Measurement
from cloudtune_watson.launcher_contract import parse_literal

LIST = "val_dict_list.json"
LOG = "evaluation-metrics.txt"
FAILURE = "cloudtune_failure.txt"
"""What our launcher writes when a trial fails."""
LARGEST = 32 * 1024 * 1024
"""Bytes of a file that are looked at."""
LARGEST_TEXT = 2_000_000
"""Characters of a list as Python prints it."""
_STEPS = ("steps", "step")


class TooLong(Exception):  # noqa: N818 - no error of ours: the script wrote too much
    """A list is too long to be read; the message says how long it may be."""


def of_list(data: bytes) -> list[Measurement]:
    """Return what ``val_dict_list.json`` holds; nothing while it is being written.

    Raises:
        TooLong: If it is too long to be read.
    """
    if len(data) > LARGEST:
        raise TooLong(f"{LIST} has {len(data):,} bytes, and at most {LARGEST:,} are read")
    try:
        said: Any = json.loads(data)
        if isinstance(said, str):
            if len(said) > LARGEST_TEXT:
                raise TooLong(
                    f"{LIST} holds a list as text of {len(said):,} characters, and at most "
                    f"{LARGEST_TEXT:,} are read; written as JSON it may have {LARGEST:,} bytes"
                )
            said = parse_literal(said)
    except (ValueError, RecursionError):
        return []
    last: dict[str, int] = {}
    return [found for entry in _maps(said) for found in _entry(entry, last)]


def of_log(data: bytes) -> list[Measurement]:
    """Return what ``evaluation-metrics.txt`` holds; lines that are none of it are passed over."""
    found: list[Measurement] = []
    for line in data[:LARGEST].splitlines():
        try:
            said: Any = json.loads(line)
        except (ValueError, RecursionError):
            continue
        for entry in _maps([said]):
            step = _number(_value(_map(entry.get("etimes")).get("iteration")))
            values = {
                name: number
                for name, coded in _map(entry.get("values")).items()
                if (number := _number(_value(coded))) is not None
            }
            moment = _number(_map(entry.get("meta")).get("time"))
            if values and step is not None:
                time = moment / 1000 if moment is not None else None
                found.append(Measurement(int(step), values, time))
    return found


def of_status(status: Mapping[str, Any]) -> list[Measurement]:
    """Return the measurements that a training's own status holds.

    Each is ``{"timestamp": ..., "iteration": 3, "ml_metrics": {"accuracy": 0.5}}``.
    """
    found: list[Measurement] = []
    last: dict[str, int] = {}
    for entry in _maps(status.get("metrics")):
        told = {**_map(entry.get("ml_metrics")), "steps": entry.get("iteration")}
        found += _entry(told, last)
    return found


def _entry(entry: Mapping[str, Any], last: dict[str, int]) -> list[Measurement]:
    """Return the measurements of one map; where it has no step, each metric is counted from 1."""
    step = next((n for name in _STEPS if (n := _number(entry.get(name))) is not None), None)
    steps: dict[int, dict[str, float]] = {}
    for name, said in entry.items():
        value = _number(said)
        if name in _STEPS or value is None:
            continue
        at = last.get(name, 0) + 1 if step is None else int(step)
        last[name] = at
        steps.setdefault(at, {})[name] = value
    return [Measurement(at, values) for at, values in steps.items()]


def _value(coded: Any) -> Any:
    """Return what ``{"type": 3, "value": "0.5"}`` says."""
    return _map(coded).get("value")


def _number(said: Any) -> float | None:
    """Return a finite number, or the one that a text is."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        number = float(said)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _map(said: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", said) if isinstance(said, dict) else {}


def _maps(said: Any) -> Iterable[Mapping[str, Any]]:
    many = cast("Iterable[Any]", said) if isinstance(said, list) else ()
    return [_map(one) for one in many]
