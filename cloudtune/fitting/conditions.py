"""What becomes of conditions before they are sent.

Those on parameters with one value are decided, since such a parent never changes. Where all that
are left hang on one parameter, that is the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloudtune.study.schema import BoolParameter, CategoricalParameter, When
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    is_same_value,
    list_values,
    match_value,
)
from cloudtune.study.study import Study

MAX_BRANCHES = 10
"""Values of a root: the definitions that one tuning job takes."""


@dataclass(frozen=True)
class SimplifiedConditions:
    """What is left of the conditions of a space."""

    when: Mapping[str, When]
    """What each node still hangs on, by its key; a node that can never be active is not in it."""
    open: Mapping[str, str]
    """Nodes that hang on a parent of which some definitions have one value and others several, by
    key, with the parent: no single condition says the same without the ones with one value."""


def simplify_conditions(space: Space) -> SimplifiedConditions:
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
                if any(match_value(definition.parameter, value) is not None for value in values)
            ]
            fixed = [
                definition for definition in possible if count_values(definition.parameter) == 1
            ]
            if not possible or when is None:
                when = None
            elif fixed and len(possible) == 1:
                when = _conjunction(when, left[fixed[0].key])
            else:
                when = _conjunction(when, {parent: values})
                if fixed:
                    mixed[node.key] = parent
        if when is not None:
            left[node.key] = when
            definitions.setdefault(node.name, []).append(node)
    return SimplifiedConditions(left, mixed)


def find_root(
    study: Study, nodes: Sequence[Node], settled: SimplifiedConditions
) -> tuple[str | None, str]:
    """Return the parameter on which all conditions hang, if a job can have a part for each value.

    Such a part has parameters of its own to tune. A job that has several starts from no earlier one
    and stops no trial early; a grid over it is not known.

    Args:
        study: The study.
        nodes: Its definitions that can be active.
        settled: What is left of their conditions.

    Returns:
        The parameter, and nothing; or None, and what conditions a service would hold instead.
    """
    parents = sorted({parent for node in nodes for parent in settled.when[node.key]})
    if not parents:
        return None, ""
    if len(parents) > 1:
        return None, f"holds conditions on one parameter alone, not on {' and '.join(parents)}"
    (name,) = parents
    roots = [node.parameter for node in nodes if node.name == name]
    if len(roots) > 1:
        return None, f"holds conditions on a parameter with one definition, and {name} has several"
    if not isinstance(roots[0], CategoricalParameter | BoolParameter):
        return None, f"holds conditions on a categorical or bool parameter, and {name} is none"
    values = list_values(roots[0]) or ()
    if len(values) > MAX_BRANCHES:
        most = f"at most {MAX_BRANCHES} values, and {name} has {len(values)}"
        return None, f"holds conditions on a parameter of {most}"
    others = [node for node in nodes if node.name != name and count_values(node.parameter) != 1]
    for value in values:
        if not any(
            all(is_one_of(wanted, value) for wanted in settled.when[node.key].values())
            for node in others
        ):
            return (
                None,
                f"holds conditions on {name} only where each value leaves something to tune",
            )
    if against := list(_branch_obstacles(study)):
        return None, f"holds these conditions only {' and '.join(against)}"
    return name, ""


def _branch_obstacles(study: Study) -> Iterator[str]:
    """Yield what a study would have to do without, for a job with several parts."""
    if study.strategy.name not in {"bayesian", "random"}:
        yield f"with a bayesian or random strategy, not {study.strategy.name}"
    if study.early_stopping:
        yield "without early_stopping"
    if study.warm_start:
        yield "without warm_start"


def is_one_of(values: Sequence[Value], value: Value) -> bool:
    """Tell whether a value is one of several, with its type."""
    return any(is_same_value(each, value) for each in values)


def _conjunction(left: When, right: When) -> When | None:
    """Return the condition that holds where two hold, or None if they never hold together."""
    both = {**left, **right}
    for name in left.keys() & right.keys():
        both[name] = [a for a in left[name] if any(is_same_value(a, b) for b in right[name])]
        if not both[name]:
            return None
    return both
