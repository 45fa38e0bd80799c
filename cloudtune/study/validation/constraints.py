"""Check the constraints of a study."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Note, Problem, Severity
from cloudtune.study.constraints import (
    constraint_path,
    outcome_constraints,
    parameter_constraints,
)
from cloudtune.study.expression_parser import parse
from cloudtune.study.expressions import Expression, ExpressionError, Kind
from cloudtune.study.feasibility import allowed_share, can_complete, is_infeasible
from cloudtune.study.fields import StudyFields
from cloudtune.study.map_values import plain_value
from cloudtune.study.own_metrics import OWN_METRICS
from cloudtune.study.schema import BoolParameter, CategoricalParameter
from cloudtune.study.search_space import Space
from cloudtune.study.suggestions import did_you_mean, suggest_name

_RARE = 0.05
"""A note says the share of the space that keeps the constraints if it is smaller."""


def check_constraints(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    """Yield the mistakes in the texts of constraints, each with its column."""
    unread = {field.partition(".")[2] for field in invalid_fields if field.count(".") == 1}
    maps = {name: next(iter(each)) for name, each in study.maps.items()}
    known = {*study.parameters, *study.constants, *unread, *metric_names(study)}
    for index, text in enumerate(study.constraints):
        path = constraint_path(study, index)
        names: dict[str, int] = {}
        try:
            expression = parse(text)
            names = {str(each.value): each.column for each in expression.names()}
            kind = expression.check(lambda name: _kind_of(study, name))
            if kind not in {"truth", "any"}:
                raise ExpressionError(
                    1, f"is a {kind}, not a condition; compare it, as with == or <="
                )
        except ExpressionError as error:
            free = next((name for name in names if name not in known), "")
            hint = f"if {free} is a value, write '{free}'" if free else ""
            yield Problem(path, f"{text!r}: {error}", hint if "text" in str(error) else "")
            continue
        yield from _unknown_values(study, expression, path, text)
        if not names.keys() - study.constants.keys():
            yield Problem(path, f"{text!r} has no parameter and no metric", "remove it")
        for name, column in names.items():
            parameter = next((p for p in maps if name.startswith(f"{p}.")), None)
            if parameter and name not in known:
                message = f"{text!r}: column {column}: {parameter} is one of several maps"
                hint = f"compare the whole map, as in {parameter} == {maps[parameter]!r}"
                yield Problem(path, message, hint)
                continue
            hint = did_you_mean(name, [*study.parameters, *study.constants])
            if name not in known and hint:
                message = f"{text!r}: column {column}: unknown name {name}"
                declare = f"for a metric of the script, add {name}: {{}} to trial.metrics"
                yield Problem(path, message, f"{hint} {declare}")


def note_constraints(study: StudyFields) -> Iterator[Note]:
    """Yield notes about rare assignments and about metrics that only the script can report.

    The study has no mistakes.
    """
    for each in outcome_constraints(study):
        if unknown := sorted(each.metrics - metric_names(study)):
            names = ", ".join(unknown)
            text = f"the script must report {names}; a trial without it breaks {each.text!r}"
            severity: Severity = "warning" if study.trial.metrics else "note"
            yield Note(constraint_path(study, each.index), text, severity)
    space = Space.from_study(study)
    if space.constraints and (share := allowed_share(space)) < _RARE:
        about = f"about {share:.1%}" if share else "less than 0.1%"
        yield Note("constraints", f"{about} of the assignments keep the constraints", "warning")


def metric_names(study: StudyFields) -> set[str]:
    """Return the metrics that a study names, and those that every trial has."""
    return {
        *OWN_METRICS,
        *study.trial.metrics,
        *study.trial.select,
        *(o.metric for o in study.objectives),
    }


def check_feasibility(study: StudyFields) -> Iterator[Problem]:
    """Yield a problem if nothing, or not an initial trial, keeps the constraints.

    The parameters, the constraints and the initial trials are each valid.
    """
    constraints = parameter_constraints(study)
    if not constraints:
        return
    space = Space.from_study(study)
    alone = [each for each in constraints if not Space(space.nodes, [each]).may_allow({}, 0)]
    path = constraint_path(study, alone[0].index) if alone else "constraints"
    infeasible = is_infeasible(space) if study.strategy.name != "list" else None
    if infeasible == "shown":
        yield Problem(path, "no assignment keeps the constraints", "loosen one of them")
        return
    if infeasible:
        message = "no assignment was found that keeps the constraints"
        yield Problem(path, message, "loosen one of them, or list the values of the parameters")
        return
    for number, trial in enumerate(study.initial_trials):
        broken = [each.text for each in constraints if not each.holds(trial)]
        if broken:
            many = "s" if len(broken) > 1 else ""
            message = f"breaks the constraint{many} {' and '.join(broken)}"
            yield Problem(f"initial_trials.{number}", message, "change one of its values")
        elif study.strategy.name != "list" and not can_complete(space, trial):
            message = "cannot be completed such that the constraints hold"
            yield Problem(f"initial_trials.{number}", message, "change one of its values")


def _unknown_values(
    study: StudyFields, expression: Expression, path: str, text: str
) -> Iterator[Problem]:
    """Yield the texts that are compared with a parameter that never has them."""
    for each in expression.args:
        yield from _unknown_values(study, each, path, text)
    if expression.kind not in {"==", "!="}:
        return
    for name, other in (expression.args, reversed(expression.args)):
        definitions = study.parameters.get(str(name.value), ()) if name.kind == "name" else ()
        listed = [each for each in definitions if isinstance(each, CategoricalParameter)]
        values = [plain_value(value) for each in listed for value in each.values]
        if not values or other.kind != "value" or not isinstance(other.value, str):
            continue
        if other.value not in values:
            texts = [value for value in values if isinstance(value, str)]
            message = f"column {other.column}: {name.value} is never {other.value!r}"
            yield Problem(path, f"{text!r}: {message}", suggest_name(other.value, texts))


def _kind_of(study: StudyFields, name: str) -> Kind:
    if name in study.constants:
        values = [study.constants[name]]
    elif name in study.parameters:
        definitions = study.parameters[name]
        if all(isinstance(each, BoolParameter) for each in definitions):
            return "truth"
        if not any(isinstance(each, CategoricalParameter | BoolParameter) for each in definitions):
            return "number"
        if not all(isinstance(each, CategoricalParameter) for each in definitions):
            return "any"
        values = [v for d in definitions if isinstance(d, CategoricalParameter) for v in d.values]
    else:
        return "number"
    if all(isinstance(value, bool) for value in values):
        return "truth"
    if any(isinstance(value, bool) for value in values):
        return "any"
    is_text = [isinstance(value, str) for value in values]
    return "text" if all(is_text) else "any" if any(is_text) else "number"
