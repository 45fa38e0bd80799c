"""Messages that are wrapped for a terminal."""

from __future__ import annotations

import re
import textwrap

_COMMAND = re.compile(r"`|\bpip install |\bcloudtune [a-z]+ |\bchmod ")
"""What a line contains that has a command to copy."""
_INDENT = 4


def wrap_message(text: str, width: int) -> str:
    """Return lines of prose wrapped between words, with the lines that continue one indented."""
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= width or _COMMAND.search(line):
            lines.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip()) + _INDENT)
        lines += textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)
