"""The space as rows of numbers, many at a time, for a model of the objective.

A row has one column a definition that has more than one value: a number from 0 to 1 on its scale
where the values have an order, the place of the value for categories, and nan where the definition
is inactive. Two rows of one assignment are the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cloudtune.search.axes import Axis
from cloudtune.study.schema import BoolParameter, CategoricalParameter
from cloudtune.study.search_space import Assignment, Value, is_active, match_value

Rows = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MAX_LEVELS = 4096
"""Up to how many values a column keeps a list of its numbers."""
_TOLERANCE = 1e-12
"""How near two numbers of a longer column are taken for one."""


class Column:
    """The numbers of one definition."""

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        self.count = axis.count
        self.categories = (
            axis.count or 0
            if isinstance(axis.node.parameter, CategoricalParameter | BoolParameter)
            else 0
        )
        """How many categories there are; 0 where the values have an order."""
        self.levels: Rows | None = None
        """The number of each value in order, where they are few enough to list."""
        if self.count is not None and self.count <= _MAX_LEVELS:
            shares = [float(k) if self.categories else self._share(k) for k in range(self.count)]
            self.levels = np.array(shares)
            self._middles = (self.levels[1:] + self.levels[:-1]) / 2

    def number(self, value: Value) -> float:
        """Return the number of a value."""
        place = self.axis.place(value)
        if self.levels is not None:
            return float(self.levels[int(place)])
        return float(place) if self.count is None else self._share(int(place))

    def value(self, number: float) -> Value:
        """Return the value of a number."""
        if self.levels is not None:
            return self.axis.value(int(np.searchsorted(self._middles, number)))
        if self.count is None:
            return self.axis.value(number)
        return self.axis.value(self._place(number, self.count))

    def snapped(self, numbers: Rows) -> Rows:
        """Return for each number that of the nearest value."""
        if self.levels is None:
            return np.clip(numbers, 0.0, 1.0)
        return self.levels[np.searchsorted(self._middles, numbers)]

    def drawn(self, shares: Rows) -> Rows:
        """Return numbers by chance, from shares between 0 and 1."""
        if self.levels is None or self.axis.log_from is not None:
            return self.snapped(shares)
        places = (shares * len(self.levels)).astype(np.int64)
        return self.levels[np.minimum(places, len(self.levels) - 1)]

    def _share(self, place: int) -> float:
        first, last = self.axis.log_from, (self.count or 1) - 1
        if not last:
            return 0.0
        if first is None:
            return place / last
        if self.axis.reversed:
            return 1 - math.log1p((last - place) / first) / math.log1p(last / first)
        return math.log1p(place / first) / math.log1p(last / first)

    def _place(self, number: float, count: int) -> int:
        first, last = self.axis.log_from, count - 1
        if first is None:
            return round(number * last)
        share = 1 - number if self.axis.reversed else number
        place = min(round(first * math.expm1(share * math.log1p(last / first))), last)
        return last - place if self.axis.reversed else place


@dataclass(frozen=True)
class _Parent:
    """One definition of a parent, and its values under which a child is active."""

    axis: int
    column: int | None
    """None where it has one value."""
    numbers: Rows


class Encoding:
    """The columns of a space, and what can be done with many rows at a time."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes
        self.columns = [Column(axis) for axis in axes if not axis.fixed]
        self._column_of = {column.axis.node.key: i for i, column in enumerate(self.columns)}
        self._conditions = [self._conditions_of(axis) for axis in axes]
        self._conditional = any(self._conditions)

    def row(self, assignment: Assignment) -> Rows:
        """Return the row of an assignment."""
        row = np.full(len(self.columns), np.nan)
        known: dict[str, Value] = {}
        for axis in self._axes:
            name = axis.node.name
            if is_active(axis.node, known) and name in assignment:
                known[name] = assignment[name]
                if not axis.fixed:
                    column = self._column_of[axis.node.key]
                    row[column] = self.columns[column].number(assignment[name])
        return row

    def assignment(self, row: Rows) -> dict[str, Value]:
        """Return the complete assignment of a row."""
        known: dict[str, Value] = {}
        for axis in self._axes:
            if not is_active(axis.node, known):
                continue
            if axis.fixed:
                known[axis.node.name] = axis.value(0)
                continue
            column = self._column_of[axis.node.key]
            number = float(row[column])
            known[axis.node.name] = self.columns[column].value(
                0.0 if math.isnan(number) else number
            )
        return known

    def draw(self, random: Generator, count: int) -> Rows:
        """Return rows by chance."""
        return self.activated(self.filled(random, count))

    def near(self, random: Generator, rows: Rows, distance: float) -> Rows:
        """Return a neighbour of each row: some of its values moved or exchanged by chance."""
        count, width = rows.shape
        fresh = self.filled(random, count)
        moved = np.where(np.isnan(rows), fresh, rows)
        steps = distance * random.standard_normal((count, width))
        few = random.random((count, width)) < (1.5 / width if width > 1 else 1.0)
        many = (random.random((count, 1)) < 0.5) & (random.random((count, width)) < 0.7)
        exchanged = few & (random.random((count, width)) < 0.7)
        for i, column in enumerate(self.columns):
            if column.categories:
                moved[:, i] = np.where(exchanged[:, i], fresh[:, i], moved[:, i])
                continue
            step = steps[:, i]
            if column.levels is not None:
                least = 1.0 / (len(column.levels) - 1)
                step = np.where(np.abs(step) < 0.6 * least, np.sign(step) * least, step)
            moved[:, i] = column.snapped(
                np.clip(moved[:, i] + np.where((few | many)[:, i], step, 0.0), 0.0, 1.0)
            )
        return self.activated(moved)

    def filled(self, random: Generator, count: int) -> Rows:
        """Return rows by chance with a number in each column, whether it is active or not."""
        return self.drawn(random.random((count, len(self.columns))))

    def drawn(self, shares: Rows) -> Rows:
        """Return rows from shares between 0 and 1, with a number in each column."""
        rows = shares.copy()
        for i, column in enumerate(self.columns):
            rows[:, i] = column.drawn(rows[:, i])
        return rows

    def activated(self, rows: Rows) -> Rows:
        """Return rows with nan where they are inactive; the given ones may change."""
        if not self._conditional:
            return rows
        active: list[Flags] = []
        for axis, conditions in zip(self._axes, self._conditions, strict=True):
            on = np.ones(len(rows), np.bool_)
            for definitions in conditions:
                on &= _is_met(rows, definitions, active)
            active.append(on)
            column = self._column_of.get(axis.node.key)
            if column is not None:
                rows[~on, column] = np.nan
        return rows

    def _conditions_of(self, axis: Axis) -> list[list[_Parent]]:
        return [
            [
                self._parent(place, other, values)
                for place, other in enumerate(self._axes)
                if other.node.name == name
            ]
            for name, values in axis.node.when.items()
        ]

    def _parent(self, place: int, axis: Axis, values: Sequence[Value]) -> _Parent:
        own = [match_value(axis.node.parameter, value) for value in values]
        column = self._column_of.get(axis.node.key)
        if column is None:
            return _Parent(place, None, np.array([0.0 for value in own if value is not None]))
        numbers = [self.columns[column].number(value) for value in own if value is not None]
        return _Parent(place, column, np.array(numbers))


def _is_met(rows: Rows, definitions: Sequence[_Parent], active: Sequence[Flags]) -> Flags:
    found = np.zeros(len(rows), np.bool_)
    for parent in definitions:
        if parent.column is None:
            found |= active[parent.axis] & (len(parent.numbers) > 0)
        else:
            apart = np.abs(rows[:, parent.column, None] - parent.numbers)
            found |= active[parent.axis] & (apart <= _TOLERANCE).any(axis=1)
    return found
