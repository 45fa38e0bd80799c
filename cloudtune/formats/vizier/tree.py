"""The parameters of a study as a tree of ``ParameterSpec``, of Vizier and Vertex AI.

In that tree a conditional parameter has one parent and the parent's values for which it is active.
A study's parameter may depend on several others: it is placed below the deepest of them. Where the
path to it does not imply its other conditions, the tuner also chooses values that are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.diagnostics import Finding
from cloudtune.dialect.native import map_at
from cloudtune.fitting.capabilities import Adjustment
from cloudtune.formats.vizier.names import BOOLEANS
from cloudtune.formats.vizier.names import SCALES as WORDS
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import (
    BoolParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    When,
)
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    format_value,
    is_same_value,
    list_values,
    match_value,
    value_at,
)
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

SCALES = {scale: word for word, scale in WORDS.items() if scale != "auto"}
"""By the study's scale; for ``auto`` the service decides."""
_CONDITIONS = ("parentIntValues", "parentDiscreteValues", "parentCategoricalValues")
Kept = Mapping[tuple[str | None, str], Sequence[tuple[Json, Json]]]
"""By the names of a parent and a parameter, the conditions with what is kept of each definition."""


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


def parameter_specs(
    study: Study, kept: Kept | None = None, *, external: bool = False
) -> list[Json]:
    """Return ``studySpec.parameters`` of a fitted study.

    Args:
        study: The study.
        kept: What is kept of the parameters of an imported document; see `kept_specs`.
        external: Whether to write the external types of booleans and of integers in a list, as in
            the open source Vizier, which otherwise shows 2.0.
    """
    return [_spec(node, None, kept or {}, external=external) for node in build_tree(study)]


def kept_specs(block: Any) -> Kept:
    """Return what is kept of the parameters of an imported document, at any depth."""
    found: dict[tuple[str | None, str], list[tuple[Json, Json]]] = {}

    def add(parent: str | None, condition: Json, spec: Json) -> None:
        name = str(spec.get("parameterId"))
        own = {key: each for key, each in spec.items() if key != "conditionalParameterSpecs"}
        found.setdefault((parent, name), []).append((condition, own))
        children: Any = spec.get("conditionalParameterSpecs")
        for child in filter(is_map, children if is_list(children) else []):
            values = {key: each for key, each in child.items() if key in _CONDITIONS}
            add(name, values, map_at(child, "parameterSpec"))

    for spec in filter(is_map, block if is_list(block) else []):
        add(None, {}, spec)
    return found


def kept_names(kept: Kept) -> dict[str, list[Any]]:
    """Return what is kept of the parameters by their names."""
    names: dict[str, list[Any]] = {}
    for (_, name), parts in kept.items():
        names.setdefault(name, []).extend(part for _, part in parts)
    return names


def several_parents(study: Study, title: str) -> Iterator[Finding]:
    """Yield a finding for each condition that the tree does not apply."""
    for _, each in walk_tree(build_tree(study)):
        if each.unchecked:
            others = " and ".join(each.unchecked)
            reason = f"{title} has one parent for each: it ignores the condition on {others}"
            yield Finding("approximated", f"parameters.{each.node.name}.when", reason)


def adjust_reversed(parameter: Parameter, title: str) -> Adjustment | None:
    """Return a linear range instead of a reversed one that is not above 0."""
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return None
    lowest = parameter.values[0] if isinstance(parameter, DiscreteParameter) else parameter.min
    if parameter.scale != "reverse_log" or lowest > 0:
        return None
    reason = f"{title} has reverse_log only for values above 0; here it is linear"
    return Adjustment(
        "approximated", "scale", reason, parameter.model_copy(update={"scale": "linear"})
    )


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


def _spec(node: TreeNode, parent: TreeNode | None, kept: Kept, *, external: bool) -> Json:
    parameter, name = node.node.parameter, node.node.name
    spec: Json = {"parameterId": name, **_values(parameter)}
    if scale := scale_type(parameter):
        spec["scaleType"] = scale
    if external and (kind := _external_type(parameter)):
        spec["externalType"] = kind
    parts = kept.get((parent.node.name if parent else None, name), ())
    condition = _condition(parent.node.parameter, node.condition) if parent else {}
    own = [part for values, part in parts if values == condition] or [part for _, part in parts]
    spec = merge_json(spec, own[0] if own else {})
    if node.children:
        spec["conditionalParameterSpecs"] = [
            {
                **_condition(parameter, child.condition),
                "parameterSpec": _spec(child, node, kept, external=external),
            }
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
        case BoolParameter():
            return {"categoricalValueSpec": {"values": list(BOOLEANS)}}
        case _:
            values = list(map(format_value, list_values(parameter) or ()))
            return {"categoricalValueSpec": {"values": values}}


def _external_type(parameter: Parameter) -> str:
    if isinstance(parameter, BoolParameter):
        return "AS_BOOLEAN"
    has_integers = isinstance(parameter, DiscreteParameter) and all(
        isinstance(value, int) for value in parameter.values
    )
    return "AS_INTEGER" if has_integers else ""


def _condition(parent: Parameter, values: Sequence[Value]) -> Json:
    """Return for which values of its parent a parameter is active; floats cannot be parents."""
    match parent:
        case IntParameter():
            return {"parentIntValues": {"values": list(map(str, values))}}
        case DiscreteParameter():
            return {"parentDiscreteValues": {"values": list(map(float, values))}}
        case _:
            return {"parentCategoricalValues": {"values": list(map(format_value, values))}}
