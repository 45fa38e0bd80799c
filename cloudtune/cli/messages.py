"""Findings, notes and errors on a terminal."""

from __future__ import annotations

import shutil
import sys

import click

from cloudtune.reporting.wrapping import wrap_message


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
