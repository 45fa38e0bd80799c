"""Take the known keys out of a document, and keep the rest.

A reader of a format takes each key that it understands. What nobody takes is left in
`Fields.rest`, so a key that no reader knows is never lost.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.formats.values import parse_number
from cloudtune.study.quantities import format_duration
from cloudtune.study.yaml_reader import is_list, is_map

Json = dict[str, Any]
_LONGEST = 1e10
"""More than any time limit, in seconds."""


@dataclass
class Report:
    """What a reader or writer of a format has to tell about a document. Paths are dotted."""

    file: Path | None = None
    """The file that is read."""
    findings: list[Finding | Note] = field(default_factory=list[Finding | Note])
    problems: list[Problem] = field(default_factory=list[Problem])
    """Mistakes in the document."""

    def refuse(self, path: str, reason: str) -> None:
        """Add what the study, or the format, cannot hold and must not lose."""
        self._add(Finding("refused", path, reason))

    def approximate(self, path: str, reason: str) -> None:
        """Add what has another meaning after the conversion."""
        self._add(Finding("approximated", path, reason))

    def drop(self, path: str, reason: str) -> None:
        """Add what is lost."""
        self._add(Finding("dropped", path, reason))

    def warn(self, path: str, text: str) -> None:
        """Add what the user has to do or to know, such as where the code is."""
        self._add(Note(path, text, "warning"))

    def note(self, path: str, text: str) -> None:
        """Add what changes nothing, such as a default that is now written out."""
        self._add(Note(path, text))

    def mistake(self, path: str, message: str, hint: str = "") -> None:
        """Add a mistake of the document's author."""
        problem = Problem(path, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def _add(self, finding: Finding | Note) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def refusals(report: Report) -> list[Finding]:
    """Return the findings that make a conversion impossible."""
    findings = (each for each in report.findings if isinstance(each, Finding))
    return [each for each in findings if each.kind == "refused"]


class Fields:
    """The keys of one map of a document that are not taken yet."""

    def __init__(self, data: Mapping[str, Any], report: Report, path: str = "") -> None:
        self.report = report
        self.path = path
        self.original: Mapping[str, Any] = data
        """The map as it is in the document."""
        self.identity: Any = None
        """What identifies it among the maps of a list, if it is in one."""
        self.is_marker = False
        """Whether it is in the rest of its parent even if nothing of it is left."""
        self._data: Json = copy.deepcopy(dict(data)) if not path else dict(data)
        self._erased: list[str] = []
        self._maps: dict[str, Fields] = {}
        self._lists: dict[str, tuple[str | None, list[Fields]]] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether a key has a value that is not null and not taken."""
        return self._data.get(key) is not None

    def at(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def peek(self, key: str) -> Any:
        """Return a value without taking it, None if it is absent."""
        return self._data.get(key)

    def take(self, key: str) -> Any:
        """Take a value of any type, None if it is absent."""
        return self._data.pop(key, None)

    def put(self, key: str, value: Any) -> None:
        """Put a value back that the study cannot hold, so that it is in the rest."""
        self._data[key] = value

    def erase(self, key: str) -> None:
        """Mark a key that the document lacks and a request would have: null in the rest."""
        self._erased.append(key)

    def text(self, key: str) -> str | None:
        """Take a string; a number is read as its text."""
        value = self.take(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            self.mistake(key, "must be a string")
            return None
        return value

    def number(self, key: str) -> int | float | None:
        """Take a finite number; text is read as the number that it spells."""
        value = self.take(key)
        number = parse_number(value)
        if value is not None and number is None:
            self.mistake(key, f"must be a number, not {value!r}")
            return None
        return number

    def integer(self, key: str) -> int | None:
        """Take an integer; 4.0, "4" and "4.0" are read as 4."""
        value = self._data.get(key)
        number = self.number(key)
        if number is not None and number != int(number):
            self.mistake(key, f"must be an integer, not {value!r}")
            return None
        return None if number is None else int(number)

    def duration(self, key: str, unit: float = 1) -> str | None:
        """Take a time, a number of units of so many seconds, as a study writes it."""
        number = self.number(key)
        if number is not None and not 0 < number < _LONGEST:
            self.mistake(key, f"must be a time above 0, not {number}")
            return None
        return None if number is None else format_duration(number * unit)

    def flag(self, key: str) -> bool | None:
        """Take a boolean; the words true and false are read as one."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            self.mistake(key, "must be true or false")
            return None
        return value

    def word(self, key: str) -> str | int | float | bool | None:
        """Take a value that is neither a map nor a list, such as a name of an enum."""
        value = self.take(key)
        if is_map(value) or is_list(value):
            self.mistake(key, "must be a single value")
            return None
        word: str | int | float | bool | None = value
        return word

    def entries(self, key: str) -> Json:
        """Take a map whose keys are the user's, empty if it is absent."""
        value = self.take(key)
        if value is not None and not is_map(value):
            self.mistake(key, "must be a map")
            return {}
        return dict(value or {})

    def items(self, key: str) -> list[Any]:
        """Take a list, empty if it is absent."""
        value = self.take(key)
        if value is None:
            return []
        if not is_list(value):
            self.mistake(key, "must be a list")
            return []
        return value

    def texts(self, key: str) -> list[str]:
        """Take a list of strings, empty if it is absent."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            self.mistake(key, "must be a list of strings")
            return []
        return values

    def map(self, key: str) -> Fields:
        """Return the fields of a map, empty if it is absent; those not taken stay in the rest."""
        if key not in self._maps:
            value = self.take(key)
            if value is not None and not is_map(value):
                self.mistake(key, "must be a map")
                value = None
            self._maps[key] = Fields(value or {}, self.report, self.at(key))
        return self._maps[key]

    def maps(self, key: str, identity: str | None = None) -> list[Fields]:
        """Return the fields of each map in a list, empty if it is absent.

        Args:
            key: The key of the list.
            identity: The key that identifies an entry. The rest of an entry keeps it.
        """
        if key not in self._lists:
            entries: list[Fields] = []
            for index, value in enumerate(self.items(key)):
                path = f"{self.at(key)}.{index}"
                if is_map(value):
                    entries.append(Fields(value, self.report, path))
                else:
                    self.report.mistake(path, "must be a map")
            if identity:
                for entry in entries:
                    entry.identity = entry.peek(identity)
            self._lists[key] = (identity, entries)
        return self._lists[key][1]

    def rest(self) -> Json:
        """Return what was not taken; maps and lists of which nothing is left are omitted."""
        rest: Json = _without_nulls(self._data) | dict.fromkeys(self._erased)
        for key, fields in self._maps.items():
            if (inner := fields.rest()) or fields.is_marker:
                rest[key] = inner
        for key, (identity, entries) in self._lists.items():
            rests = [entry.rest() for entry in entries]
            if identity:
                named = [
                    {identity: entry.identity, **rest}
                    for entry, rest in zip(entries, rests, strict=True)
                    if rest.keys() - {identity}
                ]
                if named:
                    rest[key] = named
            elif any(rests):
                rest[key] = rests
        return rest

    def refuse(self, key: str, reason: str) -> None:
        """Add a finding of this kind for a key; see `Report`."""
        self.report.refuse(self.at(key), reason)

    def approximate(self, key: str, reason: str) -> None:
        """Add a finding of this kind for a key; see `Report`."""
        self.report.approximate(self.at(key), reason)

    def drop(self, key: str, reason: str) -> None:
        """Add a finding of this kind for a key, and take its value; see `Report`."""
        self.take(key)
        self.report.drop(self.at(key), reason)

    def warn(self, key: str, text: str) -> None:
        """Add a warning for a key; see `Report`."""
        self.report.warn(self.at(key), text)

    def note(self, key: str, text: str) -> None:
        """Add a note for a key; see `Report`."""
        self.report.note(self.at(key), text)

    def mistake(self, key: str, message: str, hint: str = "") -> None:
        """Add a mistake of the author for a key; see `Report`.

        If the map has the key in another spelling only, the hint names that one.
        """
        if key not in self.original and (other := self._other_spelling(key)):
            hint = f"the file has {other}"
        self.report.mistake(self.at(key), message, hint)

    def _other_spelling(self, key: str) -> str:
        plain = _plain(key)
        return next((str(each) for each in self.original if _plain(str(each)) == plain), "")


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").casefold()


def _without_nulls(value: Any) -> Any:
    if is_map(value):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if is_list(value) else value
