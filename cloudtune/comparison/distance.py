"""Where values lie between the ends of their parameters, on the parameters' own scales."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Column
from cloudtune.study.search_space import Assignment, Space, is_active, match_value
from cloudtune.study.search_space import Value as _Value
from cloudtune.study.study import Study


class UnitScaler:
    """The parameters of a study as axes from 0 to 1."""

    def __init__(self, study: Study) -> None:
        self.nodes = Space.from_study(study).nodes
        self._columns = {
            axis.node.key: Column(axis) for axis in build_axes(Space.from_study(study))
        }

    def of(self, assignment: Assignment) -> dict[str, float]:
        """Return where each active parameter lies, by the key of its definition.

        Values that the study does not have are left out.
        """
        known: dict[str, _Value] = {}
        found: dict[str, float] = {}
        for node in self.nodes:
            if node.name not in assignment or not is_active(node, known):
                continue
            known[node.name] = assignment[node.name]
            value = match_value(node.parameter, assignment[node.name])
            if value is None:
                continue
            number = self._columns[node.key].encode(value)
            column = self._columns[node.key]
            found[node.key] = (
                number / max(1, column.categories - 1) if column.categories else number
            )
        return found

    def categorical(self, key: str) -> bool:
        """Tell whether the values of a parameter have no order."""
        return self._columns[key].categories > 0


def gower_distance(
    positions: UnitScaler, left: Mapping[str, float], right: Mapping[str, float]
) -> float | None:
    """Return Gower's distance of two assignments: 0 for the same, 1 for as far apart as can be.

    It is the mean over the parameters that are active in either: how far apart two numbers lie on
    their scale; 1 for different categories, and for a parameter that only one of them has.

    Returns:
        None if neither has a parameter.
    """
    apart = [
        parameter_distance(positions, key, left.get(key), right.get(key))
        for key in left.keys() | right.keys()
    ]
    return sum(apart) / len(apart) if apart else None


def parameter_distance(
    positions: UnitScaler, key: str, left: float | None, right: float | None
) -> float:
    """Return how far apart two positions of one parameter are, from 0 to 1."""
    if left is None or right is None:
        return 0.0 if left is right else 1.0
    return float(left != right) if positions.categorical(key) else abs(left - right)
