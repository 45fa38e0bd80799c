"""Simplify the conditions of a study before they are sent.

A condition on a parameter with one value is resolved, since its parent never changes. If all
remaining conditions depend on one parameter, that parameter is the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloudtune.diagnostics import Finding
from cloudtune.fitting.parameters import FitContext
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    Parameter,
    When,
)
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    definition_path,
    format_value,
    is_same_value,
    list_values,
    match_value,
)
from cloudtune.study.study import Study

MAX_BRANCHES = 10
"""The maximum number of values of a root: a tuning job has a part for each."""


@dataclass(frozen=True)
class SimplifiedConditions:
    """The conditions of a space after simplification."""

    when: Mapping[str, When]
    """The conditions of each node by key, without the nodes that can never be active."""
    unresolved: Mapping[str, str]
    """The parent of each node, by key, that depends on both definitions with one value and others:
    no single condition is equivalent without the definitions with one value."""


def simplify_conditions(space: Space) -> SimplifiedConditions:
    """Return the conditions of each node without those on definitions with one value.

    A condition on such a definition is replaced by the definition's own condition.
    """
    conditions: dict[str, When] = {}
    unresolved: dict[str, str] = {}
    definitions: dict[str, list[Node]] = {}
    for node in space.nodes:
        when: When | None = {}
        for parent, values in node.when.items():
            possible = [
                definition
                for definition in definitions.get(parent, ())
                if any(match_value(definition.parameter, value) is not None for value in values)
            ]
            single = [each for each in possible if count_values(each.parameter) == 1]
            if not possible or when is None:
                when = None
            elif single and len(possible) == 1:
                when = _conjunction(when, conditions[single[0].key])
            else:
                when = _conjunction(when, {parent: values})
                if single:
                    unresolved[node.key] = parent
        if when is not None:
            conditions[node.key] = when
            definitions.setdefault(node.name, []).append(node)
    return SimplifiedConditions(conditions, unresolved)


def find_root(
    study: Study, nodes: Sequence[Node], conditions: SimplifiedConditions
) -> tuple[str | None, str]:
    """Return the parameter on which all conditions depend, if a job can have a part per value.

    The result is its name and an empty text; or None and the reason, which follows the name of the
    service. `nodes` are the definitions that can be active. Each part must have parameters to tune.
    A job with several parts supports neither warm start nor early stopping nor a grid.
    """
    parents = sorted({parent for node in nodes for parent in conditions.when[node.key]})
    if not parents:
        return None, ""
    if len(parents) > 1:
        return None, f"supports conditions on one parameter only, not on {' and '.join(parents)}"
    (name,) = parents
    roots = [node.parameter for node in nodes if node.name == name]
    if len(roots) > 1:
        return None, f"supports conditions on parameters with one definition, not on {name}"
    if not isinstance(roots[0], CategoricalParameter | BoolParameter):
        return None, f"supports conditions on categorical and bool parameters only, not on {name}"
    values = list_values(roots[0]) or ()
    if len(values) > MAX_BRANCHES:
        limit = f"at most {MAX_BRANCHES} values, but {name} has {len(values)}"
        return None, f"supports conditions on a parameter with {limit}"
    others = [node for node in nodes if node.name != name and count_values(node.parameter) != 1]
    for value in values:
        if not any(
            all(is_one_of(value, condition) for condition in conditions.when[node.key].values())
            for node in others
        ):
            return None, f"needs a parameter to tune for each value of {name}"
    obstacles = [
        f"without {key}" for key in ("early_stopping", "warm_start") if getattr(study, key)
    ]
    if study.strategy.name not in {"bayesian", "random"}:
        obstacles.insert(0, f"with a bayesian or random strategy, not {study.strategy.name}")
    if obstacles:
        return None, f"supports these conditions only {' and '.join(obstacles)}"
    return name, ""


def is_one_of(value: Value, values: Sequence[Value]) -> bool:
    """Return whether a value is one of several, compared with its type."""
    return any(is_same_value(value, other) for other in values)


def _conjunction(left: When, right: When) -> When | None:
    """Return the conjunction of two conditions, or None if they exclude each other."""
    both = {**left, **right}
    for name in left.keys() & right.keys():
        both[name] = [value for value in left[name] if is_one_of(value, right[name])]
        if not both[name]:
            return None
    return both


def condition_findings(
    study: Study,
    nodes: Sequence[Node],
    conditions: SimplifiedConditions,
    context: FitContext,
    obstacle: str,
) -> Iterator[Finding]:
    """Yield a finding for each condition that a tool cannot express.

    Args:
        study: The study.
        nodes: The definitions that can be active.
        conditions: Their conditions.
        context: What the study is fitted to.
        obstacle: Why they do not depend on one parameter; empty if they do.
    """
    kind, title = context.support.conditions, context.title
    definitions: dict[str, list[Node]] = {}
    for node in nodes:
        definitions.setdefault(node.name, []).append(node)
    for node in nodes:
        parents, reason = list(conditions.when[node.key]), ""
        if not parents or node.key in context.exempt:
            continue
        if kind == "none":
            reason = f"{title} has no conditional parameters"
        elif kind == "one_root" and obstacle:
            reason = f"{title} {obstacle}"
        elif kind == "choices":
            reason = _choices_obstacle(parents, definitions, title)
        elif kind == "one_definition":
            first, *others = (_bare(each) for each in definitions[node.name])
            if any(each != first for each in others):
                reason = f"{title} has one definition of a parameter, whatever the condition"
        if reason:
            path = f"{definition_path(study, node)}.when"
            yield Finding("refused", path, context.support.reason("parameters.when", reason))


def _choices_obstacle(
    parents: Sequence[str], definitions: Mapping[str, Sequence[Node]], title: str
) -> str:
    if len(parents) > 1:
        return f"{title} has no parameter that depends on several others"
    listed = (DiscreteParameter, CategoricalParameter, BoolParameter)
    if not all(isinstance(node.parameter, listed) for node in definitions[parents[0]]):
        return f"{title} has conditions only on parameters with listed values"
    return ""


def _bare(node: Node) -> Parameter:
    return node.parameter.model_copy(update={"when": None})


def rename_condition_values(parameters: dict[str, list[Parameter]]) -> None:
    """Write the values in conditions as text where those of the parent have become text."""
    texts = {
        name
        for name, variants in parameters.items()
        if all(isinstance(each, CategoricalParameter) and _is_text(each) for each in variants)
    }
    for name, variants in parameters.items():
        for index, each in enumerate(variants):
            if each.when and texts & each.when.keys():
                when = {
                    parent: list(map(format_value, values)) if parent in texts else values
                    for parent, values in each.when.items()
                }
                parameters[name][index] = each.model_copy(update={"when": when})


def _is_text(parameter: CategoricalParameter) -> bool:
    return all(isinstance(value, str) for value in parameter.values)
