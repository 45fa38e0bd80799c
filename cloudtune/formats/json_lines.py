"""The line of each field of a JSON text, which Python's parser does not keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from typing_extensions import override

_TOKEN = re.compile(r'\n|"(?:[^"\\\n]|\\.)*"|[\[\]{},]|[^\s\[\]{},:"]+')


@dataclass
class _Container:
    """A map or list that is still open."""

    path: str
    key: str | int | None
    """The key of the current value; None before a key of a map."""

    def child(self) -> str:
        return f"{self.path}.{self.key}" if self.path else f"{self.key}"


class JsonLines(Mapping[str, int]):
    """The line of each field, keyed by dotted path. It is computed when a line is needed.

    Args:
        text: A valid JSON text.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @override
    def __getitem__(self, path: str) -> int:
        return self._lines[path]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    @override
    def __len__(self) -> int:
        return len(self._lines)

    @cached_property
    def _lines(self) -> dict[str, int]:
        lines: dict[str, int] = {}
        open_: list[_Container] = []
        line = 1
        for match in _TOKEN.finditer(self._text):
            part = match[0]
            inner = open_[-1] if open_ else None
            if part == "\n":
                line += 1
            elif part in "]}":
                open_.pop()
            elif inner is None:
                open_ = [_Container("", 0 if part == "[" else None)] if part in "[{" else []
            elif part == ",":
                inner.key = inner.key + 1 if isinstance(inner.key, int) else None
            elif inner.key is None:
                inner.key = str(json.loads(part))
                lines[inner.child()] = line
            else:
                lines.setdefault(inner.child(), line)
                if part in "[{":
                    open_.append(_Container(inner.child(), 0 if part == "[" else None))
        return lines
