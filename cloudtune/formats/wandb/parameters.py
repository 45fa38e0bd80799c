"""Reads the parameters of a W&B sweep: values, distributions and nested parameters."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.ranges import (
    keep_whole,
    take_choice,
    take_exponents,
    take_quantized,
    take_spaced,
)
from cloudtune.formats.study_text import format_number
from cloudtune.formats.wandb.names import EXPONENTS, INVERSE, LOG_STYLES
from cloudtune.formats.yaml_scalars import is_number_only_in_yaml_1_2
from cloudtune.study.yaml_reader import is_list, is_map

_REFUSED = {
    **dict.fromkeys(("normal", "q_normal", "log_normal", "q_log_normal"), "normal"),
    **dict.fromkeys(("beta", "q_beta"), "beta"),
}
_STEPPED = {"q_uniform": False, "q_log_uniform": True, "q_log_uniform_values": True}
"""The distributions that round to a step, and whether they have a log scale."""
_KINDS = frozenset(
    [
        *("constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform"),
        *(LOG_STYLES | _STEPPED.keys() | _REFUSED.keys()),
    ]
)
_OF_KEY = {"value": ["constant"], "values": ["categorical", "categorical_w_probabilities"]}
"""The distributions of a parameter with this key."""
_HINT = f"W&B has {', '.join(sorted(_KINDS))}"


class ParametersReader:
    """Reads parameters into the parameters and the constants of a study."""

    def __init__(self, report: Report, *, is_grid: bool = False) -> None:
        self._report = report
        self._is_grid = is_grid
        self.parameters: Json = {}
        self.constants: Json = {}
        self.origins: dict[str, str] = {}

    def read(self, fields: Fields, prefix: str = "") -> None:
        """Read a map of parameters, whose names get a prefix."""
        for key in list(fields.original):
            name = f"{prefix}{key}"
            if not is_map(fields.peek(key)):
                hint = f"write {key}: {{value: ...}} for a fixed value"
                fields.mistake(key, "must be a map with value, values, or min and max", hint)
                fields.take(key)
            elif name in self.parameters or name in self.constants:
                fields.mistake(key, f"the parameter {name} is defined twice")
            else:
                self._parameter(name, fields.map(key))

    def _parameter(self, name: str, fields: Fields) -> None:
        if is_map(fields.peek("parameters")):
            inner = Fields(fields.take("parameters"), self._report, fields.at("parameters"))
            self.read(inner, f"{name}.")
            fields.put("parameters", inner.rest())  # even if it is empty: an export nests again
            return
        self.origins[f"parameters.{name}"] = self.origins[f"constants.{name}"] = fields.path
        distribution = fields.word("distribution")
        if distribution is not None and distribution not in _KINDS:
            fields.mistake("distribution", f"unknown distribution {distribution!r}", _HINT)
        elif _has_other_distribution(fields, distribution):
            pass
        elif "value" in fields.original:
            self._constant(name, fields)
        elif "values" in fields.original:
            self._values(name, fields)
        elif distribution in _REFUSED:
            reason = f"a study has no {_REFUSED[str(distribution)]} distributions"
            fields.refuse("distribution", reason)
        elif distribution is None and {"mu", "sigma"} & fields.original.keys():
            fields.mistake("distribution", "mu and sigma need a distribution, such as normal")
        elif (definition := _range(distribution, fields, is_grid=self._is_grid)) is not None:
            self.parameters[name] = definition

    def _constant(self, name: str, fields: Fields) -> None:
        value = fields.peek("value")
        if value is None:
            fields.drop("value", "a study has no null as a constant")
        elif is_map(value) or is_list(value):
            keep_whole(fields)
            text = "kept for W&B: a study has no lists and maps as constants; pass it in trial.args"
            fields.warn("value", text)
        else:
            self.constants[name] = fields.take("value")

    def _values(self, name: str, fields: Fields) -> None:
        values = fields.items("values")
        if not values:
            fields.mistake("values", "a parameter needs at least one value")
            return
        if fields.peek("probabilities") is not None:
            reason = "kept for W&B; a study has no probabilities, so elsewhere all values are alike"
            fields.approximate("probabilities", reason)
        _note_text(fields, "values", values)
        if (definition := take_choice(fields, "values", values)) is not None:
            self.parameters[name] = definition


def _has_other_distribution(fields: Fields, distribution: Any) -> bool:
    """Report a distribution that does not belong to a value or values, which W&B refuses."""
    for key, fitting in _OF_KEY.items():
        if key in fields.original and distribution not in {None, *fitting}:
            message = f"{key} has the distribution {fitting[0]}, not {distribution}"
            fields.mistake("distribution", message, "remove it, or give min and max")
            return True
    return False


def _range(distribution: Any, fields: Fields, *, is_grid: bool) -> Json | None:
    raw = [fields.peek(key) for key in ("min", "max")]
    for key, value in zip(("min", "max"), raw, strict=True):
        if value is None:
            fields.mistake(key, "a parameter needs value, values, or min and max")
        else:
            _note_text(fields, key, [value])
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in raw)
    if distribution is None:
        distribution = "int_uniform" if whole else "uniform"
    if "q" in fields and distribution not in _STEPPED:
        fields.mistake("q", f"{distribution} has no step", "add distribution: q_uniform")
        return None
    read = fields.integer if distribution == "int_uniform" else fields.number
    low, high = read("min"), read("max")
    if low is None or high is None or fields.report.problems:
        return None
    if distribution in {"int_uniform", "uniform"}:
        return {
            "type": "int" if distribution == "int_uniform" else "float",
            "min": low,
            "max": high,
        }
    if distribution in EXPONENTS:
        exponents = (-high, -low) if distribution == INVERSE else (low, high)
        bounds = take_exponents(fields, "min", exponents, "use log_uniform_values")
        if bounds is None:
            return None
        low, high = bounds
    if distribution in _STEPPED:
        if distribution == "q_log_uniform":
            fields.put("distribution", distribution)  # an export uses exponents, too
        step = fields.number("q")
        step = 1 if step is None else step
        if is_grid:  # sweeps 0.3.0, grid_search.py: numpy.arange(min, max, q)
            return take_spaced(fields, (low, high), step)
        return take_quantized(fields, (low, high), step, log=_STEPPED[distribution])
    if distribution not in LOG_STYLES:
        fields.mistake("distribution", f"{distribution} does not have min and max", _HINT)
        return None
    if distribution != "log_uniform_values":
        fields.put("distribution", distribution)  # an export uses the same one
    return {"type": "float", "min": low, "max": high, "scale": "log"}


def _note_text(fields: Fields, key: str, values: list[Any]) -> None:
    """Note numbers such as 1e-5, which are text for W&B."""
    for value in values:
        if isinstance(value, str) and is_number_only_in_yaml_1_2(value):
            spelled = format_number(float(value))
            text = f"{value} is text in W&B's YAML; write {spelled}, with a point, for a number"
            fields.note(key, text)
            return
