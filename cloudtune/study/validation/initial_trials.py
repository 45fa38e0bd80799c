"""Check the initial trials against the search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.messages import describe_value, format_literal
from cloudtune.study.schema import Parameter, When
from cloudtune.study.search_space import Value, list_nodes, sort_parents_first
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.validation.values import Domain, comparison_key


class InitialTrials:
    """Checks the initial trials against the search space."""

    def __init__(self, study: StudyFields, domains: Mapping[str, Domain]) -> None:
        self.study = study
        self.domains = domains
        self.free_form = study.strategy.name == "list"
        """Whether trials run unchanged, so that names and conditions are not checked."""
        self.ranks: dict[str, int] = {}
        """A rank for each parameter, above those of its parents. Cycles have no rank."""
        if study.initial_trials:
            nodes = sort_parents_first(list_nodes(study))
            self.ranks = {node.name: rank for rank, node in enumerate(nodes)}

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each value that is invalid in its trial."""
        for number, trial in enumerate(self.study.initial_trials):
            active: dict[str, bool] = {}
            for name in sorted(trial, key=lambda name: self.ranks.get(name, -1)):
                path = f"initial_trials.{number}.{name}"
                if name in self.study.parameters:
                    problem = self._check_value(path, name, trial, active)
                    active[name] = problem is None
                else:
                    problem = self._check_unknown(path, name)
                if problem is not None:
                    yield problem

    def _check_unknown(self, path: str, name: str) -> Problem | None:
        if self.free_form:
            return None
        hint = did_you_mean(name, self.study.parameters)
        if name in self.study.constants:
            hint = "it is a constant, the same in every trial"
        return Problem(path, f"unknown parameter {name}", hint)

    def _check_value(
        self, path: str, name: str, trial: Mapping[str, Value], active: Mapping[str, bool]
    ) -> Problem | None:
        if name not in self.domains or name not in self.ranks:
            return None
        value, definitions = trial[name], self.study.parameters[name]
        possible = [
            p for p in definitions if self.free_form or _is_active(p.when or {}, trial, active)
        ]
        if not possible:
            return _inactive_problem(path, name, definitions, trial, active)
        domain = self.domains[name] if possible == definitions else Domain(possible)
        if value in domain:
            return None
        message = f"must be {domain.describe()}, not {describe_value(value)}"
        return Problem(path, message, domain.hint(value))


def _is_active(when: When, trial: Mapping[str, Value], active: Mapping[str, bool]) -> bool:
    return all(
        parent in trial
        and active.get(parent, True)
        and comparison_key(trial[parent]) in {comparison_key(value) for value in values}
        for parent, values in when.items()
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
