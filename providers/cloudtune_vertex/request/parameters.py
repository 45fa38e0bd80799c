"""The parameters of a study as a tree of Vertex AI's ``ParameterSpec``.

In that tree a conditional parameter has one parent and the parent's values for which it is active.
A study's parameter may depend on several others: it is placed below the deepest of them. Where the
path to it does not imply its other conditions, the tuner also chooses values that are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cloudtune.provider import (
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Json,
    Node,
    Parameter,
    Space,
    Study,
    Value,
    When,
    count_values,
    format_value,
    is_same_value,
    list_values,
    match_value,
    value_at,
)

SCALES = {
    "linear": "UNIT_LINEAR_SCALE",
    "log": "UNIT_LOG_SCALE",
    "reverse_log": "UNIT_REVERSE_LOG_SCALE",
}
"""By the study's scale; for ``auto`` the service decides."""


@dataclass(frozen=True)
class TreeNode:
    """A definition of a parameter at one place in the tree."""

    node: Node
    condition: tuple[Value, ...]
    """The values of the parent for which it is active; empty at the top."""
    unchecked: tuple[str, ...]
    """The parents whose conditions the tree does not apply, so the launcher has to."""
    children: tuple[TreeNode, ...]


def build_tree(study: Study) -> tuple[TreeNode, ...]:
    """Return the tree of a fitted study."""
    nodes = Space.from_study(study).nodes
    return tuple(_children(None, nodes, _tree_parents(nodes), {}))


def walk_tree(
    tree: Iterable[TreeNode], parent: Node | None = None
) -> Iterator[tuple[Node | None, TreeNode]]:
    """Yield each node of a tree with its parent, parents first."""
    for each in tree:
        yield parent, each
        yield from walk_tree(each.children, each.node)


def count_combinations(study: Study) -> int | None:
    """Return the number of combinations of a study's tree; None if it has no finite number."""
    nodes = Space.from_study(study).nodes
    parents = _tree_parents(nodes)
    parameters: dict[str, list[Parameter]] = {}
    for node in nodes:
        parent = parents[node.key]
        when = {parent: node.when[parent]} if parent else None
        parameter = node.parameter.model_copy(update={"when": when})
        parameters.setdefault(node.name, []).append(parameter)
    return Space.from_study(study.model_copy(update={"parameters": parameters})).size


def parameter_specs(study: Study) -> list[Json]:
    """Return ``studySpec.parameters`` of a fitted study."""
    return [_spec(node) for node in build_tree(study)]


def scale_type(parameter: Parameter) -> str | None:
    """Return the ``scaleType`` of a parameter; a reversed log scale needs values above 0."""
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return None
    if count_values(parameter) == 1:
        return None
    lowest = parameter.values[0] if isinstance(parameter, DiscreteParameter) else parameter.min
    if parameter.scale == "reverse_log" and lowest <= 0:
        return SCALES["linear"]
    return SCALES.get(parameter.scale)


def _tree_parents(nodes: Sequence[Node]) -> dict[str, str | None]:
    """Return the parent of each node in the tree by key: the deepest of its parents."""
    parents: dict[str, str | None] = {}
    depths: dict[str, int] = {}
    order = {node.name: index for index, node in enumerate(nodes)}
    for node in nodes:
        parent = max(node.when, key=lambda name: (depths[name], order[name]), default=None)
        parents[node.key] = parent
        depth = 0 if parent is None else depths[parent] + 1
        depths[node.name] = max(depth, depths.get(node.name, 0))
    return parents


def _children(
    parent: Node | None,
    nodes: Sequence[Node],
    tree_parents: Mapping[str, str | None],
    path: When,
) -> Iterator[TreeNode]:
    """Yield the nodes below a definition, or at the top.

    ``path`` has the possible values of the parameters above.
    """
    for node in nodes:
        if tree_parents[node.key] != (parent.name if parent else None):
            continue
        condition: tuple[Value, ...] = ()
        if parent:
            matches = (match_value(parent.parameter, value) for value in node.when[parent.name])
            condition = tuple(value for value in matches if value is not None)
            if not condition:
                continue
        if not all(
            any(_contains(values, value) for value in path[name])
            for name, values in node.when.items()
            if name in path
        ):
            continue
        unchecked = tuple(
            name
            for name, values in node.when.items()
            if not (parent and name == parent.name)
            and not (name in path and all(_contains(values, value) for value in path[name]))
        )
        child_path = {**path, parent.name: list(condition)} if parent else path
        children = tuple(_children(node, nodes, tree_parents, child_path))
        yield TreeNode(node, condition, unchecked, children)


def _contains(values: Iterable[Value], value: Value) -> bool:
    return any(is_same_value(value, each) for each in values)


def _spec(node: TreeNode) -> Json:
    parameter = node.node.parameter
    spec: Json = {"parameterId": node.node.name, **_values(parameter)}
    if scale := scale_type(parameter):
        spec["scaleType"] = scale
    if node.children:
        spec["conditionalParameterSpecs"] = [
            {**_condition(parameter, child.condition), "parameterSpec": _spec(child)}
            for child in node.children
        ]
    return spec


def _values(parameter: Parameter) -> Json:
    match parameter:
        case FloatParameter() if count_values(parameter) != 1:
            range_ = {"minValue": float(parameter.min), "maxValue": float(parameter.max)}
            return {"doubleValueSpec": range_}
        case IntParameter():
            bounds = {"minValue": str(parameter.min), "maxValue": str(parameter.max)}
            return {"integerValueSpec": bounds}
        case FloatParameter():
            return {"discreteValueSpec": {"values": [float(value_at(parameter, 0))]}}
        case DiscreteParameter():
            return {"discreteValueSpec": {"values": list(map(float, parameter.values))}}
        case _:
            values = list(map(format_value, list_values(parameter) or ()))
            return {"categoricalValueSpec": {"values": values}}


def _condition(parent: Parameter, values: Sequence[Value]) -> Json:
    """Return for which values of its parent a parameter is active; floats cannot be parents."""
    match parent:
        case IntParameter():
            return {"parentIntValues": {"values": list(map(str, values))}}
        case DiscreteParameter():
            return {"parentDiscreteValues": {"values": list(map(float, values))}}
        case _:
            return {"parentCategoricalValues": {"values": list(map(format_value, values))}}
