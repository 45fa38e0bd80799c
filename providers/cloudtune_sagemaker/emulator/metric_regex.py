"""Selects the metric definitions that can capture a value.

The service accepts any text of up to 500 characters as an expression; one that is malformed or has
no group captures nothing (aws/sagemaker-python-sdk issue 3932 shows one that captures the empty
string). So such a definition is not an error: its metric has no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress


def usable(definitions: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the expressions that can capture a value, by metric."""
    import regex

    expressions: dict[str, list[str]] = {}
    for definition in definitions:
        with suppress(regex.error):
            if regex.compile(definition["Regex"]).groups:
                expressions.setdefault(definition["Name"], []).append(definition["Regex"])
    return expressions
