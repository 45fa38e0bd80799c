"""Writes the search space of an Azure job, with what is kept of each parameter."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

from cloudtune.formats import Branches, Named, Native, choice_values, local_name, logarithm, map_at
from cloudtune.provider import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Study,
    is_list,
    is_map,
    list_values,
)
from cloudtune_azure.native.names import is_automl, log_base
from cloudtune_azure.native.short import is_short, read_short

KEYS = ("name", "option", "value_of_choice")
"""The keys of an option's name in a job that was not imported; the first that is free."""


class SpaceWriter:
    """Writes the parameters of a fitted study.

    Args:
        study: The study.
        native: What is kept of the imported job.
    """

    def __init__(self, study: Study, native: Native) -> None:
        self._native = native
        self._base = exponent_base(native.rest)
        self._has_randint = study.strategy.name != "bayesian"
        self._automl = is_automl(native.rest)
        self._names = study.parameters.keys()
        self.branches = Branches(study)

    def alternatives(self) -> list[Json]:
        """Return the search spaces of an AutoML job, one for each set of values of the root."""
        return [
            {**{name: self._short(name, each) for name, each in root.items()}, **self.space(named)}
            for root, named in _space_groups(self.branches)
        ]

    def space(self, named: Iterable[Named]) -> Json:
        """Return the definitions of some parameters by their names."""
        return {name: self._definition(name, parameter) for name, parameter in named}

    def _definition(self, name: str, parameter: Parameter) -> Any:
        if self.branches.has_children(name) and not self._automl:
            return self._options(name, parameter)
        written = self._expression(parameter)
        return self._short(name, self._native.written(name, parameter, written))

    def _expression(self, parameter: Parameter) -> Json:
        if not isinstance(parameter, FloatParameter | IntParameter):
            return {"type": "choice", "values": choice_values(parameter)}
        low, high, step = parameter.min, parameter.max, parameter.step
        is_log = parameter.scale == "log"
        if isinstance(parameter, IntParameter) and step is None:
            if low == 0 and not is_log and self._has_randint:
                return {"type": "randint", "upper": high + 1}
            step = 1
        bounds = (
            (logarithm(low, self._base), logarithm(high, self._base)) if is_log else (low, high)
        )
        kind = f"{'q' if step is not None else ''}{'log' if is_log else ''}uniform"
        quantum = {} if step is None else {"q": step}
        return {"type": kind, "min_value": bounds[0], "max_value": bounds[1], **quantum}

    def _short(self, name: str, written: Json) -> Any:
        """Return a definition as the text of the imported job, unless it has changed."""
        entries = self._native.entries.get(name, ())
        return next((e for e in entries if is_short(e) and read_short(e) == written), written)

    def _options(self, name: str, parameter: Parameter) -> Json:
        """Return the choice of maps of a parameter on which others depend."""
        key = option_key(self._native, name, self._names)
        options: list[Json] = []
        for value in choice_values(parameter):
            option: Json = {key: value}
            for child, definition in self.branches.children(name, value):
                fixed = _fixed_value(definition)
                option[local_name(child, name)] = (
                    self._definition(child, definition) if fixed is None else fixed
                )
            options.append(option)
        return {"type": "choice", "values": options}


def _space_groups(branches: Branches) -> list[tuple[Json, list[Named]]]:
    """Return the definition of the root and the other parameters of each search space."""
    parents = [each for each in branches.roots if branches.has_children(each[0])]
    if not parents:
        return [({}, branches.roots)]
    name, root = parents[0]
    others = [each for each in branches.roots if each[0] != name]
    groups: dict[tuple[str, ...], list[Any]] = {}
    for value in list_values(root) or ():
        active = tuple(
            f"{child} {definition!r}" for child, definition in branches.children(name, value)
        )
        groups.setdefault(active, []).append(value)
    return [
        (
            {name: {"type": "choice", "values": values}},
            [*others, *branches.children(name, values[0])],
        )
        for values in groups.values()
    ]


def option_key(native: Native, name: str, names: Collection[str]) -> str:
    """Return the key of an option's name: that of the imported job, or one that is no parameter."""
    options: Any = map_at(native.part(name)).get("values")
    first = [each for each in (options if is_list(options) else []) if is_map(each)]
    if first and first[0]:
        return next(iter(first[0]))
    return next(key for key in KEYS if not {key, f"{name}.{key}"} & {*names})


def _fixed_value(parameter: Parameter) -> Any:
    """Return the value of a parameter with one value, None if it has several."""
    if isinstance(parameter, CategoricalParameter) and len(parameter.values) == 1:
        return parameter.values[0]
    return None


def sweep_of(rest: Json) -> Json:
    """Return the part of a job with the algorithm and the policy."""
    return map_at(rest, "sweep") if is_automl(rest) else rest


def exponent_base(rest: Json) -> float:
    """Return the base of which the bounds of log ranges are exponents."""
    return log_base(sweep_of(rest).get("sampling_algorithm")) or math.e
