"""Which metric definitions can find anything at all.

The service takes any text of up to 500 characters as an expression, and one that is broken or has
no group simply captures nothing (aws/sagemaker-python-sdk issue 3932 shows one that captures the
empty text). So such a definition is no error: its metric has no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def usable(definitions: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the expressions that can capture a value, by the names of their metrics."""
    found: dict[str, list[str]] = {}
    for definition in definitions:
        if _captures(definition["Regex"]):
            found.setdefault(definition["Name"], []).append(definition["Regex"])
    return found


def _captures(said: str) -> bool:
    import regex

    try:
        return regex.compile(said).groups > 0
    except regex.error:
        return False
