"""A script's output: lines, and the sequences that color them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    Stream = TypeVar("Stream")


def oldest_first(outputs: Mapping[Stream, bytes]) -> list[tuple[Stream, bytes]]:
    """Return what was read from several streams at once, sorted by age.

    The age is not known, but a progress bar is usually older than the line after it: an output that
    overwrites itself is first.
    """
    return sorted(outputs.items(), key=lambda item: not _is_bar(item[1]))


def _is_bar(output: bytes) -> bool:
    return b"\b" in output or b"\r" in output.replace(b"\r\n", b"\n")


def split_lines(output: bytes) -> list[bytes]:
    """Return the lines that are not blank, also those that end with a carriage return."""
    return [line for line in output.replace(b"\r", b"\n").split(b"\n") if line.strip()]


def may_contain(output: bytes, texts: Iterable[bytes]) -> bool:
    """Return whether output may match an expression, given the texts that they require."""
    return is_edited(output) or any(text in output for text in texts)


def is_edited(output: bytes) -> bool:
    """Return whether a terminal shows other text than the output."""
    return b"\x1b" in output or b"\b" in output


def displayed_text(text: str) -> str:
    """Return text without escape sequences and as it is after its backspaces."""
    text = strip_ansi(text)
    if "\b" not in text:
        return text
    import re

    return "".join(map(_overwrite, re.split("([\r\n])", text)))


def _overwrite(line: str) -> str:
    if "\b" not in line:
        return line
    cells: list[str] = []
    cursor = 0
    for character in line:
        if character == "\b":
            cursor = max(0, cursor - 1)
        else:
            cells[cursor : cursor + 1] = character
            cursor += 1
    return "".join(cells)


def strip_ansi(text: str) -> str:
    """Return text without terminal escape sequences, such as those for colors."""
    if "\x1b" not in text:
        return text
    import re

    return re.sub(
        r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?\x1b\\|.)?", "", text
    )
