"""The constraints of a study: on its parameters, and on the metrics of a trial.

The names tell the kind: a constraint with only names of parameters and constants says which
assignments are possible; one with another name, which is a metric, says which trials count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudtune.study.expression_parser import parse
from cloudtune.study.expressions import Expression, ExpressionError, Range, Value
from cloudtune.study.fields import StudyFields


@dataclass(frozen=True)
class Constraint:
    """One constraint."""

    index: int
    """The position in the list of the study."""
    text: str
    expression: Expression
    names: frozenset[str]
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

    def is_possible(self, ranges: Mapping[str, Range]) -> bool:
        """Return whether it can hold for values in these ranges; all of them are active."""
        known: dict[str, Range] = {name: (each, each) for name, each in self.constants.items()}
        try:
            bounds = self.expression.bounds({**known, **ranges})
        except (ArithmeticError, ValueError, TypeError):
            return True
        return bounds is None or bool(bounds[1])


def constraint_path(study: StudyFields, index: int) -> str:
    """Return the path of a constraint in the file."""
    return study.item_path("constraints", index, len(study.constraints))


def parameter_constraints(study: StudyFields) -> tuple[Constraint, ...]:
    """Return the constraints between parameters; those with mistakes are left out."""
    return tuple(each for each in _constraints(study) if each.names <= study.parameters.keys())


def outcome_constraints(study: StudyFields) -> tuple[Constraint, ...]:
    """Return the constraints on metrics; those with mistakes are left out."""
    return tuple(each for each in _constraints(study) if each.names - study.parameters.keys())


def broken_outcomes(
    constraints: tuple[Constraint, ...],
    parameters: Mapping[str, Value],
    metrics: Mapping[str, float],
    parameter_names: frozenset[str],
) -> tuple[str, ...]:
    """Return the constraints that a trial breaks; it also breaks one whose metric is missing."""
    values = {**parameters, **metrics}
    return tuple(
        each.text
        for each in constraints
        if not (each.names - parameter_names <= metrics.keys() and each.holds(values))
    )


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
        constraints.append(Constraint(index, text, expression, names, constants))
    return constraints
