"""Check the initial trials against the search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.literals import format_literal
from cloudtune.study.map_values import MapValue
from cloudtune.study.schema import Parameter
from cloudtune.study.search_space import Value, list_nodes, sort_parents_first
from cloudtune.study.suggestions import suggest_name
from cloudtune.study.validation.values import Domain, comparison_key


def check_initial_trials(study: StudyFields, domains: Mapping[str, Domain]) -> Iterator[Problem]:
    """Yield a problem for each value that is invalid in its trial.

    The strategy list runs the trials unchanged, so their names and conditions are not checked.
    """
    if not study.initial_trials:
        return
    is_list = study.strategy.name == "list"
    # Parents come first. Parameters in a cycle have no rank and are not checked.
    nodes = sort_parents_first(list_nodes(study))
    ranks = {node.name: rank for rank, node in enumerate(nodes)}
    for number, trial in enumerate(study.initial_trials):
        active: dict[str, bool] = {}
        for name in sorted(trial, key=lambda name: ranks.get(name, -1)):
            path = f"initial_trials.{number}.{name}"
            if name not in study.parameters:
                if not is_list:
                    hint = suggest_name(name, study.parameters)
                    if name in study.constants:
                        hint = "it is a constant, the same in every trial"
                    yield Problem(path, f"unknown parameter {name}", hint)
                elif isinstance(trial[name], MapValue):
                    message = f"{name} has no map as a value"
                    yield Problem(path, message, f"list the maps of {name} under parameters")
            elif name in domains and name in ranks:
                definitions = study.parameters[name]
                possible = [p for p in definitions if is_list or _is_active(p, trial, active)]
                if possible:
                    domain = domains[name] if possible == definitions else Domain(possible)
                    problem = domain.check(path, trial[name])
                else:
                    problem = _inactive_problem(path, name, definitions, trial, active)
                if problem is not None:
                    active[name] = False
                    yield problem


def _is_active(
    parameter: Parameter, trial: Mapping[str, Value], active: Mapping[str, bool]
) -> bool:
    return all(
        parent in trial
        and active.get(parent, True)
        and comparison_key(trial[parent]) in {comparison_key(value) for value in values}
        for parent, values in (parameter.when or {}).items()
    )


def _inactive_problem(
    path: str,
    name: str,
    definitions: Sequence[Parameter],
    trial: Mapping[str, Value],
    active: Mapping[str, bool],
) -> Problem | None:
    parents = dict.fromkeys(parent for p in definitions for parent in p.when or {})
    if any(not active.get(parent, True) for parent in parents):
        return None  # reported for the parent
    for parent in parents:
        if parent not in trial:
            hint = f"add {parent}, or remove {name}"
            return Problem(path, f"{name} depends on {parent}, which this trial does not set", hint)
    conditions = " and ".join(
        f"{parent} is {' or '.join(map(format_literal, values[:5]))}"
        for parent, values in (definitions[0].when or {}).items()
    )
    return Problem(path, f"{name} is not active in this trial", f"active if {conditions}")
