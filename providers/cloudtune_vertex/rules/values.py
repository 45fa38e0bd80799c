"""Rules of the parameters of Vertex AI's tuner: names, values, scales and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from cloudtune.formats import SCALES, build_tree, scale_type, walk_tree
from cloudtune.provider import (
    DiscreteParameter,
    Facts,
    Finding,
    FittedStudy,
    FloatParameter,
    IntParameter,
    Node,
    Note,
    count_values,
    list_nodes,
)
from cloudtune.provider.lookup import uses_launcher

MIN_DISTANCE = 1e-10
"""Between discrete values, in TYPES."""
MAX_INTEGER = 2**53
"""Responses have numbers as doubles (Trial.Parameter.value in TYPES), exact up to this integer."""


def value_rules(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the parameters."""
    study = fitted.study
    for name in study.parameters:
        if re.search(r"\s", name):
            reason = "a parameter's name must have no spaces"
            yield Finding("refused", f"parameters.{name}", reason)
    for node in list_nodes(study):
        path = fitted.path_of(node.parameter)
        yield from _values(node, path)
        if (
            study.strategy.name == "grid"
            and isinstance(node.parameter, FloatParameter)
            and count_values(node.parameter) != 1
        ):
            reason = "Vertex AI's grid does not accept float ranges: set a step, or use values"
            yield Finding("refused", path, reason)
    yield from _conditions(fitted, facts)


def _values(node: Node, path: str) -> Iterator[Finding]:
    parameter = node.parameter
    integers: list[int | float] = []
    if isinstance(parameter, IntParameter):
        integers = [parameter.min, parameter.max]
    elif isinstance(parameter, DiscreteParameter):
        integers = [value for value in parameter.values if isinstance(value, int)]
        for low, high in pairwise(parameter.values):
            if high - low < MIN_DISTANCE:
                reason = f"{low} and {high}: Vertex AI requires a distance of {MIN_DISTANCE}"
                yield Finding("refused", f"{path}.values", reason)
                break
    if any(abs(value) > MAX_INTEGER for value in integers):
        reason = "Vertex AI returns integers as doubles, which rounds them above 2^53"
        yield Finding("refused", path, reason)
    if (
        isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter)
        and parameter.scale == "reverse_log"
        and scale_type(parameter) == SCALES["linear"]
    ):
        reason = "Vertex AI's reverse_log requires values above 0: linear is used"
        yield Finding("approximated", f"{path}.scale", reason)


def _conditions(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    study = fitted.study
    unchecked: set[str] = set()
    parents_by_name: dict[str, set[str]] = {}
    for parent, tree_node in walk_tree(build_tree(study)):
        node = tree_node.node
        parents_by_name.setdefault(node.name, set()).add(parent.key if parent else "")
        if tree_node.unchecked and node.key not in unchecked:
            unchecked.add(node.key)
            yield _unchecked_condition(fitted, node, " and ".join(tree_node.unchecked))
    if unchecked and not uses_launcher(study, facts):
        reason = "only cloudtune's launcher withholds inactive parameters: the code gets them all"
        yield Finding("approximated", "parameters", reason)
    for name, parents in parents_by_name.items():
        if len(parents) > 1:
            text = (
                f"at {len(parents)} places in Vertex AI's tree, under conditions that exclude each "
                "other; this was not verified live"
            )
            yield Note(f"parameters.{name}", text)


def _unchecked_condition(fitted: FittedStudy, node: Node, parents: str) -> Finding:
    path = f"{fitted.path_of(node.parameter)}.when"
    if len(fitted.study.parameters[node.name]) > 1:
        reason = (
            f"Vertex AI's conditions form a tree, which cannot check {parents} here, and "
            f"{node.name} has several definitions: give each its own name"
        )
        return Finding("refused", path, reason)
    reason = (
        f"Vertex AI's conditions form a tree: it is tuned for every value of {parents}, and where "
        "it is not active, withheld from the script and omitted from the results"
    )
    return Finding("approximated", path, reason)
