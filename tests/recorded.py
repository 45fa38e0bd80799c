"""Recordings of live services, and which differences of an emulator are accepted.

The form of a recording is in ``recordings/README.md``. ``$CLOUDTUNE_RECORDINGS`` names another
folder of the same form.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cloudtune.study.yaml_reader import is_list, is_map
from scripts import evidence
from tests.recorded_differences import is_left_out

Record = Callable[[str, object], None]
"""The fixture ``record_property``."""
OWN = Path(__file__).parent / "recordings"
FOLDER = Path(os.environ.get("CLOUDTUNE_RECORDINGS", OWN))
ACCEPTED: list[dict[str, str]] = json.loads((OWN / "accepted.json").read_text("utf-8"))
"""The differences that are accepted, each with its reason."""
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What an answer raises that has not the form that its operation has."""


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
    return answer in (None, "null") or is_left_out(answer) or is_file


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


def shared(value: Any, known: Any) -> Any:
    """Return what a document has of the fields of another one."""
    if not (is_map(value) and is_map(known)):
        return value
    return {key: shared(value[key], known[key]) for key in known if key in value}


def unlisted(service: str, operation: str, answer: Any) -> list[str]:
    """Return the fields of an emulator's answer that the page of the evidence does not have."""
    listed = evidence.listed(service, operation)
    return sorted(path for path in evidence.fields(answer) if not listed(path))


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
