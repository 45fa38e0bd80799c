"""Rules of what Vertex AI's own tuner searches: names, values, scales and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from cloudtune.provider import (
    DiscreteParameter,
    Facts,
    Finding,
    FittedStudy,
    FloatParameter,
    IntParameter,
    Node,
    Note,
    Parameter,
    Study,
    count_values,
    list_nodes,
    uses_launcher,
)
from cloudtune_vertex.request.parameters import SCALES, everything, scale_type, tree

CLOSEST = 1e-10
"""Discrete values are at least so far apart, in TYPES."""
LARGEST_WHOLE = 2**53
"""Answers have numbers as doubles (Trial.Parameter.value in TYPES), which are exact to here."""


def space_rules(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what the tuner refuses of the space, or holds in another way."""
    study = fitted.study
    for name in study.parameters:
        if re.search(r"\s", name):
            reason = "Vertex AI's names of parameters have no spaces; rename it"
            yield Finding("refused", f"parameters.{name}", reason)
    for node in list_nodes(study):
        path = _path(study, node)
        yield from _values(node, path)
        if study.strategy.name == "grid" and _is_a_range_of_floats(node):
            reason = "a grid of Vertex AI has no ranges of real numbers: give a step, or values"
            yield Finding("refused", path, reason)
    yield from _conditions(fitted, facts)


def _path(study: Study, node: Node) -> str:
    definitions = study.parameters[node.name]
    if len(definitions) == 1:
        return f"parameters.{node.name}"
    place = next(i for i, item in enumerate(definitions) if item is node.parameter)
    return f"parameters.{node.name}.{place}"


def _is_a_range_of_floats(node: Node) -> bool:
    return isinstance(node.parameter, FloatParameter) and count_values(node.parameter) != 1


def _values(node: Node, path: str) -> Iterator[Finding]:
    parameter = node.parameter
    if isinstance(parameter, DiscreteParameter):
        close = [pair for pair in pairwise(parameter.values) if pair[1] - pair[0] < CLOSEST]
        if close:
            reason = f"{close[0][0]} and {close[0][1]} are closer than {CLOSEST}"
            yield Finding("refused", f"{path}.values", f"{reason}, which Vertex AI takes as one")
    ends: list[int | float] = []
    if isinstance(parameter, IntParameter):
        ends = [parameter.min, parameter.max]
    elif isinstance(parameter, DiscreteParameter):
        ends = [value for value in parameter.values if isinstance(value, int)]
    if any(abs(end) > LARGEST_WHOLE for end in ends):
        reason = "whole numbers above 2^53 come back rounded, since Vertex AI tells them as doubles"
        yield Finding("refused", path, reason)
    if _is_reversed_at_zero(parameter):
        reason = "Vertex AI's reverse_log needs numbers above 0: linear is used"
        yield Finding("approximated", f"{path}.scale", reason)


def _is_reversed_at_zero(parameter: Parameter) -> bool:
    return (
        isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter)
        and parameter.scale == "reverse_log"
        and scale_type(parameter) == SCALES["linear"]
    )


def _conditions(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    study = fitted.study
    withheld: dict[str, Node] = {}
    above: dict[str, set[str]] = {}
    for parent, placed in everything(tree(study)):
        node = placed.node
        above.setdefault(node.name, set()).add(parent.key if parent else "")
        if placed.withheld and node.key not in withheld:
            withheld[node.key] = node
            yield _withheld(study, node, placed.withheld)
    if withheld and not uses_launcher(study, facts):
        reason = "without cloudtune's launcher nothing withholds inactive parameters from the code"
        yield Finding("approximated", "parameters", reason)
    for name, parents in above.items():
        if len(parents) > 1:
            text = (
                f"stands at {len(parents)} places of Vertex AI's tree, under conditions that "
                "exclude each other; that was not verified live"
            )
            yield Note(f"parameters.{name}", text)


def _withheld(study: Study, node: Node, names: tuple[str, ...]) -> Finding:
    others = " and ".join(names)
    if len(study.parameters[node.name]) > 1:
        return Finding(
            "refused",
            f"{_path(study, node)}.when",
            f"Vertex AI's conditions form a tree, in which {others} cannot be heeded here, and "
            f"{node.name} has several definitions: give them names of their own",
        )
    return Finding(
        "approximated",
        f"{_path(study, node)}.when",
        f"Vertex AI's conditions form a tree: this is tuned whatever {others} is, withheld from "
        "the script and left out of the results where it is not active",
    )
