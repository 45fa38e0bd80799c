"""Check a trial that is proposed from outside against the search space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.map_values import fold_map
from cloudtune.study.schema import Strategy
from cloudtune.study.search_space import Space, Value, is_active, match_value
from cloudtune.study.study import Study
from cloudtune.study.validation import find_problems

_PATH = "initial_trials.0."


def check_proposal(study: Study, values: Mapping[str, Any]) -> dict[str, Value]:
    """Return a proposed assignment with the types of the study's parameters, in their order.

    Raises:
        StudyError: With all mistakes: unknown, missing, inactive and invalid values, and broken
            constraints.
    """
    values = {name: fold_map(_plain(value)) for name, value in values.items()}
    invalid = [
        Problem(str(name), f"{name} is {_kind(value)}, not a value", "give one value")
        for name, value in values.items()
        if not isinstance(value, str | bool | int | float)
    ]
    valid = {name: value for name, value in values.items() if name not in {p.path for p in invalid}}
    random = Strategy(name="random")
    asked = study.model_copy(update={"initial_trials": [valid], "strategy": random})
    problems = invalid + [
        Problem(p.path.removeprefix(_PATH), p.message, p.hint)
        for p in find_problems(asked)
        if p.path.startswith(_PATH)
    ]
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
            problems.append(Problem(name, "a proposal needs a value", "add it"))
    for each in space.constraints:
        if not each.holds(assignment):
            problems.append(Problem("params", f"breaks the constraint {each.text}", ""))
    if problems:
        raise StudyError(problems)
    return assignment


def _kind(value: object) -> str:
    """Return what a value of JSON is that is none of a parameter."""
    return "null" if value is None else "a map" if isinstance(value, dict) else "a list"


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python."""
    to_python = getattr(value, "item", None)
    return to_python() if callable(to_python) else value
