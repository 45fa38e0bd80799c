"""The domains of Syne Tune's configuration spaces, as `config_space_to_json_dict` writes them.

Follows syne-tune 0.16, syne_tune/config_space.py, read 2026-11-27. Bounds are inclusive values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cloudtune.formats.values import choice, rising_numbers
from cloudtune.study.yaml_reader import is_list, is_map

_SCALES = {"LogUniform": {"scale": "log"}, "ReverseLogUniform": {"scale": "reverse_log"}}
_MAX_VALUES = 10_000


def read_domain(domain: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the parameter of a domain, and how it differs from the domain; empty if it does not.

    The parameter is None if the domain cannot be read: its range is then that of the values.
    """
    kwargs, sampler = domain.get("domain_kwargs"), str(domain.get("sampler_cls", "Uniform"))
    if not is_map(kwargs):
        return None, "unreadable domain; its range is that of the values"
    kind, scale = domain.get("domain_cls"), _SCALES.get(sampler, {})
    difference = "" if sampler in {"Uniform", *_SCALES} else f"searched uniformly, not {sampler}"
    low, high = kwargs.get("lower"), kwargs.get("upper")
    values = kwargs.get("categories")
    if kind in {"Float", "Integer", "FiniteRange"} and not (_is_finite(low) and _is_finite(high)):
        return None, "unreadable bounds; its range is that of the values"
    if kind == "Float":
        bounds = {"min": float(low or 0), "max": float(high or 0)}
        return {"type": "float", **bounds, **scale}, difference
    if kind == "Integer":
        return {"type": "int", "min": int(low or 0), "max": int(high or 0), **scale}, difference
    if kind == "FiniteRange" and isinstance(size := kwargs.get("size"), int):
        numbers = _finite_range(kwargs, float(low or 0), float(high or 0), size)
        if numbers:
            return {"type": "discrete", "values": numbers}, difference
    if kind in {"Ordinal", "OrdinalNearestNeighbor"} and is_list(values):
        if numbers := rising_numbers(values):
            return {"type": "discrete", "values": numbers}, difference
        return choice(values), "an ordinal of words has no order in a study"
    if kind == "Categorical" and is_list(values) and values:
        return choice(values), difference
    return None, f"unknown domain {kind}; its range is that of the values"


def _is_finite(number: Any) -> bool:
    return (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and abs(number) <= 1e300
        and math.isfinite(number)
    )


def _finite_range(
    kwargs: Mapping[str, Any], low: float, high: float, size: int
) -> list[int | float] | None:
    """Return the values of a range with equal steps, on a linear or a log scale."""
    is_log = bool(kwargs.get("log_scale"))
    if not 1 <= size <= _MAX_VALUES or (is_log and low <= 0):
        return None
    first, last = (math.log(low), math.log(high)) if is_log else (low, high)
    step = (last - first) / (size - 1) if size > 1 else 0.0
    points = [first + step * index for index in range(size)]
    values = [min(high, max(low, math.exp(point))) if is_log else point for point in points]
    return rising_numbers([round(value) for value in values] if kwargs.get("cast_int") else values)
