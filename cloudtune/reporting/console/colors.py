"""Colors of lines on a terminal: the few words that say what a line is."""

from __future__ import annotations

import os
import re
from typing import Any, TextIO

import click

_RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    (r"^\s+(\| .*)", {"dim": True}),
    (r"^\s*(?:\w+ {2,})?((?i:error))(?=: )", {"fg": "red", "bold": True}),
    (r"^\s*(?:\w+ {2,})?(warning|unknown)(?=: )", {"fg": "yellow", "bold": True}),
    (r"^\s*(?:\w+ {2,})?(ok)(?=: )", {"fg": "green"}),
    (r"^\s*(?:\w+ {2,})?(note|fix)(?=: )", {"fg": "cyan"}),
    (r"(?:^|: |^\s+)(refused)(?= [a-z_]+(?:\.\S+)?: )", {"fg": "red", "bold": True}),
    (r"(?:^|: |^\s+)(approximated|dropped)(?= [a-z_]+(?:\.\S+)?: )", {"fg": "yellow"}),
    (r"^(?:\w+ +)?\[\S+\] trial \d+ (failed)\b", {"fg": "red"}),
    (r"(  best so far)$", {"fg": "green"}),
    (r"^(failed|refused on \w+(?:, emulated)?)(?=: )", {"fg": "red", "bold": True}),
    (r"^(ended)(?=: )", {"fg": "yellow", "bold": True}),
    (r"^(best: .*)", {"fg": "green"}),
    (r"^\w+(?:, emulated)?(?:: | )(cannot run this study)", {"fg": "red", "bold": True}),
    (r"^\w+(?:, emulated)?: (can run)", {"fg": "green", "bold": True}),
    (r"\b(\d+ (?:mistakes?|errors?))(?=[.,]|$)", {"fg": "red", "bold": True}),
    (r"^(?:\d+ errors?, )?(\d+ warnings?)(?=[.,]|$)", {"fg": "yellow", "bold": True}),
    (r"(?:^|: )(Healthy|no mistakes)(?=\.)", {"fg": "green", "bold": True}),
    (r"^((?:[^\s:]+:\d+|--set .+?)(?=: ))", {"bold": True}),
)
"""What is colored, as the first group of an expression, and how. An earlier rule wins."""


def has_color(stream: TextIO) -> bool:
    """Return whether a stream gets colors: a terminal, unless NO_COLOR or FORCE_COLOR is set."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colorize(line: str) -> str:
    """Return a line with colors."""
    spans: dict[tuple[int, int], dict[str, Any]] = {}
    for pattern, style in _RULES:
        match = re.search(pattern, line)
        if match and all(match.end(1) <= start or match.start(1) >= end for start, end in spans):
            spans[match.span(1)] = style
    for (start, end), style in sorted(spans.items(), reverse=True):
        line = f"{line[:start]}{click.style(line[start:end], **style)}{line[end:]}"
    return line
