"""The assignments that a search has tried, so that it does not repeat them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from cloudtune.search.encoding import Encoding, Rows
from cloudtune.study.search_space import Assignment, Space

_MAX_ENUMERATED = 1_000
"""The largest space whose assignments are enumerated."""


class TriedAssignments:
    """The encoded assignments of finished, failed and running trials."""

    def __init__(self, encoding: Encoding, space: Space) -> None:
        self.rows: dict[int, Rows] = {}
        """The row of each trial by its index; negative indices are trials of earlier runs."""
        self._encoding = encoding
        self._space = space
        self._size = space.size
        self._bytes: set[bytes] = set()

    def add(self, index: int, assignment: Assignment) -> None:
        """Record the assignment of a trial."""
        if index not in self.rows:
            row = self._encoding.encode(assignment)
            self.rows[index] = row
            self._bytes.add(row.tobytes())

    def is_repeat(self, assignment: Assignment) -> bool:
        """Return whether an assignment was tried although untried ones remain."""
        return not self._is_exhausted and self._encoding.encode(assignment).tobytes() in self._bytes

    def untried(self, rows: Rows) -> Rows:
        """Return the rows that keep the constraints and were not tried.

        If the space is exhausted, those that were tried are returned, too.
        """
        return rows[[self.is_open(row) for row in rows]]

    def is_open(self, row: Rows) -> bool:
        """Return whether a row keeps the constraints, and is untried or the space exhausted."""
        if row.tobytes() in self._bytes and not self._is_exhausted:
            return False
        return not self._space.constraints or self._space.allows(self._encoding.decode(row))

    @cached_property
    def all_rows(self) -> Rows | None:
        """All rows of the space, or None if there are too many."""
        if self._size is None or self._size > _MAX_ENUMERATED:
            return None
        return np.stack([self._encoding.encode(assignment) for assignment in self._space.grid()])

    @property
    def _is_exhausted(self) -> bool:
        return self._size is not None and len(self._bytes) >= self._size
