"""Mistakes in the initial trials: names, values and conditions against the space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.messages import describe_value
from cloudtune.study.schema import When
from cloudtune.study.search_space import Value, list_nodes, sort_parents_first
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.validation.values import Definition, Domain, comparison_key, format_literal


class InitialTrials:
    """Holds the initial trials against the space."""

    def __init__(self, study: StudyFields, known: Mapping[str, Domain]) -> None:
        self.study = study
        self.known = known
        self.free = study.strategy.name == "list"
        """Whether names may be free and all trials run as they stand."""
        self.ranks: dict[str, int] = {}
        """A number for each parameter, higher than those of its parents; none in a cycle."""
        if study.initial_trials:
            places = enumerate(sort_parents_first(list_nodes(study)))
            self.ranks = {node.name: place for place, node in places}

    def problems(self) -> Iterator[Problem]:
        """Yield each value that its trial cannot have."""
        for number, trial in enumerate(self.study.initial_trials):
            active: dict[str, bool] = {}
            for name in sorted(trial, key=lambda name: self.ranks.get(name, -1)):
                path = f"initial_trials.{number}.{name}"
                if name in self.study.parameters:
                    problem = self._value(path, name, trial, active)
                    active[name] = problem is None
                else:
                    problem = self._unknown(path, name)
                if problem is not None:
                    yield problem

    def _unknown(self, path: str, name: str) -> Problem | None:
        if self.free:
            return None
        hint = did_you_mean(name, self.study.parameters)
        if name in self.study.constants:
            hint = "it is a constant, and the same in every trial"
        return Problem(path, f"there is no parameter {name}", hint)

    def _value(
        self, path: str, name: str, trial: Mapping[str, Value], active: Mapping[str, bool]
    ) -> Problem | None:
        if name not in self.known or name not in self.ranks:
            return None
        value, definitions = trial[name], self.study.parameters[name]
        possible = [p for p in definitions if self.free or _is_active(p.when or {}, trial, active)]
        if not possible:
            return _inactive_problem(path, name, definitions, trial, active)
        fitting = self.known[name] if possible == definitions else Domain(possible)
        if fitting.can_be(value):
            return None
        message = f"{name} cannot be {describe_value(value)}; it is {fitting.describe()}"
        return Problem(path, message, fitting.hint(value))


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
    definitions: Sequence[Definition],
    trial: Mapping[str, Value],
    active: Mapping[str, bool],
) -> Problem | None:
    parents = dict.fromkeys(parent for p in definitions for parent in p.when or {})
    if any(not active.get(parent, True) for parent in parents):
        return None  # told at the parent
    for parent in parents:
        if parent not in trial:
            hint = f"add {parent} to this trial, or leave {name} out"
            return Problem(path, f"whether {name} is active hangs on {parent}", hint)
    conditions = " and ".join(
        f"{parent} is {' or '.join(map(format_literal, values[:5]))}"
        for parent, values in (definitions[0].when or {}).items()
    )
    return Problem(path, f"{name} is not active in this trial", f"it is where {conditions}")
