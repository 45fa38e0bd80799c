"""The conditions of a search space, inferred from which parameters are in which trials.

Define-by-run tools store no conditions: a trial just lacks the parameters that it did not ask for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cloudtune.study.search_space import Value
from cloudtune.study.validation.values import comparison_key

_MAX_PATTERNS = 200
"""Sets of parameters that occur together. If there are more, nothing is inferred."""
_MAX_PARENT_VALUES = 50
"""The values of a parameter on which others can depend."""

_Values = dict[tuple[str, Value], Value]


class PresencePatterns:
    """The sets of parameters that trials have, and the values of the parameters in each set."""

    def __init__(self) -> None:
        self._patterns: dict[tuple[str, ...], dict[str, _Values]] = {}
        self._counts = Counter[tuple[str, ...]]()
        self._many: set[str] = set()
        """The parameters with too many values for a parent."""
        self.is_complete = True
        """Whether there are few enough sets to infer anything."""

    def add(self, assignment: Mapping[str, Value]) -> None:
        """Add the parameters of a trial."""
        if not self.is_complete:
            return
        names = tuple(assignment)
        pattern = self._patterns.get(names)
        if pattern is None:
            if len(self._patterns) >= _MAX_PATTERNS:
                self.is_complete = False
                self._patterns.clear()
                return
            pattern = self._patterns[names] = {name: {} for name in names}
        self._counts[names] += 1
        for name, value in assignment.items():
            if name not in self._many:
                values = pattern[name]
                values[comparison_key(value)] = value
                if len(values) > _MAX_PARENT_VALUES:
                    self._many.add(name)

    def conditions(
        self, choices: Sequence[str], integers: Sequence[str]
    ) -> dict[str, dict[str, list[Value]]]:
        """Return the condition of each parameter that some trials lack, if one explains it.

        A choice explains another parameter if that is present exactly for some of its values; an
        integer, if it is larger, or smaller, in all trials with the parameter. There must be twice
        as many trials as values, since a value that occurs once explains anything.

        Args:
            choices: The parameters that may be parents and have values without an order.
            integers: Further ones, with an order.
        """
        found: dict[str, dict[str, list[Value]]] = {}
        for name in self.partial():
            for parent in (*choices, *integers):
                if parent == name or parent in self._many:
                    continue
                if values := self._explain(name, parent, is_ordered=parent in integers):
                    found[name] = {parent: values}
                    break
        return found

    def partial(self) -> list[str]:
        """Return the parameters that some trials lack."""
        names = dict.fromkeys(name for pattern in self._patterns for name in pattern)
        return [name for name in names if any(name not in each for each in self._patterns.values())]

    def _explain(self, name: str, parent: str, *, is_ordered: bool) -> list[Value]:
        """Return the values of a parent for which a parameter is present; empty if it varies."""
        present: _Values = {}
        absent: _Values = {}
        trials = 0
        for names, pattern in self._patterns.items():
            if parent in pattern:
                trials += self._counts[names]
                (present if name in pattern else absent).update(pattern[parent])
            elif name in pattern:
                return []
        # Without a value for which it is absent, both are just present together.
        if not absent or present.keys() & absent.keys():
            return []
        if 2 * (len(present) + len(absent)) > trials:
            return []
        if not is_ordered:
            return list(present.values())
        active, inactive = sorted(map(float, present.values())), sorted(map(float, absent.values()))
        is_split = active[0] > inactive[-1] or active[-1] < inactive[0]
        return [int(value) for value in active] if is_split else []
