"""The parameters of a study as a tree of Vertex AI's ``ParameterSpec``, in its own spelling.

A conditional parameter stands there below one parent, under the values for which it is active. A
study's parameter may hang on several: it stands below the deepest of them, and where the path to it
does not imply the other conditions, more is tuned than is used.
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
"""By the study's; without one (``auto``) the service decides."""


@dataclass(frozen=True)
class Placed:
    """A definition of a parameter at one place of the tree."""

    node: Node
    condition: tuple[Value, ...]
    """The values of what it stands below, in that one's spelling; none at the top."""
    withheld: tuple[str, ...]
    """The parents that the tree does not heed, so that the launcher has to."""
    below: tuple[Placed, ...]


def tree(study: Study) -> tuple[Placed, ...]:
    """Return the tree of a fitted study."""
    nodes = Space.from_study(study).nodes
    return tuple(_below(None, nodes, _anchors(nodes), {}))


def everything(
    placed: Iterable[Placed], parent: Node | None = None
) -> Iterator[tuple[Node | None, Placed]]:
    """Yield what is in a tree, each with what it stands below, parents first."""
    for each in placed:
        yield parent, each
        yield from everything(each.below, each.node)


def combinations(study: Study) -> int | None:
    """Return how many combinations the tree of a study has; None if they cannot be counted."""
    nodes = Space.from_study(study).nodes
    anchors = _anchors(nodes)
    parameters: dict[str, list[Parameter]] = {}
    for node in nodes:
        anchor = anchors[node.key]
        when = {anchor: node.when[anchor]} if anchor else None
        parameters.setdefault(node.name, []).append(
            node.parameter.model_copy(update={"when": when})
        )
    return Space.from_study(study.model_copy(update={"parameters": parameters})).size


def specs(study: Study) -> list[Json]:
    """Return ``studySpec.parameters`` of a fitted study."""
    return [_spec(placed) for placed in tree(study)]


def scale_type(parameter: Parameter) -> str | None:
    """Return Vertex AI's word for a scale; a reversed one exists above 0 alone."""
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return None
    if count_values(parameter) == 1:
        return None
    lowest = parameter.values[0] if isinstance(parameter, DiscreteParameter) else parameter.min
    if parameter.scale == "reverse_log" and lowest <= 0:
        return SCALES["linear"]
    return SCALES.get(parameter.scale)


def _anchors(nodes: Sequence[Node]) -> dict[str, str | None]:
    """Return below which parameter each node stands, by its key: the deepest of its parents."""
    anchors: dict[str, str | None] = {}
    depths: dict[str, int] = {}
    order = {node.name: place for place, node in enumerate(nodes)}
    for node in nodes:
        anchor = max(node.when, key=lambda name: (depths[name], order[name]), default=None)
        anchors[node.key] = anchor
        depth = 0 if anchor is None else depths[anchor] + 1
        depths[node.name] = max(depth, depths.get(node.name, 0))
    return anchors


def _below(
    parent: Node | None,
    nodes: Sequence[Node],
    anchors: Mapping[str, str | None],
    known: When,
) -> Iterator[Placed]:
    """Yield what stands below a definition, or at the top.

    Args:
        parent: The definition; None for the top.
        nodes: All of the study.
        anchors: As of `_anchors`.
        known: What the values of parameters on the way down can be.
    """
    for node in nodes:
        if anchors[node.key] != (parent.name if parent else None):
            continue
        condition: tuple[Value, ...] = ()
        if parent:
            found = (match_value(parent.parameter, value) for value in node.when[parent.name])
            condition = tuple(value for value in found if value is not None)
            if not condition:
                continue
        others = {name: values for name, values in node.when.items() if name in known}
        if not all(_meet(known[name], values) for name, values in others.items()):
            continue
        withheld = tuple(
            name
            for name, values in node.when.items()
            if not (parent and name == parent.name)
            and not (name in known and all(_among(value, values) for value in known[name]))
        )
        path = {**known, parent.name: list(condition)} if parent else known
        yield Placed(node, condition, withheld, tuple(_below(node, nodes, anchors, path)))


def _among(value: Value, values: Iterable[Value]) -> bool:
    return any(is_same_value(value, each) for each in values)


def _meet(some: Iterable[Value], others: Sequence[Value]) -> bool:
    return any(_among(value, others) for value in some)


def _spec(placed: Placed) -> Json:
    parameter = placed.node.parameter
    spec: Json = {"parameterId": placed.node.name, **_values(parameter)}
    if scale := scale_type(parameter):
        spec["scaleType"] = scale
    if placed.below:
        spec["conditionalParameterSpecs"] = [
            {**_condition(parameter, child.condition), "parameterSpec": _spec(child)}
            for child in placed.below
        ]
    return spec


def _values(parameter: Parameter) -> Json:
    match parameter:
        case FloatParameter() if count_values(parameter) != 1:
            return {
                "doubleValueSpec": {
                    "minValue": float(parameter.min),
                    "maxValue": float(parameter.max),
                }
            }
        case IntParameter():
            bounds = {"minValue": str(parameter.min), "maxValue": str(parameter.max)}
            return {"integerValueSpec": bounds}
        case FloatParameter():
            return {"discreteValueSpec": {"values": [float(value_at(parameter, 0))]}}
        case DiscreteParameter():
            return {"discreteValueSpec": {"values": list(map(float, parameter.values))}}
        case _:
            return {
                "categoricalValueSpec": {
                    "values": list(map(format_value, list_values(parameter) or ()))
                }
            }


def _condition(parent: Parameter, values: Sequence[Value]) -> Json:
    """Return under which values of a parent something is active; no study hangs it on a float."""
    match parent:
        case IntParameter():
            return {"parentIntValues": {"values": list(map(str, values))}}
        case DiscreteParameter():
            return {"parentDiscreteValues": {"values": list(map(float, values))}}
        case _:
            return {"parentCategoricalValues": {"values": list(map(format_value, values))}}
