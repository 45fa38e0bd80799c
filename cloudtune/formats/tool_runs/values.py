"""Parameters and metrics of other tools as flat maps of values that a study can have."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.study.search_space import Value
from cloudtune.study.validation.trial_spec import looks_like_secret
from cloudtune.study.validation.values import fits_64_bits
from cloudtune.study.yaml_builder import join_surrogates
from cloudtune.study.yaml_reader import is_map

MAX_TEXT = 1_000
"""The longest text that is kept as the value of a parameter."""
MAX_NAME = 200
_MAX_DEPTH = 20


def flatten(data: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield each value of nested maps with its name, whose parts are joined by a dot.

    Whatever is nested too deeply is one value.
    """
    for key, value in data.items():
        name = f"{prefix}{key}"
        if is_map(value) and value and depth < _MAX_DEPTH:
            yield from flatten(value, f"{name}.", depth + 1)
        else:
            yield name, value


def to_value(value: Any) -> Value | None:
    """Return a value as a study can have it; lists, maps and null become their JSON.

    Returns:
        None if it cannot be a value: a number that is not finite or too large, a long text.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if fits_64_bits(value):
            return value
        return float(value) if abs(value) <= sys.float_info.max else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str):
        try:
            value = json.dumps(value, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return None
    text = join_surrogates(value)
    return text if text is not None and len(text) <= MAX_TEXT and "\0" not in text else None


def is_plain(value: Any) -> bool:
    """Return whether a value is text, a number or a boolean."""
    return isinstance(value, str | int | float)


def is_secret(name: str, value: Value) -> bool:
    """Return whether a value looks like a secret, by its name or by itself."""
    return isinstance(value, str) and looks_like_secret(name.rpartition(".")[2].upper(), value)


def to_metric(value: Any) -> float | None:
    """Return a number as the value of a metric, which may be NaN or infinite; None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def to_metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers in a map, by name; nested names are joined by a dot."""
    return {
        name: number
        for name, value in flatten(values)
        if (number := to_metric(value)) is not None and is_name(name)
    }


def is_name(name: str) -> bool:
    """Return whether a text can be the name of a metric or a parameter."""
    return (
        0 < len(name) <= MAX_NAME
        and name == name.strip()
        and name.isprintable()
        and join_surrogates(name) is not None
    )


def to_time(value: Any) -> float | None:
    """Return a time in seconds since the epoch; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e11 else None


def to_step(value: Any) -> int | None:
    """Return a step; None if a value is no whole number from 0 that fits in 64 bits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**63 else None


@dataclass
class Period:
    """The first and the last of the times that were added."""

    start: float | None = None
    end: float | None = None

    def add(self, *times: float | None) -> None:
        """Add times; None is left out."""
        for time in times:
            if time is not None:
                self.start = time if self.start is None else min(self.start, time)
                self.end = time if self.end is None else max(self.end, time)
