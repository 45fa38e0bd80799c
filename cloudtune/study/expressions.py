"""The language of constraints: arithmetic and comparison, never run as code.

    layers * width <= 4096
    min_lr < max_lr
    optimizer != 'sgd' or lr <= 0.1

Numbers are compared to nine digits, so that `0.1 + 0.2 == 0.3` holds. Powers are computed as
floats, since those of integers can be huge.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Value: TypeAlias = bool | int | float | str
Range: TypeAlias = tuple[Any, Any] | None
"""The least and the greatest value that is possible; None if nothing is known."""
Kind: TypeAlias = Literal["number", "text", "truth", "any"]

_DIGITS = 1e-9
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def _divide(left: float, right: float) -> float:
    return left / right


def _divide_down(left: float, right: float) -> float:
    return left // right


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        if base < 0:
            raise
        return math.inf


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "//": _divide_down,
    "%": operator.mod,
    "**": _power,
    "min": min,
    "max": max,
    "abs": abs,
}
FUNCTIONS = ("min", "max", "abs")


class ExpressionError(ValueError):
    """A mistake in a text, at a column counted from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column
        self.message = message


@dataclass(frozen=True)
class Expression:
    """A part of a constraint."""

    kind: str
    """An operator or a function, ``value`` or ``name``."""
    column: int
    args: tuple[Expression, ...] = ()
    value: Value = 0

    def names(self) -> Iterator[Expression]:
        """Yield each use of a name, from left to right."""
        if self.kind == "name":
            yield self
        for each in self.args:
            yield from each.names()

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """Return the value.

        Raises:
            ArithmeticError: If it has none, as a division by 0.
            ValueError: Likewise.
        """
        match self.kind:
            case "value":
                return self.value
            case "name":
                return values[str(self.value)]
            case "and":
                return all(each.evaluate(values) for each in self.args)
            case "or":
                return any(each.evaluate(values) for each in self.args)
            case "not":
                return not self.args[0].evaluate(values)
            case _:
                operands = [each.evaluate(values) for each in self.args]
        if any(isinstance(each, float) and math.isnan(each) for each in operands):
            raise ValueError("a value is not a number")
        if self.kind in COMPARISONS:
            return compare(self.kind, *operands)
        result: Value = _OPERATORS[self.kind](*operands)
        return result

    def margin(self, values: Mapping[str, Value]) -> float:
        """Return by how much it does not hold, or a negative number for by how much it does.

        A part without a value, as a division by 0, has an infinite margin.
        """
        if self.kind in {"and", "or"}:
            margins = [each.margin(values) for each in self.args]
            return max(margins) if self.kind == "and" else min(margins)
        try:
            if self.kind not in {"<", "<=", ">", ">="}:
                return -1.0 if self.evaluate(values) else 1.0
            left, right = (float(each.evaluate(values)) for each in self.args)
        except (ArithmeticError, ValueError, TypeError):
            return math.inf
        margin = left - right if self.kind in {"<", "<="} else right - left
        return math.inf if math.isnan(margin) else margin

    def bounds(self, ranges: Mapping[str, Range]) -> Range:
        """Return the least and the greatest value that is possible, as False < True."""
        match self.kind:
            case "value":
                return self.value, self.value
            case "name":
                return ranges[str(self.value)]
            case _:
                operands = [each.bounds(ranges) for each in self.args]
        if self.kind in {*COMPARISONS, "and", "or", "not"}:
            return _truth_bounds(self.kind, [each or (False, True) for each in operands])
        known = [each for each in operands if each is not None]
        if len(known) < len(operands):
            return None
        try:
            return _number_bounds(self.kind, known)
        except (ArithmeticError, ValueError):
            return -math.inf, math.inf

    def check(self, kind_of: Callable[[str], Kind]) -> Kind:
        """Return the kind of the value.

        Raises:
            ExpressionError: If an operator does not accept its operands.
        """
        if self.kind == "value":
            return _kind_of_value(self.value)
        if self.kind == "name":
            return kind_of(str(self.value))
        kinds = [each.check(kind_of) for each in self.args]
        if self.kind in {"==", "!="}:
            if "any" not in kinds and kinds[0] != kinds[1]:
                raise ExpressionError(self.column, f"{kinds[0]} is compared with {kinds[1]}")
            return "truth"
        is_logic = self.kind in {"and", "or", "not"}
        wanted: Kind = "truth" if is_logic else "number"
        for each, kind in zip(self.args, kinds, strict=True):
            if kind not in {wanted, "any"}:
                needs = "conditions" if is_logic else "numbers"
                raise ExpressionError(each.column, f"{self.kind} needs {needs}, not a {kind}")
        return "truth" if is_logic or self.kind in COMPARISONS else "number"


def compare(kind: str, left: Value, right: Value) -> bool:
    """Return whether a comparison holds; numbers that agree to nine digits are equal."""
    if isinstance(left, str) or isinstance(right, str):
        is_equal = left == right
    else:
        is_equal = left == right or _agree(left, right)
        if kind in {"<", ">"}:
            return not is_equal and (left < right) == (kind == "<")
        if kind in {"<=", ">="}:
            return is_equal or (left < right) == (kind == "<=")
    return is_equal == (kind == "==")


def _agree(left: float, right: float) -> bool:
    try:
        return math.isclose(left, right, rel_tol=_DIGITS)
    except OverflowError:  # an integer that no float can be
        return False


def _truth_bounds(kind: str, ranges: list[tuple[Any, Any]]) -> tuple[bool, bool]:
    lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
    match kind:
        case "and":
            return all(lows), all(highs)
        case "or":
            return any(lows), any(highs)
        case "not":
            return not highs[0], not lows[0]
        case _:
            return _comparison_bounds(kind, *ranges)


def _comparison_bounds(
    kind: str, left: tuple[Any, Any], right: tuple[Any, Any]
) -> tuple[bool, bool]:
    (a, b), (c, d) = left, right
    is_known = (a, c) == (b, d)
    if any(isinstance(each, str) for each in (a, b, c, d)):
        holds = compare(kind, a, c)
        return (holds, holds) if is_known else (False, True)
    if kind in {"<", "<="}:
        return compare(kind, b, c), compare(kind, a, d)
    if kind in {">", ">="}:
        return compare(kind, a, d), compare(kind, b, c)
    can_be_equal = compare("<=", a, d) and compare("<=", c, b)
    if kind == "==":
        return is_known and can_be_equal, can_be_equal
    return not can_be_equal, not (is_known and can_be_equal)


def _number_bounds(kind: str, ranges: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    if any(isinstance(each, str) for pair in ranges for each in pair):
        raise ValueError("a text is no number")
    if kind == "abs":
        ((low, high),) = ranges
        return max(low, -high, 0), max(abs(low), abs(high))
    if kind in {"min", "max"}:
        choose = _OPERATORS[kind]
        return choose(low for low, _ in ranges), choose(high for _, high in ranges)
    (a, b), (c, d) = ranges
    is_known = (a, c) == (b, d)
    if (
        (kind == "%" and not is_known)
        or (kind in {"/", "//", "%"} and c <= 0 <= d)
        or (kind == "**" and a <= 0 and not is_known)
    ):
        return -math.inf, math.inf
    corners = [_OPERATORS[kind](x, y) for x in (a, b) for y in (c, d)]
    if any(math.isnan(each) for each in corners):
        return -math.inf, math.inf
    return min(corners), max(corners)


def _kind_of_value(value: Value) -> Kind:
    if isinstance(value, bool):
        return "truth"
    return "text" if isinstance(value, str) else "number"
