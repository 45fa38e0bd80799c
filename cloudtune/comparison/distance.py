"""Parameter values scaled to the unit interval, and Gower's distance between assignments."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Column
from cloudtune.study.search_space import Assignment, Space, Value, is_active, match_value
from cloudtune.study.study import Study


class UnitScaler:
    """Scales the parameters of a study to the interval from 0 to 1."""

    def __init__(self, study: Study) -> None:
        space = Space.from_study(study)
        self.nodes = space.nodes
        self._columns = {axis.node.key: Column(axis) for axis in build_axes(space)}

    def scale(self, assignment: Assignment) -> dict[str, float]:
        """Return the scaled value of each active parameter, by the key of its definition.

        Values outside the search space are omitted.
        """
        active: dict[str, Value] = {}
        scaled: dict[str, float] = {}
        for node in self.nodes:
            if node.name not in assignment or not is_active(node, active):
                continue
            active[node.name] = assignment[node.name]
            value = match_value(node.parameter, assignment[node.name])
            if value is None:
                continue
            column = self._columns[node.key]
            number = column.encode(value)
            last = max(1, column.categories - 1)
            scaled[node.key] = number / last if column.categories else number
        return scaled

    def is_categorical(self, key: str) -> bool:
        """Return whether the values of a parameter have no order."""
        return self._columns[key].categories > 0


def gower_distance(
    scaler: UnitScaler, left: Mapping[str, float], right: Mapping[str, float]
) -> float | None:
    """Return Gower's distance between two scaled assignments, from 0 (equal) to 1.

    It is the mean over the parameters that are active in either: the difference between two
    numbers; 1 for different categories, and for a parameter that only one of them has.

    Returns:
        None if neither has a parameter.
    """
    distances = [
        parameter_distance(scaler, key, left.get(key), right.get(key))
        for key in left.keys() | right.keys()
    ]
    return sum(distances) / len(distances) if distances else None


def parameter_distance(
    scaler: UnitScaler, key: str, left: float | None, right: float | None
) -> float:
    """Return the distance between two scaled values of one parameter, from 0 to 1."""
    if left is None or right is None:
        return 0.0 if left is right else 1.0
    return float(left != right) if scaler.is_categorical(key) else abs(left - right)
