"""The values that a parameter accepts, without listing the values of a range."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cloudtune.diagnostics import Problem
from cloudtune.study.literals import describe_value, format_literal
from cloudtune.study.map_values import MapValue
from cloudtune.study.schema import (
    BoolParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import Value, format_value, match_value
from cloudtune.study.suggestions import did_you_mean

_MAX_COMPARED = 100


def fits_64_bits(number: float) -> bool:
    """Return whether a number is a float, or an integer of at most 64 bits."""
    return not isinstance(number, int) or -(2**63) <= number < 2**63


def comparison_key(value: Value) -> tuple[str, Value]:
    """Return a key that is the same for equal values: 4 and 4.0, but not 1 and True."""
    kind = "bool" if isinstance(value, bool) else "str" if isinstance(value, str) else "number"
    return kind, value


class Domain:
    """The values that a parameter accepts in any of its definitions."""

    def __init__(self, definitions: Sequence[Parameter]) -> None:
        self.definitions = definitions
        self._listed = {comparison_key(value) for p in definitions for value in _listed_values(p)}

    def __contains__(self, value: Value) -> bool:
        return comparison_key(value) in self._listed or any(
            # Invalid bounds are reported by themselves.
            not has_valid_range(parameter) or match_value(parameter, value) is not None
            for parameter in self.definitions
            if isinstance(parameter, FloatParameter | IntParameter)
        )

    def check(self, path: str, value: Value) -> Problem | None:
        """Return a problem unless the value is accepted, with a hint at what was probably meant."""
        if value in self:
            return None
        accepted = " or ".join(dict.fromkeys(map(_describe_definition, self.definitions[:3])))
        similar = self._by_text.get(format_value(value).lower())
        if similar is not None:
            hint = f"did you mean {describe_value(similar)}?"
        else:
            words = [word for word in self._by_text.values() if isinstance(word, str)]
            longer = [word for word in words if _is_part_of(value, word)]
            hint = f"write [{', '.join(map(repr, longer))}]" if longer else ""
            hint = hint or (did_you_mean(value, words) if isinstance(value, str) else "")
        return Problem(path, f"must be {accepted}, not {describe_value(value)}", hint)

    @cached_property
    def _by_text(self) -> dict[str, Value]:
        return {
            format_value(member).lower(): member
            for parameter in self.definitions
            if not isinstance(parameter, BoolParameter)
            for member in _listed_values(parameter)[:_MAX_COMPARED]
        }


def _is_part_of(value: Value, word: str) -> bool:
    """Return whether a value is the name in the text of a map."""
    return isinstance(word, MapValue) and word.startswith(f"{value},")


def _listed_values(parameter: Parameter) -> Sequence[Value]:
    match parameter:
        case FloatParameter() | IntParameter():
            return ()
        case BoolParameter():
            return (False, True)
        case _:
            return parameter.values


def has_valid_range(parameter: FloatParameter | IntParameter) -> bool:
    """Return whether the bounds and the step of a range are valid."""
    numbers = [n for n in (parameter.min, parameter.max, parameter.step) if isinstance(n, int)]
    return (
        parameter.min <= parameter.max
        and (parameter.step is None or parameter.step > 0)
        and all(map(fits_64_bits, numbers))
    )


def _describe_definition(parameter: Parameter) -> str:
    match parameter:
        case BoolParameter():
            return "true or false"
        case FloatParameter() | IntParameter():
            kind = "a number" if isinstance(parameter, FloatParameter) else "an integer"
            steps = f" in steps of {parameter.step}" if parameter.step is not None else ""
            return f"{kind} from {parameter.min} to {parameter.max}{steps}"
        case _:
            words = [format_literal(value) for value in parameter.values[:8]]
            more = ", …" if len(parameter.values) > len(words) else ""
            return f"one of {', '.join(words)}{more}"
