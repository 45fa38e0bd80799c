"""Reads the search space of an Azure job: expressions, nested choices and alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cloudtune.formats import (
    Definitions,
    Fields,
    Report,
    keep_whole,
    take_exponents,
    take_quantized,
    typed,
)
from cloudtune.provider import Json, is_list, is_map
from cloudtune_azure.native.short import is_short, read_short

_NORMAL = frozenset(["normal", "lognormal", "qnormal", "qlognormal"])
_RANGES = frozenset(["uniform", "loguniform", "quniform", "qloguniform"])


class SpaceReader(Definitions):
    """Reads parameter expressions into the parameters of a study.

    Args:
        report: Where mistakes and findings go.
        base: The base of which the bounds of log ranges are exponents.
    """

    def __init__(self, report: Report, base: float) -> None:
        super().__init__(report)
        self._base = base

    def read(self, space: Fields, when: Json | None = None) -> None:
        """Read all expressions of a search space, which are active under a condition."""
        for name in list(space.original):
            if not is_map(space.peek(name)):
                hint = "write {type: choice, values: [...]} for a fixed value"
                space.mistake(name, "must be a map with a type", hint)
                space.take(name)
                continue
            self._parameter(name, space.map(name), when)

    def _parameter(self, name: str, fields: Fields, when: Json | None) -> None:
        kind = str(fields.word("type") or "").lower()
        self.origins[f"parameters.{name}"] = fields.path
        if kind == "choice":
            self._choice(name, fields, when)
        elif (definition := _expression(kind, fields, self._base)) is not None:
            self.add(name, definition, fields.path, when)

    def _choice(self, name: str, fields: Fields, when: Json | None) -> None:
        values = fields.items("values")
        if not values:
            fields.mistake("values", "a choice needs a list of values")
        elif all(is_map(value) for value in values):
            self._options(name, fields, values, when)
        else:
            self.add_choice(name, fields, "values", values, when)
            if any(isinstance(value, bool) for value in values):
                keep_whole(fields)  # an export has words instead, as Azure's schema wants

    def _options(self, name: str, fields: Fields, options: list[Json], when: Json | None) -> None:
        """Read a choice of maps as a parameter with conditional ones."""
        key = _distinct_key(options)
        if key is None:
            reason = "the alternatives need a key with a different value in each, such as name"
            fields.refuse("values", reason)
            return
        names = [option[key] for option in options]
        self.add(name, {"type": "categorical", "values": names}, fields.path, when)
        fields.note("values", f"a choice of maps: {name} has the values of {key}")
        kept: list[Json] = []
        for index, option in enumerate(options):
            inner = Fields(option, self.report, f"{fields.path}.values.{index}")
            active = {name: [inner.take(key)]}
            for child in list(option):
                if child == key:
                    continue
                path = f"{name}.{child}"
                if is_map(inner.peek(child)):
                    self._parameter(path, inner.map(child), active)
                elif is_list(option[child]) or option[child] is None:
                    inner.refuse(child, "a study has no lists and no null as values")
                else:
                    constant = {"type": "categorical", "values": [option[child]]}
                    self.add(path, constant, inner.at(child), active)
                    inner.take(child)
            kept.append({key: option[key], **inner.rest()})
        fields.put("values", kept)


def read_alternatives(reader: SpaceReader, document: Fields) -> None:
    """Read the list of search spaces of an AutoML job.

    Several of them are one conditional study if one parameter, such as ``model_name``, has other
    values in each.
    """
    spaces = document.items("search_space")
    if not spaces or not all(map(is_map, spaces)):
        document.mistake("search_space", "must be a list of maps of parameters")
        return
    texts = [{name: each for name, each in space.items() if is_short(each)} for space in spaces]
    spaces = [
        space | {name: read_short(each) for name, each in short.items()}
        for space, short in zip(spaces, texts, strict=True)
    ]
    fields = [
        Fields(space, document.report, f"{document.at('search_space')}.{index}")
        for index, space in enumerate(spaces)
    ]
    if len(fields) == 1:
        reader.read(fields[0])
        _keep_rests(document, fields, texts)
        return
    root = _root_of(spaces)
    if root is None:
        reason = (
            "a study has no alternative search spaces, unless one choice, such as model_name, has "
            "other values in each"
        )
        document.refuse("search_space", reason)
        return
    values = [value for space in spaces for value in space[root]["values"]]
    reader.parameters[root] = {"type": "categorical", "values": values}
    reader.origins[f"parameters.{root}"] = fields[0].at(root)
    for space, each in zip(spaces, fields, strict=True):
        each.take(root)
        inner = {key: value for key, value in space.items() if key != root}
        rest = Fields(inner, document.report, each.path)
        reader.read(rest, {root: space[root]["values"]})
        for key in inner:
            each.take(key)
        for key, value in rest.rest().items():
            each.put(key, value)
    note = f"alternative search spaces: what depends on {root} has a condition"
    document.approximate("search_space", f"{note}; elsewhere, each value of {root} counts alike")
    _keep_rests(document, fields, texts)


def _keep_rests(document: Fields, fields: Sequence[Fields], texts: Sequence[Json]) -> None:
    """Keep what is left of each search space, and the definitions that were written as text."""
    rests = [each.rest() | short for each, short in zip(fields, texts, strict=True)]
    if any(rests):
        document.put("search_space", rests)


def _root_of(spaces: Sequence[Json]) -> str | None:
    """Return the choice that has other values in each search space."""
    for name in spaces[0]:
        lists = [_scalars(space.get(name)) for space in spaces]
        values = [typed(value) for each in lists for value in each or ()]
        if all(lists) and len(set(values)) == len(values):
            return name
    return None


def _scalars(definition: Any) -> list[Any] | None:
    """Return the values of a choice of single values; None if it is none."""
    if not is_map(definition) or str(definition.get("type", "")).lower() != "choice":
        return None
    values = definition.get("values")
    if not is_list(values) or any(is_map(v) or is_list(v) or v is None for v in values):
        return None
    return values


def _distinct_key(options: Sequence[Json]) -> str | None:
    """Return the first key with another single value in each of the maps."""
    for key in options[0]:
        values = [option.get(key) for option in options]
        if all(isinstance(value, str | int | float) for value in values):
            pairs = {typed(value) for value in values}
            if len(pairs) == len(values):
                return key
    return None


def _expression(kind: str, fields: Fields, base: float) -> Json | None:
    if kind in _NORMAL:
        fields.refuse("type", "a study has no normal distributions")
        return None
    if kind == "randint":
        return _randint(fields)
    if kind not in _RANGES:
        hint = "Azure has choice, randint, uniform, loguniform, quniform, qloguniform and normal"
        fields.mistake("type", f"unknown expression {kind!r}" if kind else "is missing", hint)
        return None
    low, high = fields.number("min_value"), fields.number("max_value")
    for key, value in (("min_value", low), ("max_value", high)):
        if value is None and not fields.report.problems:
            fields.mistake(key, f"{kind} needs min_value and max_value")
    if low is None or high is None:
        return None
    if "log" in kind:
        kind_of = "natural logarithms" if base == math.e else f"logarithms to the base {base:g}"
        hint = f"write their {kind_of}"
        bounds = take_exponents(fields, "min_value", (low, high), hint, base)
        if bounds is None:
            return None
        low, high = bounds
    if kind.startswith("q"):
        step = fields.number("q")
        if step is None:
            if not fields.report.problems:
                fields.mistake("q", f"{kind} needs q")
            return None
        parameter = take_quantized(fields, (low, high), step, log="log" in kind)
        return _without_default_step(parameter)
    scale = {"scale": "log"} if kind == "loguniform" else {}
    return {"type": "float", "min": low, "max": high, **scale}


def _randint(fields: Fields) -> Json | None:
    upper = fields.integer("upper")
    if upper is None or upper < 1:
        if not fields.report.problems:
            message = "randint needs upper, an integer above 0 that is not a value itself"
            fields.mistake("upper", message)
        return None
    return {"type": "int", "min": 0, "max": upper - 1}


def _without_default_step(parameter: Json | None) -> Json | None:
    """Leave out the step 1 where the export is unambiguous: randint starts at 0."""
    if parameter is not None and parameter.get("step") == 1 and parameter["min"] != 0:
        del parameter["step"]
    return parameter
