"""Text that is safe to show: names, values and reasons may come from anywhere."""

from __future__ import annotations

import json
from typing import Any

_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Characters that count as letters or symbols and show nothing."""


def sanitize_line(line: str) -> str:
    """Return a text as one line that does to a terminal what it seems to do.

    White space becomes blanks. Control characters, those that turn the direction of writing, and
    others that show nothing themselves become the replacement character.
    """
    if line.isprintable() and _BLANK_LETTERS.isdisjoint(line):
        return line
    return "".join(map(_shown, line))


def sanitize_lines(text: str) -> str:
    """Return a text with its line breaks, each line made `sanitize_line`."""
    return "\n".join(sanitize_line(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    clear = character.isprintable() and character not in _BLANK_LETTERS
    return character if clear else "\N{REPLACEMENT CHARACTER}"


def format_json(data: Any, indent: int | None = None) -> str:
    """Return data as JSON that can be read and pasted: what is not printable is escaped."""
    said = json.dumps(data, indent=indent, ensure_ascii=False)
    return "".join(c if c == "\n" or sanitize_line(c) == c else json.dumps(c)[1:-1] for c in said)
