"""Encodes assignments as rows of numbers, many at a time, for models of the objective.

A row has one column per definition with more than one value: a number from 0 to 1 on its scale for
ordered values, the index of the value for categories, and nan where the definition is inactive.
Equal assignments have byte-identical rows. Numbers of a continuum are rounded as its axis rounds
them, so rows that differ decode to different assignments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cloudtune.search.axes import FRACTION_DIGITS, Axis
from cloudtune.study.schema import BoolParameter, CategoricalParameter
from cloudtune.study.search_space import Assignment, Value, is_active, match_value

Rows = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MAX_LEVELS = 4096
"""The largest number of values for which a column keeps a table of their numbers."""
_TOLERANCE = 1e-12
"""The difference below which two numbers of a column without a table are equal."""


class Column:
    """Encodes the values of one parameter definition."""

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        self.count = axis.count
        is_category = isinstance(axis.node.parameter, CategoricalParameter | BoolParameter)
        self.categories = (axis.count or 0) if is_category else 0
        """How many categories there are; 0 for ordered values."""
        self.levels: Rows | None = None
        """The number of each value in order; None if there are too many values."""
        if self.count is not None and self.count <= _MAX_LEVELS:
            levels = [float(k) if self.categories else self._fraction(k) for k in range(self.count)]
            self.levels = np.array(levels)
            self._midpoints = (self.levels[1:] + self.levels[:-1]) / 2

    def encode(self, value: Value) -> float:
        """Return the number of a value."""
        coordinate = self.axis.coordinate(value)
        if self.levels is not None:
            return float(self.levels[int(coordinate)])
        if self.count is None:
            return float(np.round(coordinate, FRACTION_DIGITS))
        return self._fraction(int(coordinate))

    def decode(self, number: float) -> Value:
        """Return the value that is nearest to a number."""
        if self.levels is not None:
            return self.axis.value(int(np.searchsorted(self._midpoints, number)))
        if self.count is None:
            return self.axis.value(number)
        return self.axis.value(self._index(number, self.count))

    def snap(self, numbers: Rows) -> Rows:
        """Round each number to that of the nearest value."""
        if self.count is None:
            return np.asarray(np.round(np.clip(numbers, 0.0, 1.0), FRACTION_DIGITS), np.float64)
        if self.levels is None:
            return np.clip(numbers, 0.0, 1.0)
        return self.levels[np.searchsorted(self._midpoints, numbers)]

    def from_uniform(self, u: Rows) -> Rows:
        """Map uniform numbers from 0 to 1 to numbers of random values."""
        if self.levels is None or self.axis.log_offset is not None:
            return self.snap(u)
        indices = (u * len(self.levels)).astype(np.int64)
        return self.levels[np.minimum(indices, len(self.levels) - 1)]

    def snap_step(self, steps: Rows) -> Rows:
        """Lengthen steps that nearly reach the next value so that they reach it."""
        if self.levels is None:
            return steps
        smallest = 1.0 / (len(self.levels) - 1)
        return np.where(np.abs(steps) < 0.6 * smallest, np.copysign(smallest, steps), steps)

    def _fraction(self, index: int) -> float:
        offset, last = self.axis.log_offset, (self.count or 1) - 1
        if not last:
            return 0.0
        if offset is None:
            return index / last
        if self.axis.is_reversed:
            return 1 - math.log1p((last - index) / offset) / math.log1p(last / offset)
        return math.log1p(index / offset) / math.log1p(last / offset)

    def _index(self, number: float, count: int) -> int:
        offset, last = self.axis.log_offset, count - 1
        if offset is None:
            return round(number * last)
        fraction = 1 - number if self.axis.is_reversed else number
        index = min(round(offset * math.expm1(fraction * math.log1p(last / offset))), last)
        return last - index if self.axis.is_reversed else index


@dataclass(frozen=True)
class _Parent:
    """One definition of a parent, and its values under which a child is active."""

    axis: int
    column: int | None
    """None if the definition has only one value."""
    numbers: Rows


class Encoding:
    """Encodes the assignments of a space, and samples and perturbs rows in bulk."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes
        self.columns = [Column(axis) for axis in axes if not axis.is_fixed]
        self._column_of = {column.axis.node.key: i for i, column in enumerate(self.columns)}
        self._conditions = [self._conditions_of(axis) for axis in axes]
        self._is_conditional = any(self._conditions)

    def encode(self, assignment: Assignment) -> Rows:
        """Return the row of an assignment."""
        row = np.full(len(self.columns), np.nan)
        known: dict[str, Value] = {}
        for axis in self._axes:
            name = axis.node.name
            if is_active(axis.node, known) and name in assignment:
                known[name] = assignment[name]
                if not axis.is_fixed:
                    column = self._column_of[axis.node.key]
                    row[column] = self.columns[column].encode(assignment[name])
        return row

    def decode(self, row: Rows) -> dict[str, Value]:
        """Return the complete assignment of a row."""
        assignment: dict[str, Value] = {}
        for axis in self._axes:
            if not is_active(axis.node, assignment):
                continue
            if axis.is_fixed:
                assignment[axis.node.name] = axis.value(0)
                continue
            column = self._column_of[axis.node.key]
            number = float(row[column])
            assignment[axis.node.name] = self.columns[column].decode(
                0.0 if math.isnan(number) else number
            )
        return assignment

    def sample(self, rng: Generator, count: int) -> Rows:
        """Return random rows."""
        return self.mask_inactive(self.sample_unmasked(rng, count))

    def sample_unmasked(self, rng: Generator, count: int) -> Rows:
        """Return random rows with a number in each column, including inactive ones."""
        return self.from_uniform(rng.random((count, len(self.columns))))

    def from_uniform(self, u: Rows) -> Rows:
        """Map points of the unit cube to rows with a number in each column."""
        rows = u.copy()
        for i, column in enumerate(self.columns):
            rows[:, i] = column.from_uniform(rows[:, i])
        return rows

    def perturb(self, rng: Generator, rows: Rows, scale: float) -> Rows:
        """Return a random neighbor of each row: numbers are moved, categories resampled."""
        count, width = rows.shape
        resampled = self.sample_unmasked(rng, count)
        neighbors = np.where(np.isnan(rows), resampled, rows)
        steps = scale * rng.standard_normal((count, width))
        few = rng.random((count, width)) < (1.5 / width if width > 1 else 1.0)
        many = (rng.random((count, 1)) < 0.5) & (rng.random((count, width)) < 0.7)
        exchanged = few & (rng.random((count, width)) < 0.7)
        for i, column in enumerate(self.columns):
            if column.categories:
                neighbors[:, i] = np.where(exchanged[:, i], resampled[:, i], neighbors[:, i])
                continue
            step = np.where((few | many)[:, i], column.snap_step(steps[:, i]), 0.0)
            neighbors[:, i] = column.snap(np.clip(neighbors[:, i] + step, 0.0, 1.0))
        return self.mask_inactive(neighbors)

    def mask_inactive(self, rows: Rows) -> Rows:
        """Set inactive columns to nan, in place, and return the rows."""
        if not self._is_conditional:
            return rows
        active: list[Flags] = []
        for axis, conditions in zip(self._axes, self._conditions, strict=True):
            flags = np.ones(len(rows), np.bool_)
            for definitions in conditions:
                flags &= _is_met(rows, definitions, active)
            active.append(flags)
            column = self._column_of.get(axis.node.key)
            if column is not None:
                rows[~flags, column] = np.nan
        return rows

    def _conditions_of(self, axis: Axis) -> list[list[_Parent]]:
        return [
            [
                self._parent(i, other, values)
                for i, other in enumerate(self._axes)
                if other.node.name == name
            ]
            for name, values in axis.node.when.items()
        ]

    def _parent(self, index: int, axis: Axis, values: Sequence[Value]) -> _Parent:
        column = self._column_of.get(axis.node.key)
        matches = [match_value(axis.node.parameter, value) for value in values]
        numbers = [
            0.0 if column is None else self.columns[column].encode(value)
            for value in matches
            if value is not None
        ]
        return _Parent(index, column, np.array(numbers))


def _is_met(rows: Rows, definitions: Sequence[_Parent], active: Sequence[Flags]) -> Flags:
    met = np.zeros(len(rows), np.bool_)
    for parent in definitions:
        if parent.column is None:
            met |= active[parent.axis] & (len(parent.numbers) > 0)
        else:
            differences = np.abs(rows[:, parent.column, None] - parent.numbers)
            met |= active[parent.axis] & (differences <= _TOLERANCE).any(axis=1)
    return met
