"""Check the parameters of a study: bounds, values, conditions and initial trials.

The checks never list the values of a range, so their time depends only on the size of the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.literals import format_literal
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import format_value, reverse_log_bounds
from cloudtune.study.validation.conditions import check_exclusive, check_resources, check_when
from cloudtune.study.validation.initial_trials import check_initial_trials
from cloudtune.study.validation.values import (
    Domain,
    comparison_key,
    fits_64_bits,
)

_MAX_NAME_LENGTH = 200
_MAX_DEFINITIONS = 1_000
_MAX_STEPS = 2**53


def check_parameters(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    """Yield the problems of the parameters, their conditions and the initial trials."""
    for name in study.parameters:
        yield from check_name(name, f"parameters.{name}", study)
    for path, _, parameter in study.definitions():
        yield from _check_definition(path, parameter)
    yield from _check_cycles(study)
    domains = {
        name: Domain(definitions)
        for name, definitions in study.parameters.items()
        if f"parameters.{name}" not in invalid_fields
    }
    yield from _check_conditions(study, domains)
    yield from _check_overlaps(study, domains)
    yield from check_resources(study, domains)
    if "strategy" not in invalid_fields:
        yield from check_initial_trials(study, domains)


def check_constants(study: StudyFields) -> Iterator[Problem]:
    """Yield the problems of the constants."""
    for name in study.constants:
        path = f"constants.{name}"
        yield from check_name(name, path, study)
        if name in study.parameters:
            message = f"{name} is also a parameter"
            yield Problem(path, message, "remove one of them")


def check_seed_argument(study: StudyFields) -> Iterator[Problem]:
    """Yield the problems of the name of the script's argument for the seed."""
    path, name = "trial.seed_argument", study.trial.seed_argument
    if name is None:
        return
    yield from check_name(name, path, study)
    for kind in ("parameter", "constant"):
        if name in getattr(study, f"{kind}s"):
            message = f"{name} is also a {kind}"
            yield Problem(path, message, f"remove the {kind}: cloudtune sets the seed")
    if name == study.strategy.resource:
        yield Problem(path, f"{name} is also hyperband's resource", "rename one of them")


def check_name(name: str, path: str, study: StudyFields) -> Iterator[Problem]:
    """Yield the problems of a name under which the script gets a value."""
    if not name or name != name.strip():
        yield Problem(path, "a name must not be empty or start or end with a space")
    elif not name.isprintable():
        yield Problem(path, "a name must not contain control characters or line breaks")
    elif len(name) > _MAX_NAME_LENGTH:
        yield Problem(path, f"a name must not have more than {_MAX_NAME_LENGTH} characters")
    elif "=" in name and study.trial.arguments in {"flags", "equals", "assign", "env"}:
        style = study.trial.arguments
        hint = "rename it, or use arguments: json"
        yield Problem(path, f"a name must not contain = with arguments: {style}", hint)
    else:
        base, mark, number = name.rpartition("#")
        if mark and number.isdecimal() and 1 < int(number) <= len(study.parameters.get(base, ())):
            message = f"the name is reserved for another definition of {base}"
            yield Problem(path, message, "rename it")


def _check_definition(path: str, parameter: Parameter) -> Iterator[Problem]:
    match parameter:
        case FloatParameter() | IntParameter():
            yield from _check_range(path, parameter)
        case DiscreteParameter():
            yield from _check_increasing(path, parameter)
        case CategoricalParameter():
            counts = Counter(map(comparison_key, parameter.values)).items()
            for _, value in [key for key, count in counts if count > 1][:3]:
                message = f"duplicate value {format_literal(value)}"
                yield Problem(f"{path}.values", message, "remove one of them")
        case BoolParameter():
            pass


def _check_range(path: str, parameter: FloatParameter | IntParameter) -> Iterator[Problem]:
    low, high, step = parameter.min, parameter.max, parameter.step
    numbers = (("min", low), ("max", high), ("step", step))
    large = [key for key, number in numbers if number is not None and not fits_64_bits(number)]
    for key in large:
        yield Problem(f"{path}.{key}", "an integer must fit in 64 bits")
    if large:
        return
    if low > high:
        yield Problem(f"{path}.min", f"min {low} is greater than max {high}", "swap them")
    if parameter.scale == "log" and low <= 0:
        message = f"must be greater than 0 for scale: log, not {low}"
        yield Problem(f"{path}.min", message, "raise min, or use scale: linear")
    if parameter.scale == "reverse_log" and math.isinf(
        reverse_log_bounds(float(low), float(high))[1]
    ):
        message = f"the range from {low} to {high} is too wide for reverse_log"
        yield Problem(f"{path}.scale", message, "narrow it, or use scale: linear")
    if step is not None:
        span = Decimal(repr(high)) - Decimal(repr(low))
        if step <= 0:
            yield Problem(f"{path}.step", f"must be greater than 0, not {step}")
        elif 0 <= span < Decimal(repr(step)):
            message = f"step {step} is larger than the range from {low} to {high}"
            yield Problem(f"{path}.step", message, "use a smaller step, or remove it")
        elif span > Decimal(repr(step)) * _MAX_STEPS or (
            isinstance(parameter, FloatParameter) and step < math.ulp(max(abs(low), abs(high)))
        ):
            message = f"step {step} is too small for the range from {low} to {high}"
            yield Problem(f"{path}.step", message, "use a larger step, or remove it")


def _check_increasing(path: str, parameter: DiscreteParameter) -> Iterator[Problem]:
    values = parameter.values
    if not all(map(fits_64_bits, values)):
        yield Problem(f"{path}.values", "an integer must fit in 64 bits")
    elif any(left >= right for left, right in pairwise(values)):
        ordered = sorted(set(values))
        hint = f"write [{', '.join(map(format_value, ordered))}]" if len(ordered) <= 20 else ""
        yield Problem(f"{path}.values", "values must be strictly increasing", hint)
    elif parameter.scale == "log" and values[0] <= 0:
        message = f"values must be greater than 0 for scale: log, not {values[0]}"
        yield Problem(f"{path}.values", message, "use scale: linear")


def _check_conditions(study: StudyFields, domains: Mapping[str, Domain]) -> Iterator[Problem]:
    for path, name, parameter in study.definitions():
        yield from check_when(study, domains, f"{path}.when", parameter.when or {}, name)


def _check_cycles(study: StudyFields) -> Iterator[Problem]:
    parents: dict[str, dict[str, str]] = {name: {} for name in study.parameters}
    for path, name, parameter in study.definitions():
        parents[name] |= {p: path for p in parameter.when or {} if p in study.parameters}
    visited: set[str] = set()
    for start in parents:
        trail: dict[str, Iterator[str]] = {}
        waiting = [start]
        while waiting:
            name = waiting[-1]
            if name not in trail:
                if name in visited:
                    waiting.pop()
                    continue
                trail[name] = iter(parents[name])
            parent = next(trail[name], None)
            if parent is None:
                del trail[name]
                visited.add(name)
                waiting.pop()
            elif parent in trail:
                cycle = list(trail)[list(trail).index(parent) :]
                shown = " -> ".join([*cycle[-20:], cycle[0]])
                path = f"{parents[name][parent]}.when.{parent}"
                if len(cycle) == 1:
                    yield Problem(path, f"{name} depends on itself", "remove the condition")
                else:
                    message = f"the conditions form a cycle: {shown}"
                    yield Problem(path, message, "remove one of the conditions")
            elif parent not in visited:
                waiting.append(parent)


def _check_overlaps(study: StudyFields, domains: Mapping[str, Domain]) -> Iterator[Problem]:
    for name in domains:
        definitions = study.parameters[name]
        if len(definitions) > _MAX_DEFINITIONS:
            message = f"must not have more than {_MAX_DEFINITIONS:,} definitions"
            yield Problem(f"parameters.{name}", message)
            continue
        if len(definitions) == 1:
            continue
        path = f"parameters.{name}"
        yield from check_exclusive([each.when or {} for each in definitions], path, name)
