"""Wildcards in the names of objects."""

from __future__ import annotations

import re

from cloudtune_vertex.emulator.storage_tool.buckets import ToolError

WILDCARDS = re.compile(r"[*?\[]")
"""The characters with which a wildcard begins."""


def translate(pattern: str) -> str:
    """Return the regular expression of a name with wildcards; only ``**`` matches a slash."""
    parts = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", pattern)
    wildcards = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    expression = "".join(
        wildcards.get(part) or (_translate_set(part) if part[:1] == "[" else re.escape(part))
        for part in parts
    )
    try:
        re.compile(expression)
    except re.error as problem:
        raise ToolError(f"{pattern}: not a valid wildcard: {problem}") from problem
    return expression


def _translate_set(pattern: str) -> str:
    """Return the regular expression of ``[abc]`` or ``[!abc]``."""
    if len(pattern) < 3 or not pattern.endswith("]"):
        return re.escape(pattern)
    negation = "^" if pattern[1] in "!^" and len(pattern) > 3 else ""
    inner = pattern[2:-1] if negation else pattern[1:-1]
    return f"[{negation}{re.escape(inner[0])}{inner[1:]}]"
