"""Check a trial that is proposed from outside against the search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.literals import describe_value
from cloudtune.study.map_values import fold_map
from cloudtune.study.schema import Strategy
from cloudtune.study.search_space import Space, Value, is_active, match_value
from cloudtune.study.study import Study
from cloudtune.study.validation import find_problems
from cloudtune.study.validation.values import Domain

_PATH = "initial_trials.0."


def check_proposal(study: Study, values: Mapping[str, Any]) -> dict[str, Value]:
    """Return a proposed assignment with the types of the study's parameters, in their order.

    Raises:
        StudyError: With all mistakes: unknown, missing, inactive and invalid values, and broken
            constraints.
    """
    values = {str(name): fold_map(_plain(value)) for name, value in values.items()}
    invalid = [
        Problem(name, f"must be one value, not {_describe(value)}", "")
        for name, value in values.items()
        if not isinstance(value, str | bool | int | float)
    ]
    unclear = {problem.path for problem in invalid}
    valid = {name: value for name, value in values.items() if name not in unclear}
    random = Strategy(name="random")
    asked = study.model_copy(update={"initial_trials": [valid], "strategy": random})
    problems = invalid + [
        Problem(p.path.removeprefix(_PATH), p.message, p.hint)
        for p in find_problems(asked)
        if p.path.startswith(_PATH)
        if not any(f"depends on {name}, which" in p.message for name in unclear)
    ]
    problems += _invalid_anywhere(study, valid, problems)
    wrong = {problem.path for problem in problems}
    space = Space.from_study(study)
    assignment: dict[str, Value] = {}
    for node in space.nodes:
        name = node.name
        if name in wrong or not is_active(node, assignment):
            continue
        value = match_value(node.parameter, valid[name]) if name in valid else None
        if value is not None:
            assignment[name] = value
        elif name not in assignment:
            wrong.add(name)
            hint = "a proposal has a value for each active parameter"
            problems.append(Problem(name, "missing", hint))
    for each in space.constraints:
        if not each.holds(assignment):
            problems.append(Problem("params", f"breaks the constraint {each.text}", ""))
    if problems:
        raise StudyError(problems)
    return assignment


def _invalid_anywhere(
    study: Study, values: Mapping[str, Value], known: Sequence[Problem]
) -> Iterator[Problem]:
    """Yield the values that are invalid whether or not their parameters are active."""
    reported = {problem.path for problem in known if problem.message.startswith("must be")}
    for name, value in values.items():
        if name in study.parameters and name not in reported:
            problem = Domain(study.parameters[name]).check(name, value)
            if problem is not None:
                yield problem


def _describe(value: object) -> str:
    if isinstance(value, dict):  # others are values
        return "a map with a part that is no single value, or whose key is no text"
    return "null" if value is None else describe_value(value)


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python."""
    is_number = getattr(value, "shape", None) == () and hasattr(value, "item")
    return value.item() if is_number else value
