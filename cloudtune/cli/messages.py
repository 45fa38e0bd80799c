"""Findings, notes and errors on a terminal."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

import click

_COMMAND = re.compile(r"`|\bpip install |\bcloudtune [a-z]+ |\bchmod ")
"""What a line contains that has a command to copy."""
_INDENT = 4


def echo_message(text: str, *, err: bool = False) -> None:
    """Print lines of prose. On a terminal, long lines are wrapped between words.

    Lines with a command are not wrapped, so that it can be copied.
    """
    stream = sys.stderr if err else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else None
    click.echo(text if width is None else wrap_message(text, width), err=err)


def echo_summary_line(line: str) -> None:
    """Print a line of a summary. Indented lines, which are values and output, stay as they are."""
    if line.startswith(" "):
        click.echo(line)
    else:
        echo_message(line)


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
