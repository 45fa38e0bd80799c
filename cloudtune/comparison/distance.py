"""Gower's distance between two assignments of one study."""

from __future__ import annotations

from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Column
from cloudtune.study.search_space import Assignment, Space, Value, is_active, match_value
from cloudtune.study.study import Study


def gower_distance(study: Study, left: Assignment, right: Assignment) -> float | None:
    """Return Gower's distance between two assignments, from 0 (equal) to 1.

    It is the mean over the parameters that are active in either: the difference between two
    numbers, relative to their range and on their scale; 1 for different categories, and for a
    parameter that only one of them has. Values outside the search space are ignored.

    Returns:
        None if neither has a parameter.
    """
    space = Space.from_study(study)
    columns = {axis.node.key: Column(axis) for axis in build_axes(space)}
    starts, ends = (_scale(space, columns, assignment) for assignment in (left, right))
    gaps: list[float] = []
    for key in starts.keys() | ends.keys():
        start, end = starts.get(key), ends.get(key)
        if start is None or end is None:
            gaps.append(1.0)
        else:
            gaps.append(float(start != end) if columns[key].categories else abs(start - end))
    return sum(gaps) / len(gaps) if gaps else None


def _scale(space: Space, columns: dict[str, Column], assignment: Assignment) -> dict[str, float]:
    """Return the values of the active parameters from 0 to 1, by the key of their definition."""
    active: dict[str, Value] = {}
    scaled: dict[str, float] = {}
    for node in space.nodes:
        if node.name in assignment and is_active(node, active):
            active[node.name] = assignment[node.name]
            value = match_value(node.parameter, assignment[node.name])
            if value is not None:
                scaled[node.key] = columns[node.key].encode(value)
    return scaled
