"""Findings, notes and errors on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import click

from cloudtune.reporting.console.colors import colorize, has_color
from cloudtune.reporting.wrapping import wrap_message

NOTHING_STARTED = "interrupted; nothing was started"
"""Printed at Ctrl-C before there is a run."""


def echo_message(text: str, *, err: bool = False) -> None:
    """Print lines of prose. On a terminal, long lines are wrapped between words.

    Lines with a command are not wrapped, so that it can be copied.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        text = wrap_message(text, shutil.get_terminal_size().columns)
    echo_lines(text, err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print lines as they are; where there are colors, with the colors of their words."""
    if has_color(sys.stderr if err else sys.stdout):
        click.echo("\n".join(map(colorize, text.split("\n"))), err=err, color=True)
    else:
        click.echo(text, err=err)


def echo_error(text: str) -> None:
    """Print why a command failed, with a color even if it does not start with a place."""
    if has_color(sys.stderr) and colorize(text) == text:
        text = wrap_message(text, shutil.get_terminal_size().columns)
        click.secho(text, err=True, fg="red", color=True)
    else:
        echo_message(text, err=True)


@contextmanager
def name_overrides(words: Mapping[str, str]) -> Generator[None]:
    """Name overrides in the mistakes of a study by what the user wrote.

    Args:
        words: What to write for each override, such as an option.
    """
    from cloudtune.errors import StudyError
    from cloudtune.study.overrides import describe_override

    try:
        yield
    except StudyError as error:
        problems = list(error.problems)
        for override, word in words.items():
            text = describe_override(override)
            problems = [
                replace(
                    each,
                    path="" if each.file == text else each.path,
                    message=each.message.replace(text, word),
                    file=word if each.file == text else each.file,
                )
                for each in problems
            ]
        raise StudyError(problems) from None


def echo_summary_line(line: str) -> None:
    """Print a line of a summary. Indented lines, which are values and output, stay as they are."""
    if line.startswith(" "):
        echo_lines(line)
    else:
        echo_message(line)
