"""Reads the parameters and the listed trials of a search."""

from __future__ import annotations

from typing import Any

from cloudtune.formats import (
    Fields,
    parse_number,
    read_named,
    read_power,
    rising_numbers,
    unique_values,
)
from cloudtune.provider import Json
from cloudtune_watson.wmla.native.names import BOUNDS, LISTS, type_name


def read_parameters(search: Fields, origins: dict[str, str]) -> Json:
    """Return the parameters of a study, in the order of the document."""
    return read_named(search, "hyperParams", "name", _parameter, origins)


def read_trials(search: Fields, origins: dict[str, str]) -> list[Json]:
    """Return the trials that a search lists."""
    trials: list[Json] = []
    for number, fields in enumerate(search.maps("experiments")):
        if fields.word("id") not in {None, number + 1, str(number + 1)}:
            fields.note("id", "an export counts the trials from 1")
        trial: Json = {}
        for entry in fields.maps("hyperParams"):
            name, kind = entry.text("name"), type_name(entry.word("dataType"))
            value = _typed(entry.word("fixedVal"), kind)
            if not name or value is None:
                text = "a value needs name, dataType (INT, DOUBLE, STR) and a fixedVal of this type"
                entry.mistake("fixedVal", text)
            else:
                trial[name] = value
        origins[f"initial_trials.{number}"] = fields.path
        trials.append(trial)
    return trials


def _typed(value: Any, kind: str) -> int | float | str | None:
    """Return a value, also one written as text, in its type; None if it is not a value of it."""
    if kind == "STR":
        return None if value is None else str(value)
    number = parse_number(value)
    if number is None or kind not in BOUNDS or (kind == "INT" and number != int(number)):
        return None
    return int(number) if kind == "INT" else float(number)


def _parameter(fields: Fields) -> Json | None:
    form, kind = str(fields.word("type")).lower(), type_name(fields.word("dataType"))
    if kind not in LISTS:
        fields.mistake("dataType", "must be INT, DOUBLE or STR")
        return None
    if form == "discrete":
        parameter = _discrete(fields, kind)
    elif form != "range":
        fields.mistake("type", "must be Range or Discrete")
        return None
    elif kind == "STR":
        fields.mistake("type", "text has no range", f"use Discrete with {LISTS['STR']}")
        return None
    else:
        parameter = _range(fields, kind)
    for key in {*LISTS.values(), *sum(BOUNDS.values(), ())}:
        fields.take(key)  # fields of the other type do not count
    return parameter


def _discrete(fields: Fields, kind: str) -> Json | None:
    key = LISTS[kind]
    values = [_typed(value, kind) for value in fields.items(key)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        fields.mistake(key, f"the values must be of the type {kind}")
        return None
    for unused in ("power", "step"):
        if fields.take(unused) is not None:
            fields.note(unused, "left out: it belongs to a Range")
    if not known:
        fields.mistake(key, f"a Discrete {kind} needs its values here, in this spelling")
        return None
    if kind == "STR":
        return {"type": "categorical", "values": unique_values(known)}
    numbers = rising_numbers(known) or []
    return {"type": "discrete", "values": numbers if kind == "INT" else list(map(float, numbers))}


def _range(fields: Fields, kind: str) -> Json | None:
    low_key, high_key = BOUNDS[kind]
    whole = kind == "INT"
    read = fields.integer if whole else fields.number
    low, high, step = read(low_key), read(high_key), read("step")
    for key, value in ((low_key, low), (high_key, high)):
        if value is None and fields.original.get(key) is None:
            fields.mistake(key, f"a Range of {kind} needs {low_key} and {high_key}")
    if low is None or high is None:
        return None
    if not step:
        step = None
    if fields.peek("power") == "" or parse_number(fields.peek("power")) == 0:
        fields.note("power", "left out: it is no base")
        fields.take("power")
    if "power" in fields:
        return read_power(fields, "power", low, high, step, whole=whole)
    fields.take("power")
    extra = {"step": step} if step is not None and (not whole or step != 1) else {}
    return {"type": "int" if whole else "float", "min": low, "max": high, **extra}
