"""Narrow the ranges of names to the values for which an expression can hold.

This is interval constraint propagation (HC4-revise: Benhamou and others, Revising hull and box
consistency, 1999). No value for which the expression holds is lost; others can remain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from cloudtune.study.expressions import COMPARISONS, Expression, Range

Ranges: TypeAlias = dict[str, Range]
_Pair: TypeAlias = tuple[Any, Any]
_EVERYTHING = (-math.inf, math.inf)
_TOLERANCE = 2e-9
"""Numbers that agree to nine digits are equal."""
_LARGEST_EXACT = 10**8
"""Below it, integers that are not equal do not agree to nine digits."""
_ROUNDING = 1e-12
"""More than the errors of a few hundred roundings."""
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def narrow(expression: Expression, ranges: Mapping[str, Range], *, holds: bool) -> Ranges | None:
    """Return narrower ranges of the names, or None if no value in them is possible.

    Args:
        expression: A condition.
        ranges: The range of each name.
        holds: Whether it must hold, or must not.
    """
    kind, args = expression.kind, expression.args
    possible = expression.bounds(ranges)
    if possible is not None and not possible[0] <= holds <= possible[1]:
        return None
    if kind == "not":
        return narrow(args[0], ranges, holds=not holds)
    if kind in {"and", "or"}:
        if (kind == "and") == holds:
            narrowed: Ranges | None = dict(ranges)
            for each in args:
                narrowed = None if narrowed is None else narrow(each, narrowed, holds=holds)
            return narrowed
        ways = [narrow(each, ranges, holds=holds) for each in args]
        return _hull([each for each in ways if each is not None])
    narrowed = dict(ranges)
    if kind in COMPARISONS:
        comparison = kind if holds else _NEGATED[kind]
        if comparison == "==" and not _can_divide(args, ranges):
            return None
        wanted = _wanted_operands(comparison, [each.bounds(ranges) for each in args])
        is_possible = all(map(_narrow_number, args, wanted, [narrowed] * 2))
        return narrowed if is_possible else None
    return narrowed if _narrow_number(expression, (holds, holds), narrowed) else None


def _can_divide(sides: Sequence[Expression], ranges: Mapping[str, Range]) -> bool:
    """Return whether two sides can be equal: not if one is an integer that the other divides."""
    for side, other in (sides, sides[::-1]):
        bounds = other.bounds(ranges)
        if bounds is None or bounds[0] != bounds[1] or type(bounds[0]) is not int:
            continue
        divisor = _divisor(side, ranges)
        if divisor and abs(bounds[0]) < _LARGEST_EXACT and bounds[0] % divisor:
            return False
    return True


def _divisor(expression: Expression, ranges: Mapping[str, Range]) -> int:
    """Return a number that divides all values of an expression; 0 if they may be no integers."""
    kind, args = expression.kind, expression.args
    if kind in {"value", "name"}:
        bounds = expression.bounds(ranges)
        if bounds is None or any(type(each) is not int for each in bounds):
            return 0
        return abs(bounds[0]) if bounds[0] == bounds[1] else 1
    divisors = [_divisor(each, ranges) for each in args]
    if not all(divisors):
        return 0
    match kind:
        case "*":
            return math.prod(divisors)
        case "+" | "-" | "min" | "max" | "abs":
            return math.gcd(*divisors)
        case _:
            return 0


def _hull(ways: Sequence[Ranges]) -> Ranges | None:
    if not ways:
        return None
    hull: Ranges = {}
    for name in ways[0]:
        pairs = [way[name] for way in ways]
        known = [pair for pair in pairs if pair is not None]
        if len(known) < len(pairs) or _has_text(known):
            hull[name] = known[0] if known and all(pair == known[0] for pair in pairs) else None
        else:
            hull[name] = min(low for low, _ in known), max(high for _, high in known)
    return hull


def _wanted_operands(comparison: str, operands: Sequence[Range]) -> list[_Pair]:
    left, right = operands
    if left is None or right is None or _has_text([left, right]) or comparison == "!=":
        return [_EVERYTHING, _EVERYTHING]
    below = (-math.inf, right[1] + _TOLERANCE * abs(right[1]))
    above = (left[0] - _TOLERANCE * abs(left[0]), math.inf)
    if comparison in {"<", "<="}:
        return [below, above]
    not_below = (right[0] - _TOLERANCE * abs(right[0]), math.inf)
    not_above = (-math.inf, left[1] + _TOLERANCE * abs(left[1]))
    if comparison in {">", ">="}:
        return [not_below, not_above]
    return [(not_below[0], below[1]), (above[0], not_above[1])]


def _narrow_number(expression: Expression, wanted: _Pair, ranges: Ranges) -> bool:
    """Narrow the ranges such that an expression can be in a range; return whether it can."""
    bounds = expression.bounds(ranges)
    if bounds is None or _has_text([bounds]) or wanted == _EVERYTHING:
        return True
    low, high = max(bounds[0], wanted[0]), min(bounds[1], wanted[1])
    if low > high:
        return False
    if expression.kind == "name":
        ranges[str(expression.value)] = low, high
        return True
    operands = [each.bounds(ranges) for each in expression.args]
    if any(each is None or _has_text([each]) for each in operands):
        return True
    pairs = [each for each in operands if each is not None]
    kind = expression.kind
    if _is_square(expression) and pairs[0][0] >= 0:
        kind, pairs = "**", [pairs[0], (2, 2)]
    try:
        wanted_operands = list(_operands(kind, (low, high), pairs))
    except ArithmeticError:
        return True
    return all(map(_narrow_number, expression.args, wanted_operands, [ranges] * len(pairs)))


def _is_square(expression: Expression) -> bool:
    factors = {(each.kind, each.value) for each in expression.args}
    return expression.kind == "*" and len(factors) == 1 and expression.args[0].kind == "name"


def _operands(kind: str, result: _Pair, operands: list[_Pair]) -> Iterator[_Pair]:
    """Yield the range in which each operand of an operator must be for a result."""
    match kind, operands:
        case "+", [left, right]:
            yield _difference(result, right)
            yield _difference(result, left)
        case "-", [left, right]:
            yield _difference(result, (-right[1], -right[0]))
            yield _difference(left, result)
        case "**", [base, (power, most)] if power == most and base[0] >= 0 and 0.1 <= power <= 10:
            least, largest = (max(each, 0) ** (1 / power) for each in result)
            yield least - _ROUNDING * least, largest + _ROUNDING * largest
            yield _EVERYTHING
        case "*", [left, right]:
            yield _quotient(result, right)
            yield _quotient(result, left)
        case "/", [left, right] if not right[0] <= 0 <= right[1]:
            yield _quotient(result, (1 / right[1], 1 / right[0]))
            yield _quotient(left, result)
        case "abs", [(low, high)]:
            least = result[0] if low >= 0 else -result[1]
            yield least, (-result[0] if high <= 0 else result[1])
        case "min", _:
            yield from [(result[0], math.inf)] * len(operands)
        case "max", _:
            yield from [(-math.inf, result[1])] * len(operands)
        case _:
            yield from [_EVERYTHING] * len(operands)


def _difference(left: _Pair, right: _Pair) -> _Pair:
    numbers = [abs(each) for each in (*left, *right) if math.isfinite(each)]
    slack = _ROUNDING * max(numbers, default=0)
    return _ordered(left[0] - right[1] - slack, left[1] - right[0] + slack)


def _quotient(left: _Pair, right: _Pair) -> _Pair:
    if right[0] <= 0 <= right[1]:
        return _EVERYTHING
    corners = [x / y for x in left for y in right]
    if any(map(math.isnan, corners)):
        return _EVERYTHING
    low, high = min(corners), max(corners)
    return _ordered(low - _ROUNDING * abs(low), high + _ROUNDING * abs(high))


def _ordered(low: float, high: float) -> _Pair:
    """Return a range without bounds where they are unknown."""
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def _has_text(pairs: Sequence[_Pair]) -> bool:
    return any(isinstance(each, str) for pair in pairs for each in pair)
