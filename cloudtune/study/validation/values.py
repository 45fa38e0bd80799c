"""What a parameter can be, asked without listing the values of a range."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from cloudtune.study.messages import describe_value
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
)
from cloudtune.study.search_space import Value, format_value, match_value
from cloudtune.study.suggestions import did_you_mean

Definition = (
    FloatParameter | IntParameter | DiscreteParameter | CategoricalParameter | BoolParameter
)

_MAX_COMPARED = 100


def fits_64_bits(number: float) -> bool:
    """Tell whether a number is no whole one, or one of 64 bits."""
    return not isinstance(number, int) or -(2**63) <= number < 2**63


def comparison_key(value: Value) -> tuple[str, Value]:
    """Return what two values have in common that are one value: 4 and 4.0, but not 1 and True."""
    kind = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    return kind, value


def format_literal(value: Value) -> str:
    """Return a value as it would stand in a file."""
    return describe_value(value).removeprefix("the text ").removeprefix("the number ")


class Domain:
    """What a parameter can be, over all of its definitions."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self.definitions = definitions
        self._listed = [
            {comparison_key(member) for member in parameter.values}
            if isinstance(parameter, DiscreteParameter | CategoricalParameter)
            else None
            for parameter in definitions
        ]

    def can_be(self, value: Value) -> bool:
        """Tell whether any definition has a value."""
        return any(self._has(number, value) for number in range(len(self.definitions)))

    def _has(self, number: int, value: Value) -> bool:
        listed = self._listed[number]
        if listed is not None:
            return comparison_key(value) in listed
        parameter = self.definitions[number]
        if isinstance(parameter, FloatParameter | IntParameter) and not has_valid_range(parameter):
            return True  # told once, where the bounds stand
        return match_value(parameter, value) is not None

    def describe(self) -> str:
        """Return what the parameter can be, in a few words."""
        return " or ".join(dict.fromkeys(_describe_definition(p) for p in self.definitions[:3]))

    def hint(self, value: Value) -> str:
        """Return which value may have been meant."""
        alike = self._by_text.get(format_value(value).lower())
        if alike is not None:
            return f"it has {describe_value(alike)}, and this is {describe_value(value)}"
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
    """Tell whether the bounds and the step of a range can be worked with."""
    numbers = [n for n in (parameter.min, parameter.max, parameter.step) if isinstance(n, int)]
    return (
        parameter.min <= parameter.max
        and (parameter.step is None or parameter.step > 0)
        and all(map(fits_64_bits, numbers))
    )


def _describe_definition(parameter: Definition) -> str:
    match parameter:
        case BoolParameter():
            return "true or false"
        case FloatParameter() | IntParameter():
            kind = "a number" if isinstance(parameter, FloatParameter) else "a whole number"
            steps = f" in steps of {parameter.step}" if parameter.step is not None else ""
            return f"{kind} from {parameter.min} to {parameter.max}{steps}"
        case _:
            words = [format_literal(value) for value in parameter.values[:8]]
            more = ", …" if len(parameter.values) > len(words) else ""
            return f"one of {', '.join(words)}{more}"
