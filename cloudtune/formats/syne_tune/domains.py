"""Domains of Syne Tune, as ``config_space_to_json_dict`` writes them, and parameters of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cloudtune.dialect.ranges import choice_values
from cloudtune.fitting.parameters import MAX_LISTED
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ranges import keep_whole, take_choice
from cloudtune.formats.syne_tune.names import BASE, LOG, QUANTIZED, REVERSE
from cloudtune.formats.values import rising_numbers
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import count_values, value_at

_ORDINALS = frozenset(["Ordinal", "OrdinalNearestNeighbor"])
_KINDS = frozenset(["Float", "Integer", "Categorical", "FiniteRange", *_ORDINALS])
_MAY_BE_REVERSE = 0.5
"""The smallest lower bound of a range below 1 that is likely to be a reversed one."""


def read_domain(fields: Fields) -> Json | None:
    """Return the parameter of a domain; None after a mistake or a refusal.

    Args:
        fields: A map with ``domain_cls`` and ``domain_kwargs``, all of which is taken.
    """
    kind, arguments = fields.text("domain_cls"), fields.map("domain_kwargs")
    sampler, settings = fields.text("sampler_cls"), fields.map("sampler_kwargs")
    settings.take("base")
    if kind in {"Float", "Integer"}:
        return _range(kind, sampler or "Uniform", fields, arguments, settings)
    if kind == "FiniteRange":
        return _finite_range(fields, arguments)
    if kind in _ORDINALS:
        return _ordinal(kind, fields, arguments)
    if kind == "Categorical":
        return take_choice(arguments, "categories", _categories(arguments))
    hint = f"Syne Tune has {', '.join(sorted(_KINDS))}"
    fields.mistake("domain_cls", f"unknown domain {kind!r}" if kind else "is missing", hint)
    return None


def _categories(arguments: Fields) -> list[Any]:
    values = arguments.items("categories")
    if not values and not arguments.report.problems:
        arguments.mistake("categories", "a domain needs at least one value")
    return values


def _bounds(arguments: Fields, *, whole: bool = False) -> tuple[Any, Any] | None:
    read = arguments.integer if whole else arguments.number
    low, high = read("lower"), read("upper")
    if arguments.report.problems:
        return None
    if low is None or high is None:
        arguments.mistake("lower", "a domain needs lower and upper")
        return None
    if low > high:
        arguments.mistake("lower", f"{low} is greater than upper, {high}")
        return None
    return low, high


def _range(
    kind: str, sampler: str, fields: Fields, arguments: Fields, settings: Fields
) -> Json | None:
    is_int = kind == "Integer"
    bounds = _bounds(arguments, whole=is_int)
    if bounds is None:
        return None
    low, high = bounds
    definition: Json = {"type": "int" if is_int else "float", "min": low, "max": high}
    if QUANTIZED in sampler:
        return _quantized(definition, fields, settings)
    if sampler == LOG:
        if low == 0 and high < 1 and not is_int:
            text = "written as loguniform, but only reverseloguniform can start at 0"
            fields.note("sampler_cls", text)
            sampler = REVERSE
        elif low <= 0:
            arguments.mistake("lower", f"a log scale needs a lower bound above 0, not {low}")
            return None
        elif not is_int and low >= _MAY_BE_REVERSE and high < 1:
            text = (
                "Syne Tune writes loguniform and reverseloguniform alike; read as the former, so "
                "set scale: reverse_log if it was the latter"
            )
            fields.warn("sampler_cls", text)
    if sampler == REVERSE:
        reason = "other services space values near the upper end in another way"
        fields.approximate("sampler_cls", reason)
        return definition | {"scale": "reverse_log"}
    if sampler == "Normal":
        fields.refuse("sampler_cls", "a study has no normal distributions")
        return None
    if sampler not in {"Uniform", LOG}:
        fields.mistake("sampler_cls", f"unknown sampler {sampler[:50]!r}")
        return None
    return definition | ({"scale": "log"} if sampler == LOG else {})


def _quantized(definition: Json, fields: Fields, settings: Fields) -> Json | None:
    """Return a range with a step, whose scale the JSON of Syne Tune does not have."""
    step = settings.number("q")
    if step is None or step <= 0:
        settings.mistake("q", f"must be greater than 0, not {step}")
        return None
    keep_whole(fields)
    reason = "the JSON of Syne Tune does not tell the scale of a rounded range; read as linear"
    fields.approximate("sampler_cls", reason)
    if definition["type"] == "int" and step != int(step):
        return definition
    return definition | {"step": int(step) if definition["type"] == "int" else step}


def _ordinal(kind: str, fields: Fields, arguments: Fields) -> Json | None:
    is_log = bool(arguments.flag("log_scale"))
    values = _categories(arguments)
    numbers = rising_numbers(values)
    if any(isinstance(value, str | bool) for value in values) or numbers != values:
        definition = take_choice(arguments, "categories", values)
        if definition is not None:
            keep_whole(fields)
            fields.approximate("domain_cls", "a study has no order of such values")
        return definition
    if kind == "Ordinal":
        keep_whole(fields)
    return {"type": "discrete", "values": values, **({"scale": "log"} if is_log else {})}


def _finite_range(fields: Fields, arguments: Fields) -> Json | None:
    """Return the values of a range: a step if they are spaced by one, else a list."""
    bounds = _bounds(arguments)
    size, whole = arguments.integer("size"), bool(arguments.flag("cast_int"))
    is_log = bool(arguments.flag("log_scale"))
    if bounds is None or size is None or not 1 <= size <= MAX_LISTED or (is_log and bounds[0] <= 0):
        if not arguments.report.problems:
            message = f"a range of 1 to {MAX_LISTED:,} values, above 0 on a log scale"
            arguments.mistake("size", message)
        return None
    low, high = bounds
    step = (Decimal(repr(high)) - Decimal(repr(low))) / max(size - 1, 1)
    integral = all(number == int(number) for number in (low, high, step))
    is_short = len(step.normalize().as_tuple().digits) <= 12
    if not is_log and size > 1 and step > 0 and (integral if whole else is_short):
        if whole:
            return {"type": "int", "min": int(low), "max": int(high), "step": int(step)}
        return {"type": "float", "min": float(low), "max": float(high), "step": float(step)}
    keep_whole(fields)
    fields.note("domain_cls", "the study lists the values")
    values = finite_values(low, high, size, is_log=is_log, whole=whole)
    return {"type": "discrete", "values": values, **({"scale": "log"} if is_log else {})}


def finite_values(
    low: float, high: float, size: int, *, is_log: bool, whole: bool
) -> list[int | float]:
    """Return the values of a finite range, as Syne Tune computes them."""
    first, last = (math.log(low), math.log(high)) if is_log else (low, high)
    distance = (last - first) / (size - 1) if size > 1 else 0.0
    points: Sequence[float] = [index * distance + first for index in range(size)]
    if is_log:
        points = [math.exp(point) for point in points]
    values = [min(max(float(point), low), high) for point in points]
    return list(dict.fromkeys(round(value) if whole else float(value) for value in values))


def write_domain(parameter: Parameter) -> Json:
    """Return the domain of a fitted parameter."""
    match parameter:
        case BoolParameter() | CategoricalParameter():
            return _domain("Categorical", "Uniform", categories=choice_values(parameter))
        case DiscreteParameter():
            is_log = parameter.scale == "log"
            values = list(parameter.values)
            return _domain("OrdinalNearestNeighbor", "", categories=values, log_scale=is_log)
        case FloatParameter() | IntParameter():
            return _write_range(parameter)


def _write_range(parameter: FloatParameter | IntParameter) -> Json:
    is_int = isinstance(parameter, IntParameter)
    kind = "Integer" if is_int else "Float"
    bounds: Json = {"lower": parameter.min, "upper": parameter.max}
    if parameter.step is not None and not (is_int and parameter.step == 1):
        count = count_values(parameter) or 1
        bounds["upper"] = value_at(parameter, count - 1)
        settings = {"log_scale": False, "cast_int": is_int, "size": count}
        return _domain("FiniteRange", "", **bounds, **settings)
    return _domain(kind, _SAMPLERS[parameter.scale], **bounds)


_SAMPLERS = {"linear": "Uniform", "log": LOG, "reverse_log": REVERSE}


def _domain(kind: str, sampler: str, **arguments: Any) -> Json:
    domain: Json = {"domain_cls": kind, "domain_kwargs": arguments}
    if sampler:
        settings = {"base": BASE} if sampler in {LOG, REVERSE} else {}
        domain |= {"sampler_cls": sampler, "sampler_kwargs": settings}
    return domain
