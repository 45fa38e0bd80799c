"""Reads the parameters of a Katib Experiment."""

from __future__ import annotations

from cloudtune.fitting.parameters import aligned_bounds
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.katib.names import ROUNDING, WITHOUT_STEPS
from cloudtune.formats.values import parse_texts, rising_numbers, unique_values
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import count_values, list_values

MAX_LISTED = 1_000
"""The values of a step that are listed at most."""


def step_obstacle(low: float, high: float, step: float | None, algorithm: str) -> str:
    """Return why Katib does not try the values of a step with an algorithm, empty if it does.

    Args:
        low: The lower bound.
        high: The upper bound.
        step: The step of a linear scale; None for none.
        algorithm: The name of the algorithm in an Experiment.
    """
    if step is None:
        return ""
    if algorithm in WITHOUT_STEPS and step != 1:
        return f"Katib's {algorithm} ignores a step"
    if algorithm in ROUNDING and aligned_bounds(low, high, step) != (low, high):
        return f"Katib's {algorithm} rounds to multiples of a step"
    return ""


def read_parameter(fields: Fields) -> Json | None:
    """Return a parameter of an Experiment, or None after a mistake or a refusal."""
    kind, space = fields.word("parameterType"), fields.map("feasibleSpace")
    distribution = space.word("distribution")
    if distribution in {"normal", "logNormal"}:
        space.refuse("distribution", "a study has no normal distributions")
        return None
    if distribution not in {None, "uniform", "logUniform", "unknown"}:
        space.mistake("distribution", f"unknown distribution {distribution!r}")
        return None
    scale = {"scale": "log"} if distribution == "logUniform" else {}
    if kind in {"double", "int"}:
        parameter = _range(kind, space, scale)
        if parameter is not None and parameter["type"] == "discrete":
            fields.put("parameterType", kind)
        return parameter
    if kind not in {"discrete", "categorical"}:
        hint = "Katib has double, int, discrete and categorical"
        fields.mistake("parameterType", f"unknown type {kind!r}" if kind else "is missing", hint)
        return None
    values = [str(each) if not isinstance(each, str) else each for each in space.items("list")]
    if not values:
        space.mistake("list", f"a {kind} parameter needs a list of values")
        return None
    if kind == "categorical":
        return {"type": "categorical", "values": unique_values(parse_texts(values))}
    numbers = rising_numbers(values)
    if numbers is None:
        space.mistake("list", "the values of a discrete parameter must be numbers")
        return None
    return {"type": "discrete", "values": numbers, **scale}


def _range(kind: str, space: Fields, scale: Json) -> Json | None:
    read = space.integer if kind == "int" else space.number
    low, high, step = read("min"), read("max"), read("step")
    for key, value in (("min", low), ("max", high)):
        if value is None and not space.report.problems:
            space.mistake(key, f"a {kind} parameter needs min and max")
    if low is None or high is None:
        return None
    if scale and step is not None:
        return _values_on_a_log_scale(space, low, high, step)
    extra = {"step": step} if step is not None else {}
    type_ = "float" if kind == "double" else "int"
    return {
        "type": type_,
        "min": low,
        "max": high,
        **scale,
        **extra,
    }


def _values_on_a_log_scale(space: Fields, low: float, high: float, step: float) -> Json | None:
    """Return the values of a step on a log scale, which a study has only as a list."""
    definition = FloatParameter(type="float", min=low, max=high, step=step)
    if step <= 0 or (count_values(definition) or 0) > MAX_LISTED:
        space.refuse("step", f"a step on a log scale with more than {MAX_LISTED:,} values")
        return None
    for key, part in space.original.items():
        space.put(key, part)
    space.note("step", "on a log scale, so the study lists the values")
    values = rising_numbers(list_values(definition) or ())
    return {"type": "discrete", "values": values, "scale": "log"}
