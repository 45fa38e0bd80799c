"""Text that is safe to print. Names, values, and reasons may come from anywhere."""

from __future__ import annotations

import json
from typing import Any

_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Characters that count as letters or symbols and are invisible."""


def sanitize_line(line: str) -> str:
    """Return text as one line that is safe to print on a terminal.

    Whitespace becomes spaces. Control characters, characters that change the writing direction,
    and other invisible characters become the replacement character.
    """
    if line.isprintable() and _INVISIBLE_LETTERS.isdisjoint(line):
        return line
    return "".join(map(_sanitize, line))


def sanitize_lines(text: str) -> str:
    """Return text with each of its lines sanitized."""
    return "\n".join(sanitize_line(line) for line in text.split("\n"))


def _sanitize(character: str) -> str:
    if character.isspace():
        return " "
    visible = character.isprintable() and character not in _INVISIBLE_LETTERS
    return character if visible else "\N{REPLACEMENT CHARACTER}"


def format_json(data: Any, indent: int | None = None) -> str:
    """Return data as JSON in which characters that are not printable are escaped."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return "".join(c if c == "\n" or sanitize_line(c) == c else json.dumps(c)[1:-1] for c in text)
