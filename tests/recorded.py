"""Recordings of live services, and how an emulator's answer differs from a recorded one.

The form of a recording is in ``recordings/README.md``. ``$CLOUDTUNE_RECORDINGS`` names another
folder of the same form.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.yaml_reader import is_list, is_map
from scripts import evidence
from tests.recorded_names import form, is_name, is_numbered

Record = Callable[[str, object], None]
"""The fixture ``record_property``."""
OWN = Path(__file__).parent / "recordings"
FOLDER = Path(os.environ.get("CLOUDTUNE_RECORDINGS", OWN))
ACCEPTED: list[dict[str, str]] = json.loads((OWN / "accepted.json").read_text("utf-8"))
"""The differences that are accepted, each with its reason."""

MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What an answer raises that has not the form that its operation has."""
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


def all_files() -> list[Path]:
    """Return the files of all recordings; their folders do not matter."""
    return sorted(path for path in FOLDER.rglob("*.json") if path.name != "accepted.json")


def own_files() -> list[Path]:
    """Return the files of this repository's recordings; none if others are replayed.

    The rules themselves are tested with them.
    """
    return all_files() if FOLDER == OWN else []


NOT_COMPARED = "not compared"
"""The property of a test with what it does not compare; see ``conftest.py``."""


def files(service: str) -> list[Path]:
    """Return the recordings of a service that have the form of recordings."""
    return [file for file in all_files() if not problems(file) and read(file)["service"] == service]


@cache
def problems(path: Path) -> tuple[str, ...]:
    """Return where a file does not have the form of a recording."""
    try:
        recording: Any = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        return (f"not JSON: {error}",)
    if not is_map(recording):
        return ("not an object",)
    found = [
        f"{name} is missing or no text"
        for name in ("service", "date")
        if not isinstance(recording.get(name), str)
    ]
    sequence = recording.get("sequence")
    if not is_list(sequence) or not sequence:
        return (*found, "sequence is missing, empty or no list")
    kinds: dict[str, tuple[type, ...]] = {
        "operation": (str,),
        "request": (dict, type(None)),
        "status": (int, type(None)),
        "answer": (object,),
    }
    for number, item in enumerate(sequence, 1):
        if not is_map(item):
            found.append(f"call {number} is no object")
            continue
        found += [
            f"call {number}: {name} is missing or of a wrong type"
            for name, types in kinds.items()
            if not isinstance(item.get(name), types) or (name == "answer" and name not in item)
        ]
        if not (is_map(item.get("answer")) or is_unanswered(item)):
            found.append(f"call {number}: its answer is no object: {str(item['answer'])[:100]!r}")
    return tuple(found)


def is_unanswered(item: Mapping[str, Any]) -> bool:
    """Return whether a call has no answer to compare: none was recorded, or it is a file."""
    answer = item.get("answer")
    is_file = str(item.get("operation")).startswith("Blob ") and not is_map(answer)
    return answer in (None, "null") or _is_left_out(answer) or is_file


def unanswered(path: Path) -> list[str]:
    """Return the operations of a recording whose answers were not recorded."""
    calls = json.loads(path.read_text("utf-8"))["sequence"]
    return [*dict.fromkeys(item["operation"] for item in calls if is_unanswered(item))]


def read(path: Path) -> dict[str, Any]:
    """Return a recording; calls without a request or a status get an empty one and 200.

    An answer that was not recorded, or is a file, is empty and has ``is_compared`` false. Each call
    has its ``number``.
    """
    recording: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for number, item in enumerate(recording["sequence"], 1):
        item["number"] = number
        item["request"] = item.get("request") or {}
        item["status"] = item.get("status") or 200
        item["is_compared"] = is_map(item["answer"])
        item["answer"] = item["answer"] if item["is_compared"] else {}
    return recording


def at_call(item: Mapping[str, Any], found: Iterable[str]) -> Iterator[str]:
    """Yield what differs in a call, each with the number of the call."""
    begin = f"call {item['number']}: " if "number" in item else ""
    yield from (f"{begin}{each}" for each in found)


def fail_if(found: Iterable[str], file: Path | None = None) -> None:
    """Fail with all that differs, each line with the name of its recording if it is given."""
    lines = [f"{file.stem}: {each}" if file else each for each in found]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def agree(**both: tuple[Any, Any]) -> None:
    """Fail with each field that a client does not read as a recording has it.

    Args:
        both: What was read of each field, and what it must be.
    """
    found = [f".{key}: {shown!r}, not {known!r}" for key, (shown, known) in both.items()]
    wrong = [
        each for each, (shown, known) in zip(found, both.values(), strict=True) if shown != known
    ]
    if wrong:
        pytest.fail("; ".join(wrong), pytrace=False)


def cases(service: str, extract: Callable[[Path], Iterable[tuple[str, Any]]]) -> list[Any]:
    """Return the cases that a function extracts from each recording, with their names.

    A recording that it cannot read is a case that fails, and whose name says why.
    """
    found: list[Any] = []
    for file in files(service):
        try:
            found += [
                pytest.param(value, id=f"{file.stem} {name}".rstrip())
                for name, value in extract(file)
            ]
        except MALFORMED as error:
            found.append(pytest.param(None, id=f"{file.stem} is malformed: {error!r}"))
    return found


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
    if _is_left_out(recorded):
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
        if _is_left_out(item):
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
    if _is_left_out(recorded):
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


def shared(value: Any, known: Any) -> Any:
    """Return what a document has of the fields of another one."""
    if not (is_map(value) and is_map(known)):
        return value
    return {key: shared(value[key], known[key]) for key in known if key in value}


def unlisted(service: str, operation: str, answer: Any) -> list[str]:
    """Return the fields of an emulator's answer that the page of the evidence does not have."""
    listed = evidence.listed(service, operation)
    return sorted(path for path in evidence.fields(answer) if not listed(path))


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


def _is_left_out(recorded: Any) -> bool:
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


def unaccepted(service: str, operation: str, found: Iterator[tuple[str, str]]) -> list[str]:
    """Return the differences that are not accepted, each as a line."""
    rules = [each for each in ACCEPTED if each["service"] == service]
    return [
        f"{operation} {path}: {how}"
        for path, how in found
        if not any(
            fnmatch.fnmatchcase(operation, rule["operation"])
            and fnmatch.fnmatchcase(path, rule["path"].replace("[", "[[]"))
            and how.startswith(rule["difference"])
            for rule in rules
        )
    ]


def skipped(recording: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the operations and refusals of a recording that are accepted, by the reason."""
    found: dict[str, list[str]] = {}
    for item in recording["sequence"]:
        operation, error = item["operation"], item["answer"].get("error")
        named = {operation: operation}
        if is_map(error) and "situation" not in item["request"]:
            text = str(error.get("Message"))
            named[text] = f"{operation} {text!r}"
        for label, name in named.items():
            reason = reason_to_skip(recording["service"], label)
            if reason and name not in found.setdefault(reason, []):
                found[reason].append(name)
    return {reason: names for reason, names in found.items() if names}


def reason_to_skip(service: str, operation: str) -> str | None:
    """Return why an emulator does not have an operation; None if it must have it."""
    rules = [each for each in ACCEPTED if each["service"] == service]
    return next(
        (
            rule["reason"]
            for rule in rules
            if rule["difference"] == "no operation"
            and fnmatch.fnmatchcase(operation, rule["operation"])
        ),
        None,
    )


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


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with other names in its texts."""
    if is_map(value):
        return {key: renamed(field, names) for key, field in value.items()}
    if is_list(value):
        return [renamed(item, names) for item in value]
    if isinstance(value, str):
        for old, new in names.items():
            value = value.replace(old, new)
    return value
