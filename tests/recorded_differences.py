"""How an emulator's answer differs from a recorded one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cloudtune.study.yaml_reader import is_list, is_map
from tests.recorded_names import form, is_name, is_numbered

_EXACT = ("Regex", "type", "state", "code", "Code", "errorCode", "status", "done", "@type")
_TEXTS = ("message", "Message", "errorMessage", "FailureReason", "StatusMessage")
_ALGORITHM = "AlgorithmError"
"""How the script's own words begin; the replay runs another script in its place."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_WORD = re.compile(r"[A-Za-z][A-Za-z_]*")
"""A word of a service, such as that of a choice; a name or a measurement has other characters."""
_MASKS = ("USER", "MASKED")
"""What is in place of a name or a secret."""
NAMES_OF_ITEMS = ("Name", "ChannelName", "parameterId", "metricId", "Key")
"""What names the items of a list, of which the emulator has the same."""
_LOG = re.compile(
    r"(Termination reason: Error\.).*(To find out more about why your job)", re.DOTALL
)
"""The end of a script's log in the message of a failed job of Vertex AI."""
_MEMBERS = re.compile(r"set: \[.*\]")
_OWN = re.compile(r"\"[^\"]*\"|'[^']*'|\w+://\S+|arn:\S+|\b[a-z]{2}-[a-z]+-\d\b|\d+(\.\d+)?")
"""What differs between two messages of the same rule."""


def differences(recorded: Any, emulated: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield where an emulated answer differs in its keys, types, words, errors and addresses.

    Texts with JSON are compared like the rest. A list has the keys and types of all of its items,
    and each item what all of the emulator's have. If its items have names, as metrics do, it has
    the same ones. If not, their words and errors must be there in the recorded order; the emulator
    may have more of them, since a poll can miss some, and equal neighbours count once.
    """
    yield from _forms(recorded, emulated, path)
    yield from _values(recorded, emulated, path)


def _forms(recorded: Any, emulated: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield where two answers differ in their keys and types."""
    recorded, emulated = _parsed(recorded, emulated)
    if is_left_out(recorded):
        return
    if is_map(recorded) and is_map(emulated):
        for key in recorded.keys() - emulated.keys():
            yield f"{path}.{key}", "missing"
        for key in emulated.keys() - recorded.keys():
            yield f"{path}.{key}", "added"
        for key in recorded.keys() & emulated.keys():
            yield from _forms(recorded[key], emulated[key], f"{path}.{key}")
    elif is_list(recorded) and is_list(emulated):
        if bool(recorded) != bool(emulated):
            yield f"{path}[]", "missing" if recorded else "added"
        elif recorded and emulated:
            found = [
                (at, how)
                for at, how in _forms(_merged(recorded), _merged(emulated), f"{path}[]")
                if how in {"missing", "added"}
            ]
            yield from dict([*_item_forms(recorded, emulated, f"{path}[]"), *found]).items()
    elif _kind(recorded, path) != _kind(emulated, path):
        yield path, f"{_kind(recorded, path)}, not {_kind(emulated, path)}"


def _item_forms(recorded: list[Any], emulated: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield where a recorded item lacks what all emulated ones have, or has it in another type."""
    kinds = {_kind(each, path) for each in emulated}
    maps = [each for each in emulated if is_map(each)]
    common = {key for key in maps[0] if all(key in each for each in maps)} if maps else set[str]()
    for item in recorded:
        if is_left_out(item):
            continue
        if kinds and _kind(item, path) not in kinds:
            yield path, f"{_kind(item, path)}, not {' or '.join(sorted(kinds))}"
        elif is_map(item):
            for key in common - item.keys():
                yield f"{path}.{key}", "added"
            for key, value in item.items():
                own = [each[key] for each in maps if key in each]
                yield from _item_forms([value], own, f"{path}.{key}")
        elif is_list(item):
            own = [part for each in emulated if is_list(each) for part in each]
            yield from _item_forms(item, own, f"{path}[]")


def _values(recorded: Any, emulated: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield where two answers differ in their words, errors, switches and forms of addresses."""
    recorded, emulated = _parsed(recorded, emulated)
    if is_left_out(recorded):
        return
    if is_map(recorded) and is_map(emulated):
        for key in recorded.keys() & emulated.keys():
            yield from _values(recorded[key], emulated[key], f"{path}.{key}")
    elif is_list(recorded) and is_list(emulated):
        if both := _named(recorded, emulated):
            for name in both[0].keys() ^ both[1].keys():
                yield f"{path}[]", f"{'missing' if name in both[0] else 'added'}: {name!r}"
            for name in both[0].keys() & both[1].keys():
                yield from _values(both[0][name], both[1][name], f"{path}[]")
        elif len(recorded) == len(emulated) == 1:
            yield from _values(recorded[0], emulated[0], f"{path}[]")
        elif recorded and emulated:
            yield from _order(recorded, emulated, f"{path}[]")
    elif _kind(recorded, path) == _kind(emulated, path) and (
        (isinstance(recorded, bool) and recorded is not emulated)
        or (_is_compared(path, recorded) and not is_alike(recorded, emulated, path))
    ):
        yield path, f"{recorded!r}, not {emulated!r}"
    elif isinstance(recorded, str) and is_name(path):
        if form(recorded) != form(str(emulated)):
            yield path, f"the form {form(recorded)!r}, not {form(str(emulated))!r}"
        elif is_numbered(str(emulated)) and not is_numbered(recorded):
            yield path, f"{recorded!r} ends with no number"


def _parsed(*values: Any) -> tuple[Any, ...]:
    """Return the objects that texts are as JSON; the values if one of them is no such text."""
    if not all(isinstance(each, str) and each.startswith("{") for each in values):
        return values
    try:
        return tuple(map(json.loads, values))
    except ValueError:  # such as a text that was cut
        return values


def _named(
    recorded: list[Any], emulated: list[Any]
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the items of two lists by their names; None if they have none."""
    for key in NAMES_OF_ITEMS:
        if all(is_map(each) and key in each for each in (*recorded, *emulated)):
            found = [{str(each[key]): each for each in many} for many in (recorded, emulated)]
            return found[0], found[1]
    return None


def _order(recorded: list[Any], emulated: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the recorded items that are not among the emulated ones, or not in this order."""
    at = 0
    for item in recorded:
        places = range(at, len(emulated))
        place = next((each for each in places if _fits(item, emulated[each], path)), None)
        if place is None:
            yield path, f"{_stated(item, path) or item} is not there, or not in this order"
        else:
            at = place


def _fits(recorded: Any, emulated: Any, path: str) -> bool:
    """Return whether two items of lists have the same states and errors."""
    if any(_values(recorded, emulated, path)) or is_map(recorded) != is_map(emulated):
        return False
    return not is_map(recorded) or all(
        key in emulated and _kind(value, key) == _kind(emulated[key], key)
        for key, value in _stated(recorded, path).items()
    )


def _stated(item: Any, path: str) -> Any:
    """Return the states and errors that an item of a list has itself."""
    if not is_map(item):
        return item
    return {key: value for key, value in item.items() if _is_compared(f"{path}.{key}")}


def masked(text: Any) -> str:
    """Return a message without the names and numbers of its case."""
    return _OWN.sub("#", _LOG.sub(r"\1 \2", str(text).removesuffix("…").rstrip()))


def is_same_text(recorded: Any, emulated: Any) -> bool:
    """Return whether two messages are the same; one that was cut ends with ``…``.

    The members of an enumeration are many, and others each month.
    """
    texts = [masked(_MEMBERS.sub("set: []", str(each))) for each in (recorded, emulated)]
    is_cut = str(recorded).rstrip().endswith("…")
    return texts[1].startswith(texts[0].rstrip("…")) if is_cut else texts[0] == texts[1]


def is_left_out(recorded: Any) -> bool:
    """Return whether a recording has only a remark in place of a value."""
    return isinstance(recorded, str) and recorded.startswith("… (")


def is_alike(recorded: Any, emulated: Any, path: str) -> bool:
    """Return whether two values are the same; texts without the names and numbers of their cases.

    A recording of `cloudtune verify` has ``#`` in place of each word that could be a name, and of a
    message its first line.
    """
    if all(str(each).startswith(_ALGORITHM) for each in (recorded, emulated)):
        return True
    if "#" not in str(recorded) and _name(path) in _TEXTS:
        return masked(recorded) == masked(emulated)
    if "#" not in str(recorded):
        return bool(recorded == emulated)
    pattern = re.escape(masked(recorded)).replace(r"\#", r"\S+")
    return re.fullmatch(pattern, masked(str(emulated).partition("\n")[0])) is not None


def _merged(items: list[Any]) -> Any:
    maps = [item for item in items if is_map(item)]
    if not maps:
        return items[0]
    merged: dict[str, Any] = {}
    for item in maps:
        for key, value in item.items():
            known = merged.get(key)
            if is_map(value) and is_map(known):
                merged[key] = _merged([known, value])
            elif is_list(value) and is_list(known):
                merged[key] = [*known, *value]
            else:
                merged[key] = value
    return merged


def _kind(value: Any, path: str) -> str:
    name = path.rpartition(".")[2]
    if isinstance(value, str):
        return "time" if _TIME.fullmatch(value) else "text"
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    if isinstance(value, int | float):  # SageMaker's wire has times as numbers
        return "time" if name.endswith(("Time", "Timestamp")) else "number"
    return type(value).__name__


def _is_compared(path: str, value: Any = None) -> bool:
    """Return whether a value must be the same, but for what is of its case in a message."""
    name = _name(path)
    is_text = isinstance(value, str) and value not in _MASKS and not is_name(path)
    is_word = is_text and _WORD.fullmatch(str(value))
    return bool(is_word) or name in _EXACT or name in _TEXTS or name.endswith("Status")


def _name(path: str) -> str:
    return path.rpartition(".")[2].removesuffix("[]")
