"""Reads a search space of NNI: sampling strategies and nested choices."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.branches import Definitions
from cloudtune.formats.fields import Fields, Json
from cloudtune.formats.ranges import keep_whole, take_quantized
from cloudtune.formats.study_text import format_number
from cloudtune.formats.values import parse_number, typed
from cloudtune.study.yaml_reader import is_list, is_map

_NORMAL = frozenset(["normal", "qnormal", "lognormal", "qlognormal"])
_ARCHITECTURES = frozenset(["layer_choice", "input_choice", "mutable_layer", "mutable_type"])
_LENGTHS = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3, "randint": 2}
"""The ranges, and how many numbers each has."""


class SpaceReader(Definitions):
    """Reads sampling strategies into the parameters of a study."""

    def read(self, space: Fields, prefix: str = "", when: Json | None = None) -> None:
        """Read all parameters of a space, whose names get a prefix and a condition."""
        for key in list(space.original):
            value = space.peek(key)
            if not is_map(value):
                hint = 'write {"_type": "choice", "_value": [...]}'
                space.mistake(key, "must be a map with _type and _value", hint)
                space.take(key)
            else:
                self._parameter(f"{prefix}{key}", space.map(key), when)

    def _parameter(self, name: str, fields: Fields, when: Json | None) -> None:
        kind = fields.word("_type")
        self.origins[f"parameters.{name}"] = fields.path
        if kind == "choice":
            self._choice(name, fields, when)
        elif kind in _NORMAL:
            fields.refuse("_type", "a study has no normal distributions")
        elif kind in _ARCHITECTURES:
            fields.refuse("_type", "a study has no search for network architectures")
        elif kind not in _LENGTHS:
            hint = f"NNI has choice, {', '.join(_LENGTHS)} and normal"
            fields.mistake("_type", f"unknown type {kind!r}" if kind else "is missing", hint)
        elif (definition := _range(str(kind), fields)) is not None:
            self.add(name, definition, fields.path, when)

    def _choice(self, name: str, fields: Fields, when: Json | None) -> None:
        options = fields.items("_value")
        if not options:
            fields.mistake("_value", "a choice needs a list of values")
        elif any(is_map(option) for option in options):
            self._options(name, fields, options, when)
        else:
            self.add_choice(name, fields, "_value", options, when)

    def _options(self, name: str, fields: Fields, options: list[Any], when: Json | None) -> None:
        """Read the sub-spaces of a choice as conditional parameters."""
        names = [option.get("_name") if is_map(option) else None for option in options]
        for index, each in enumerate(names):
            if each is None or is_map(each) or is_list(each):
                message = "an option with a sub-space needs _name, and all options need one then"
                fields.mistake(f"_value.{index}", message)
                return
        if len({typed(each) for each in names}) < len(names):
            fields.mistake("_value", "two options have the same _name")
            return
        self.add(name, {"type": "categorical", "values": names}, fields.path, when)
        rests: list[Json] = []
        for index, option in enumerate(options):
            inner = {key: value for key, value in option.items() if key != "_name"}
            space = Fields(inner, self.report, f"{fields.at('_value')}.{index}")
            self.read(space, f"{name}.", {name: [option["_name"]]})
            rests.append({"_name": option["_name"], **space.rest()})
        if all(len(option) == 1 for option in options):
            keep_whole(fields)
        elif any(len(rest) > 1 for rest in rests):
            fields.put("_value", rests)


def _range(kind: str, fields: Fields) -> Json | None:
    values = fields.items("_value")
    if kind == "randint" and len(values) == 1:
        fields.note("_value", "the lower bound is 0, as in older versions of NNI")
        keep_whole(fields)
        values = [0, *values]
    if len(values) != _LENGTHS[kind]:
        message = f"{kind} needs {_LENGTHS[kind]} numbers"
        fields.mistake("_value", message)
        return None
    numbers = [parse_number(value) for value in values]
    if any(number is None for number in numbers):
        fields.mistake("_value", f"{kind} needs numbers, not {values!r}")
        return None
    text = next((value for value in values if isinstance(value, str)), None)
    if text is not None:
        spelled = format_number(parse_number(text) or 0)
        fields.note("_value", f"{text} is text in NNI's YAML; write {spelled} for a number")
    low, high, *rest = [number for number in numbers if number is not None]
    if kind == "randint":
        return _randint(fields, low, high)
    if rest:
        is_log = kind == "qloguniform"
        return take_quantized(fields, (low, high), rest[0], key="_value", clip=True, log=is_log)
    scale = {"scale": "log"} if kind == "loguniform" else {}
    return {"type": "float", "min": low, "max": high, **scale}


def _randint(fields: Fields, low: float, high: float) -> Json | None:
    if low != int(low) or high != int(high) or high <= low:
        message = "randint needs two rising integers, of which the upper one is no value itself"
        fields.mistake("_value", message)
        return None
    return {"type": "int", "min": int(low), "max": int(high) - 1}
