"""Conditions on parameters with one value: they are decided, since such a parent never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudtune.space import Node, Space, count_of, find, same
from cloudtune.study import When


@dataclass(frozen=True)
class Settled:
    """What is left of the conditions of a space."""

    when: Mapping[str, When]
    """What each node still hangs on, by its key; a node that can never be active is not in it."""
    open: Mapping[str, str]
    """Nodes that hang on a parent of which some definitions have one value and others several, by
    key, with the parent: no single condition says the same without the ones with one value."""


def settle(space: Space) -> Settled:
    """Return the conditions of each node without those on definitions that have one value.

    Where such a definition has a condition itself, that takes the place of the one on it.
    """
    left: dict[str, When] = {}
    mixed: dict[str, str] = {}
    definitions: dict[str, list[Node]] = {}
    for node in space.nodes:
        when: When | None = {}
        for parent, values in node.when.items():
            possible = [
                definition
                for definition in definitions.get(parent, ())
                if any(find(definition.parameter, value) is not None for value in values)
            ]
            fixed = [definition for definition in possible if count_of(definition.parameter) == 1]
            if not possible or when is None:
                when = None
            elif fixed and len(possible) == 1:
                when = _both(when, left[fixed[0].key])
            else:
                when = _both(when, {parent: values})
                if fixed:
                    mixed[node.key] = parent
        if when is not None:
            left[node.key] = when
            definitions.setdefault(node.name, []).append(node)
    return Settled(left, mixed)


def _both(left: When, right: When) -> When | None:
    """Return the condition that holds where two hold, or None if they never hold together."""
    both = {**left, **right}
    for name in left.keys() & right.keys():
        both[name] = [a for a in left[name] if any(same(a, b) for b in right[name])]
        if not both[name]:
            return None
    return both
