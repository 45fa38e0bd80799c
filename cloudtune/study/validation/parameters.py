"""Mistakes in the parameters of a study: bounds, values, conditions, initial trials.

Nothing here lists the values of a range, so that a space of any size is checked in the time that it
takes to read it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.messages import describe_value
from cloudtune.study.schema import (
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    When,
)
from cloudtune.study.search_space import Value, format_value, reverse_log_bounds
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.validation.initial_trials import InitialTrials
from cloudtune.study.validation.values import (
    Definition,
    Domain,
    comparison_key,
    fits_64_bits,
    format_literal,
)

Hidden = frozenset[str]

_MAX_NAME_LENGTH = 200
_MAX_DEFINITIONS = 1_000
_MAX_STEPS = 2**53


def check_parameters(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    """Yield what is wrong with the parameters, their conditions and the initial trials."""
    for name in study.parameters:
        yield from _check_name(name, f"parameters.{name}", study)
    for path, _, parameter in _definitions(study):
        yield from _check_definition(path, parameter)
    yield from _check_cycles(study)
    known = {
        name: Domain(definitions)
        for name, definitions in study.parameters.items()
        if f"parameters.{name}" not in hidden
    }
    yield from _check_conditions(study, known)
    yield from _check_overlaps(study, known)
    if "strategy" not in hidden:
        yield from InitialTrials(study, known).problems()


def check_constants(study: StudyFields) -> Iterator[Problem]:
    """Yield what is wrong with the names of the constants."""
    for name in study.constants:
        path = f"constants.{name}"
        yield from _check_name(name, path, study)
        if name in study.parameters:
            message = f"{name} is also a parameter, and a name is either tuned or fixed"
            yield Problem(path, message, "remove one of the two")


def _definitions(study: StudyFields) -> Iterator[tuple[str, str, Definition]]:
    for name, definitions in study.parameters.items():
        for number, parameter in enumerate(definitions):
            yield _path(study, name, number), name, parameter


def _path(study: StudyFields, name: str, number: int) -> str:
    several = len(study.parameters[name]) > 1 or study.is_list(f"parameters.{name}")
    return f"parameters.{name}.{number}" if several else f"parameters.{name}"


def _check_name(name: str, path: str, study: StudyFields) -> Iterator[Problem]:
    if not name or name != name.strip():
        yield Problem(path, "a name must not be empty, and no space may stand at its ends")
    elif not name.isprintable():
        yield Problem(path, "a name must not have control characters or line breaks in it")
    elif len(name) > _MAX_NAME_LENGTH:
        yield Problem(path, f"a name must not be longer than {_MAX_NAME_LENGTH} characters")
    elif "=" in name and study.trial.arguments in {"flags", "equals", "assign", "env"}:
        style = study.trial.arguments
        hint = "rename it, or use arguments: json"
        yield Problem(path, f"a name with = in it cannot be told apart in arguments: {style}", hint)
    else:
        base, mark, number = name.rpartition("#")
        if mark and number.isdecimal() and 1 < int(number) <= len(study.parameters.get(base, ())):
            yield Problem(
                path, f"this name is kept for a further definition of {base}", "rename it"
            )


def _check_definition(path: str, parameter: Definition) -> Iterator[Problem]:
    if isinstance(parameter, FloatParameter | IntParameter):
        yield from _check_range(path, parameter)
    elif isinstance(parameter, DiscreteParameter):
        yield from _check_increasing(path, parameter)
    elif isinstance(parameter, CategoricalParameter):
        yield from _check_distinct(path, parameter.values)


def _check_range(path: str, parameter: FloatParameter | IntParameter) -> Iterator[Problem]:
    low, high, step = parameter.min, parameter.max, parameter.step
    numbers = (("min", low), ("max", high), ("step", step))
    large = [key for key, number in numbers if number is not None and not fits_64_bits(number)]
    for key in large:
        yield Problem(f"{path}.{key}", "a whole number must fit in 64 bits")
    if large:
        return
    if low > high:
        yield Problem(f"{path}.min", f"min {low} is above max {high}", "swap them")
    if parameter.scale == "log" and low <= 0:
        message = f"a log scale needs bounds above 0, and min is {low}"
        yield Problem(f"{path}.min", message, "raise min, or use scale: linear")
    if parameter.scale == "reverse_log" and math.isinf(
        reverse_log_bounds(float(low), float(high))[1]
    ):
        message = f"the range from {low} to {high} is too wide for the scale reverse_log"
        yield Problem(f"{path}.scale", message, "narrow it, or use scale: linear")
    if step is not None:
        span = Decimal(repr(high)) - Decimal(repr(low))
        if step <= 0:
            yield Problem(f"{path}.step", f"must be above 0, and is {step}")
        elif 0 <= span < Decimal(repr(step)):
            message = f"step {step} is larger than the range from {low} to {high}"
            yield Problem(f"{path}.step", message, "make it smaller, or leave it out")
        elif span > Decimal(repr(step)) * _MAX_STEPS or (
            isinstance(parameter, FloatParameter) and step < math.ulp(max(abs(low), abs(high)))
        ):
            message = f"step {step} is too small to be told apart from {low} to {high}"
            yield Problem(f"{path}.step", message, "make it larger, or leave it out")


def _check_increasing(path: str, parameter: DiscreteParameter) -> Iterator[Problem]:
    values = parameter.values
    if not all(map(fits_64_bits, values)):
        yield Problem(f"{path}.values", "a whole number must fit in 64 bits")
    elif any(left >= right for left, right in pairwise(values)):
        rising = sorted(set(values))
        hint = f"write [{', '.join(map(format_value, rising))}]" if len(rising) <= 20 else ""
        yield Problem(f"{path}.values", "the values must rise, each one once", hint)
    elif parameter.scale == "log" and values[0] <= 0:
        message = f"a log scale needs values above 0, and one is {values[0]}"
        yield Problem(f"{path}.values", message, "use scale: linear")


def _check_distinct(path: str, values: Sequence[Value]) -> Iterator[Problem]:
    twice = [key for key, count in Counter(map(comparison_key, values)).items() if count > 1]
    for _, value in twice[:3]:
        yield Problem(
            f"{path}.values", f"{format_literal(value)} stands twice", "remove one of them"
        )


def _check_conditions(study: StudyFields, known: Mapping[str, Domain]) -> Iterator[Problem]:
    for path, name, parameter in _definitions(study):
        for parent, values in (parameter.when or {}).items():
            place = f"{path}.when.{parent}"
            if parent == name:
                continue  # a cycle of one, told as such
            if parent not in study.parameters:
                hint = did_you_mean(parent, study.parameters)
                if parent in study.constants:
                    hint = "it is a constant; conditions hang on parameters"
                yield Problem(place, f"there is no parameter {parent}", hint)
            elif not values:
                yield Problem(place, "the list of values is empty, so this is never active")
            elif parent in known:
                yield from _check_condition(place, parent, values, known[parent])


def _check_condition(
    place: str, parent: str, values: Sequence[Value], possible: Domain
) -> Iterator[Problem]:
    if any(isinstance(parameter, FloatParameter) for parameter in possible.definitions):
        message = f"{parent} is a float, and conditions hang on single values"
        yield Problem(place, message, "make it discrete, categorical, int or bool")
        return
    for value in values:
        if not possible.can_be(value):
            message = f"{parent} can never be {describe_value(value)}; it is {possible.describe()}"
            yield Problem(place, message, possible.hint(value))


def _check_cycles(study: StudyFields) -> Iterator[Problem]:
    """Yield each circle of conditions once."""
    parents = {
        name: {
            parent: _path(study, name, number)
            for number, parameter in enumerate(definitions)
            for parent in parameter.when or {}
            if parent in study.parameters
        }
        for name, definitions in study.parameters.items()
    }
    done: set[str] = set()
    for start in parents:
        trail: dict[str, Iterator[str]] = {}
        waiting = [start]
        while waiting:
            name = waiting[-1]
            if name not in trail:
                if name in done:
                    waiting.pop()
                    continue
                trail[name] = iter(parents[name])
            parent = next(trail[name], None)
            if parent is None:
                del trail[name]
                done.add(name)
                waiting.pop()
            elif parent in trail:
                circle = list(trail)[list(trail).index(parent) :]
                shown_circle = " -> ".join([*circle[-20:], circle[0]])
                path = f"{parents[name][parent]}.when.{parent}"
                if len(circle) == 1:
                    yield Problem(path, f"{name} hangs on itself", "remove the condition")
                else:
                    message = f"the conditions form a circle: {shown_circle}"
                    yield Problem(path, message, "remove one of the conditions")
            elif parent not in done:
                waiting.append(parent)


def _check_overlaps(study: StudyFields, known: Mapping[str, Domain]) -> Iterator[Problem]:
    for name in known:
        definitions = study.parameters[name]
        if len(definitions) > _MAX_DEFINITIONS:
            message = f"a parameter has at most {_MAX_DEFINITIONS:,} definitions"
            yield Problem(f"parameters.{name}", message)
            continue
        if len(definitions) == 1:
            continue
        conditions = [_condition_keys(parameter.when or {}) for parameter in definitions]
        overlapping = (
            (first, second)
            for (first, left), (second, right) in combinations(enumerate(conditions), 2)
            if not any(left[parent].isdisjoint(right[parent]) for parent in left.keys() & right)
        )
        for first, second in list(overlapping)[:1]:
            yield Problem(
                f"parameters.{name}.{second}",
                f"definition {second + 1} of {name} can be active together with "
                f"definition {first + 1}",
                "give both a when on the same parameter, with different values",
            )


def _condition_keys(when: When) -> dict[str, set[tuple[str, Value]]]:
    return {parent: {comparison_key(value) for value in values} for parent, values in when.items()}
