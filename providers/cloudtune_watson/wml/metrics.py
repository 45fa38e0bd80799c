"""Reads the measurements of a training from its files and its status.

``val_dict_list.json`` is a JSON list of maps, or, as the ``emetrics.py`` of IBM's later samples
writes it, a JSON string with such a list in Python's spelling. ``evaluation-metrics.txt`` has one
JSON object per line, with each value as text and a code of its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from cloudtune.results import Measurement
from cloudtune_watson.launcher_contract import METRIC_LIST, parse_literal

MAX_BYTES = 32 * 1024 * 1024
"""Bytes of a file that are read."""
MAX_LITERAL_LENGTH = 2_000_000
"""Characters of a list in Python's spelling."""
_STEP_KEYS = ("steps", "step")


class TooLongError(Exception):
    """The list of a script is too long to read."""


def read_list(data: bytes) -> list[Measurement]:
    """Return the measurements in ``val_dict_list.json``; empty while it is incomplete.

    Raises:
        TooLongError: If the file is too long.
    """
    if len(data) > MAX_BYTES:
        raise TooLongError(
            f"{METRIC_LIST} has {len(data):,} bytes, and at most {MAX_BYTES:,} are read"
        )
    try:
        content: Any = json.loads(data)
        if isinstance(content, str):
            if len(content) > MAX_LITERAL_LENGTH:
                raise TooLongError(
                    f"{METRIC_LIST} has a list as text of {len(content):,} characters, and at most "
                    f"{MAX_LITERAL_LENGTH:,} are read; as JSON it may have {MAX_BYTES:,} bytes"
                )
            content = parse_literal(content)
    except (ValueError, RecursionError):
        return []
    last_steps: dict[str, int] = {}
    return [each for entry in _as_maps(content) for each in _measurements(entry, last_steps)]


def read_log(data: bytes) -> list[Measurement]:
    """Return the measurements in ``evaluation-metrics.txt``; other lines are skipped."""
    measurements: list[Measurement] = []
    for line in data[:MAX_BYTES].splitlines():
        try:
            entry = _as_map(json.loads(line))
        except (ValueError, RecursionError):
            continue
        step = _to_finite(_value(_as_map(entry.get("etimes")).get("iteration")))
        values = {
            name: number
            for name, coded in _as_map(entry.get("values")).items()
            if (number := _to_number(_value(coded))) is not None
        }
        milliseconds = _to_finite(_as_map(entry.get("meta")).get("time"))
        if values and step is not None:
            time = milliseconds / 1000 if milliseconds is not None else None
            measurements.append(Measurement(int(step), values, time))
    return measurements


def read_status(status: Mapping[str, Any]) -> list[Measurement]:
    """Return the measurements in the status of a training.

    Each is ``{"timestamp": ..., "iteration": 3, "ml_metrics": {"accuracy": 0.5}}``.
    """
    measurements: list[Measurement] = []
    last_steps: dict[str, int] = {}
    for entry in _as_maps(status.get("metrics")):
        values = {**_as_map(entry.get("ml_metrics")), "steps": entry.get("iteration")}
        measurements += _measurements(values, last_steps)
    return measurements


def _measurements(entry: Mapping[str, Any], last_steps: dict[str, int]) -> list[Measurement]:
    """Return the measurements in a map; without a step, each metric counts its own from 1."""
    numbers = (_to_finite(entry.get(name)) for name in _STEP_KEYS)
    step = next((number for number in numbers if number is not None), None)
    by_step: dict[int, dict[str, float]] = {}
    for name, raw in entry.items():
        value = _to_number(raw)
        if name in _STEP_KEYS or value is None:
            continue
        metric_step = last_steps.get(name, 0) + 1 if step is None else int(step)
        last_steps[name] = metric_step
        by_step.setdefault(metric_step, {})[name] = value
    return [Measurement(metric_step, values) for metric_step, values in by_step.items()]


def _value(coded: Any) -> Any:
    """Return the value of ``{"type": 3, "value": "0.5"}``."""
    return _as_map(coded).get("value")


def _to_number(value: Any) -> float | None:
    """Return a number, which may be given as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _to_finite(value: Any) -> float | None:
    number = _to_number(value)
    return None if number is None or not math.isfinite(number) else number


def _as_map(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _as_maps(value: Any) -> list[Mapping[str, Any]]:
    items = cast("Iterable[Any]", value) if isinstance(value, list) else ()
    return [_as_map(item) for item in items]
