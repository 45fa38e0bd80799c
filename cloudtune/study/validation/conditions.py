"""Check the conditions of parameters and of the resources of a trial."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import FloatParameter, When
from cloudtune.study.search_space import Value
from cloudtune.study.suggestions import suggest_name
from cloudtune.study.validation.values import Domain, comparison_key

_MOST_MEMORY = 1_000_000
"""Chosen: how many times the memory of its first start a trial may have; more is a mistake."""


def check_when(
    study: StudyFields, domains: Mapping[str, Domain], path: str, when: When, name: str = ""
) -> Iterator[Problem]:
    """Yield the problems of the conditions at a path, of a parameter with a name or of another."""
    for parent, values in when.items():
        condition_path = f"{path}.{parent}"
        if parent == name:
            continue  # reported as a cycle
        if parent not in study.parameters:
            hint = suggest_name(parent, [other for other in study.parameters if other != name])
            if whole := next((each for each in study.maps if parent.startswith(f"{each}.")), ""):
                hint = f"a condition needs whole maps: list those of {whole}"
            if parent in study.constants:
                hint = "it is a constant; a condition needs a parameter"
            yield Problem(condition_path, f"unknown parameter {parent}", hint)
        elif not values:
            never = "the parameter is never active" if name else "it never holds"
            yield Problem(condition_path, f"must not be empty, or {never}")
        elif parent in domains:
            yield from _check_condition(condition_path, parent, values, domains[parent])


def _check_condition(
    path: str, parent: str, values: Sequence[Value], domain: Domain
) -> Iterator[Problem]:
    if any(isinstance(parameter, FloatParameter) for parameter in domain.definitions):
        message = f"a condition cannot depend on {parent}, a float"
        yield Problem(path, message, "use type: discrete, categorical, int or bool for it")
        return
    yield from filter(None, (domain.check(path, value) for value in values))


def check_exclusive(conditions: Sequence[When], path: str, name: str) -> Iterator[Problem]:
    """Yield the first two of the definitions at a path whose conditions can hold together."""
    keys = [_condition_keys(when) for when in conditions]
    overlaps = (
        (first, second)
        for (first, left), (second, right) in combinations(enumerate(keys), 2)
        if not any(left[parent].isdisjoint(right[parent]) for parent in left.keys() & right)
    )
    for first, second in islice(overlaps, 1):
        yield Problem(
            f"{path}.{second}",
            f"definitions {first + 1} and {second + 1} of {name} can be active together",
            "add a when on the same parameter to both, with different values",
        )


def check_resources(study: StudyFields, domains: Mapping[str, Domain]) -> Iterator[Problem]:
    """Yield the problems of the resources of a trial, and of what they are for."""
    resources, retry = study.trial.resources, study.trial.retry
    for number, each in enumerate(resources):
        path = study.item_path("trial.resources", number, len(resources))
        yield from check_when(study, domains, f"{path}.when", each.when or {})
    conditions = [each.when or {} for each in resources]
    yield from check_exclusive(conditions, "trial.resources", "the resources")
    if retry is not None and retry.factor <= 1:
        yield Problem("trial.retry.memory", "must be more than 1x", "for example 2x")
    elif retry is not None and retry.times > math.log10(_MOST_MEMORY) / math.log10(retry.factor):
        text = f"the last start would have more than {_MOST_MEMORY:,} times the memory of the first"
        yield Problem("trial.retry", text, "lower times or memory")


def _condition_keys(when: When) -> dict[str, set[tuple[str, Value]]]:
    return {parent: {comparison_key(value) for value in values} for parent, values in when.items()}
