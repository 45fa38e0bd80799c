"""A script's output: lines, and the sequences that color them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def split_lines(output: bytes) -> list[bytes]:
    """Return the lines that are not blank, also those that end with a carriage return."""
    return [line for line in output.replace(b"\r", b"\n").split(b"\n") if line.strip()]


def may_contain(output: bytes, texts: Iterable[bytes]) -> bool:
    """Return whether output may match an expression, given the texts that they require."""
    return b"\x1b" in output or any(text in output for text in texts)


def strip_ansi(text: str) -> str:
    """Return text without terminal escape sequences, such as those for colors."""
    if "\x1b" not in text:
        return text
    import re

    return re.sub(
        r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?\x1b\\|.)?", "", text
    )
