"""The constraints of a study: on its parameters, and on the metrics of a trial.

The names tell the kind: a constraint with only names of parameters and constants says which
assignments are possible; one with another name, which is a metric, says which trials count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudtune.study.expression_parser import parse
from cloudtune.study.expressions import Expression, ExpressionError, Range, Value
from cloudtune.study.fields import StudyFields
from cloudtune.study.narrowing import Ranges, narrow

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PLAIN_NAME = re.compile(r"[^\W\d][\w.]*")
_WORDS = {"and", "or", "not", "true", "false", "True", "False"}
_LEAST = 5e-324
"""The margin of a constraint that is broken by nothing that can be measured, as `a < a`."""


@dataclass(frozen=True)
class Constraint:
    """One constraint."""

    index: int
    """The position in the list of the study."""
    text: str
    expression: Expression
    names: frozenset[str]
    metrics: frozenset[str]
    """Those of the names that are no parameters."""
    constants: Mapping[str, Value]
    """The constants of the study that it uses."""

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether it holds for some values; not if they have no result.

        It holds, too, if a value is missing: that of an inactive parameter.
        """
        if not self.names <= values.keys():
            return True
        try:
            return bool(self.expression.evaluate({**self.constants, **values}))
        except (ArithmeticError, ValueError, TypeError):
            return False

    def margin(self, values: Mapping[str, Value]) -> float:
        """Return by how much it does not hold; at most 0 if it does, infinite if that is unknown.

        It holds if a parameter is missing, and is broken if a metric is.
        """
        if not self.metrics <= values.keys():
            return math.inf
        if not self.names <= values.keys():
            return 0.0
        margin = self.expression.margin({**self.constants, **values})
        return min(margin, 0.0) if self.holds(values) else max(margin, _LEAST)

    def is_possible(self, ranges: Mapping[str, Range]) -> bool:
        """Return whether it can hold for values in these ranges; all of them are active."""
        known: dict[str, Range] = {name: (each, each) for name, each in self.constants.items()}
        try:
            bounds = self.expression.bounds({**known, **ranges})
        except (ArithmeticError, ValueError, TypeError):
            return True
        return bounds is None or bool(bounds[1])

    def narrow(self, ranges: Ranges) -> Ranges | None:
        """Return the ranges in which it can hold, or None if it cannot; all of them are active."""
        constants: Ranges = {name: (each, each) for name, each in self.constants.items()}
        try:
            narrowed = narrow(self.expression, {**constants, **ranges}, holds=True)
        except (ArithmeticError, ValueError, TypeError):
            return dict(ranges)  # nothing is known
        return narrowed and {name: narrowed[name] for name in ranges}


def metric_bound(constraint: Constraint) -> tuple[str, str, float] | None:
    """Return the metric, the comparison and the number of a constraint such as ``latency <= 50``.

    None if it has another form.
    """
    expression = constraint.expression
    if expression.kind not in _MIRRORED or len(constraint.metrics) != 1:
        return None
    left, right = expression.args
    kind = expression.kind
    if right.kind == "name":
        left, right, kind = right, left, _MIRRORED[kind]
    if left.kind != "name" or any(right.names()) or str(left.value) not in constraint.metrics:
        return None
    return str(left.value), kind, float(right.evaluate({}))


def quote_name(name: str) -> str:
    """Return a name as it is written in a constraint."""
    return name if _PLAIN_NAME.fullmatch(name) and name not in _WORDS else f"`{name}`"


def constraint_path(study: StudyFields, index: int) -> str:
    """Return the path of a constraint in the file."""
    return study.item_path("constraints", index, len(study.constraints))


def parameter_constraints(study: StudyFields) -> tuple[Constraint, ...]:
    """Return the constraints between parameters; those with mistakes are left out."""
    return tuple(each for each in _constraints(study) if not each.metrics)


def outcome_constraints(study: StudyFields) -> tuple[Constraint, ...]:
    """Return the constraints on metrics; those with mistakes are left out."""
    return tuple(each for each in _constraints(study) if each.metrics)


def outcome_margins(
    constraints: Sequence[Constraint], parameters: Mapping[str, Value], metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """Return by how much a trial breaks each constraint on metrics, or at most 0 if it keeps it.

    A trial also breaks, by an infinite amount, a constraint on a metric that it did not measure.
    """
    values = {**metrics, **parameters}
    return tuple(each.margin(values) for each in constraints)


def _constraints(study: StudyFields) -> list[Constraint]:
    constraints: list[Constraint] = []
    for index, text in enumerate(study.constraints):
        try:
            expression = parse(text)
        except ExpressionError:
            continue  # reported when the study is checked
        used = {str(each.value) for each in expression.names()}
        constants = {name: study.constants[name] for name in study.constants if name in used}
        names = frozenset(used - constants.keys())
        metrics = names - study.parameters.keys()
        constraints.append(Constraint(index, text, expression, names, metrics, constants))
    return constraints
