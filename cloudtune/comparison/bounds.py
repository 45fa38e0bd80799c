"""Best values at a bound of the search space, and wider bounds to try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cloudtune.results.model import Trial
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Column
from cloudtune.study.schema import DiscreteParameter, FloatParameter, IntParameter
from cloudtune.study.search_space import (
    Assignment,
    Node,
    Space,
    Value,
    definition_path,
    match_value,
    resolve_scale,
)
from cloudtune.study.study import Study

_NEAR = 0.05
"""A number is at a bound within this share of the range on the parameter's scale."""
_MIN_VALUES = 3
"""With fewer values, each one is at a bound."""
_FEW_VALUES = 20
"""Of so few values, only the first and the last are at a bound."""
_TOP_SHARE, _MIN_TOP = 0.1, 3
"""The share of the trials, and their least number, that decide whether a value is at a bound."""
_AGREEMENT = 0.5
"""The share of the other top trials that must be at the bound, too."""

Side = Literal["min", "max"]


@dataclass(frozen=True)
class BoundHit:
    """A parameter of the best trial that is at a bound of the search space."""

    parameter: str
    path: str
    """The path of the parameter's definition in the study file."""
    value: Value
    side: Side
    bound: Value
    wider: float | int | None
    """A bound further out; None if values beyond the bound may be meaningless, such as a share
    above 1, or if the values are listed."""


def bounds_of_best(
    study: Study, best: Trial | None, ordered: Sequence[Trial]
) -> tuple[BoundHit, ...]:
    """Return the parameters that are at a bound in the best trial and in half of the next best.

    Args:
        study: The study.
        best: The best trial, or the one to take by a confirmation; None if there is none.
        ordered: All trials that count, the best of the search first.
    """
    if best is None:
        return ()
    top = [best, *(trial for trial in ordered if trial is not best)]
    return bound_hits(study, top[: max(_MIN_TOP, math.ceil(_TOP_SHARE * len(top)))])


def bound_hits(study: Study, top: Sequence[Trial]) -> tuple[BoundHit, ...]:
    """Return the parameters that are at a bound in the first trial and in half of the others.

    Args:
        study: The study.
        top: The best trials, the best first.
    """
    if not top:
        return ()
    space = Space.from_study(study)
    columns = {axis.node.key: Column(axis) for axis in build_axes(space) if not axis.is_fixed}
    best, *others = [_sides(space, columns, trial.parameters) for trial in top]
    hits: list[BoundHit] = []
    for key, (node, value, side) in best.items():
        known = [each[key][2] for each in others if key in each]
        agreeing = sum(other == side for other in known)
        if side is not None and agreeing >= _AGREEMENT * len(known):
            parameter = node.parameter
            assert isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter)
            path = definition_path(study, node)
            bound, further = _bound(parameter, side), wider(parameter, side)
            hits.append(BoundHit(node.name, path, value, side, bound, further))
    return tuple(hits)


def _sides(
    space: Space, columns: dict[str, Column], assignment: Assignment
) -> dict[str, tuple[Node, Value, Side | None]]:
    """Return the numbers of a trial by the key of their definition, and the bound they are at."""
    return {
        node.key: (node, value, _side(columns[node.key], value))
        for node, value in _numbers(space, assignment)
        if node.key in columns
    }


def _numbers(space: Space, assignment: Assignment) -> Iterator[tuple[Node, Value]]:
    for node in space.active_nodes(assignment):
        if isinstance(node.parameter, FloatParameter | IntParameter | DiscreteParameter):
            value = match_value(node.parameter, assignment.get(node.name, ""))
            if value is not None:
                yield node, value


def _side(column: Column, value: Value) -> Side | None:
    if column.count is not None and column.count < _MIN_VALUES:
        return None
    few = column.count is not None and column.count <= _FEW_VALUES
    margin = 0.0 if few else _NEAR
    position = column.encode(value)
    return "min" if position <= margin else "max" if position >= 1 - margin else None


def _bound(parameter: FloatParameter | IntParameter | DiscreteParameter, side: Side) -> Value:
    if isinstance(parameter, DiscreteParameter):
        return parameter.values[0 if side == "min" else -1]
    return parameter.min if side == "min" else parameter.max


def wider(
    parameter: FloatParameter | IntParameter | DiscreteParameter, side: Side
) -> float | int | None:
    """Return a bound that is further out by half of the range on the parameter's scale.

    Returns:
        None for listed values, and at 0 and 1, beyond which values are often meaningless.
    """
    if isinstance(parameter, DiscreteParameter):
        return None
    low, high = float(parameter.min), float(parameter.max)
    is_whole = isinstance(parameter, IntParameter)
    if side == "min" and (low == 0 or (is_whole and low == 1)):
        return None
    if side == "max" and not is_whole and low >= 0 and high <= 1 and _is_share(high):
        return None
    scale = resolve_scale(parameter)
    if scale == "log" or (scale == "reverse_log" and side == "min" and low > 0):
        factor = math.sqrt(high / low)
        bound = low / factor if side == "min" else high * factor
    else:
        bound = low - (high - low) / 2 if side == "min" else high + (high - low) / 2
    if side == "min" and low > 0 >= bound:
        bound = max(1.0, low / 2) if is_whole else low / 10
    return _rounded(parameter, side, bound)


def _is_share(bound: float) -> bool:
    """Return whether a bound is 1 or just below, as of a probability, a share, or a momentum."""
    return bound >= 0.9


def _rounded(
    parameter: FloatParameter | IntParameter, side: Side, bound: float
) -> float | int | None:
    old = parameter.min if side == "min" else parameter.max
    if not math.isfinite(bound):
        return None
    if parameter.step:
        steps = max(1, round(abs(bound - old) / parameter.step))
        moved = old - steps * parameter.step if side == "min" else old + steps * parameter.step
        return int(moved) if isinstance(parameter, IntParameter) else float(f"{moved:.12g}")
    for digits in (2, 3, 17) if isinstance(parameter, IntParameter) else (1, 2, 3, 17):
        value = float(f"{bound:.{digits}g}")
        if math.isfinite(value) and (value < old if side == "min" else value > old):
            return round(value) if isinstance(parameter, IntParameter) else value
    return None
