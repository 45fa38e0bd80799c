"""The values that a parameter accepts, without listing the values of a range."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cloudtune.study.messages import describe_value, format_literal
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
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
        self._value_keys = [
            {comparison_key(member) for member in parameter.values}
            if isinstance(parameter, DiscreteParameter | CategoricalParameter)
            else None
            for parameter in definitions
        ]

    def __contains__(self, value: Value) -> bool:
        return any(self._accepts(index, value) for index in range(len(self.definitions)))

    def _accepts(self, index: int, value: Value) -> bool:
        keys = self._value_keys[index]
        if keys is not None:
            return comparison_key(value) in keys
        parameter = self.definitions[index]
        if isinstance(parameter, FloatParameter | IntParameter) and not has_valid_range(parameter):
            return True  # reported for the bounds
        return match_value(parameter, value) is not None

    def describe(self) -> str:
        """Return a short description of the accepted values."""
        return " or ".join(dict.fromkeys(_describe_definition(p) for p in self.definitions[:3]))

    def hint(self, value: Value) -> str:
        """Return a hint at the value that was probably meant."""
        similar = self._by_text.get(format_value(value).lower())
        if similar is not None:
            return f"did you mean {describe_value(similar)}?"
        words = [word for word in self._by_text.values() if isinstance(word, str)]
        return did_you_mean(value, words) if isinstance(value, str) else ""

    @cached_property
    def _by_text(self) -> dict[str, Value]:
        return {
            format_value(member).lower(): member
            for parameter in self.definitions
            if isinstance(parameter, DiscreteParameter | CategoricalParameter)
            for member in parameter.values[:_MAX_COMPARED]
        }


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
