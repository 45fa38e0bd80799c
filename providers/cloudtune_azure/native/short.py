"""Definitions of parameters as text, which the first AutoML jobs for images have.

Such as ``uniform(0.001, 0.1)``, ``choice('sgd', 'adam')``, or a single value (azureml-examples, the
jobs of the schema ``preview/0.0.1``, read 2026-11-27).
"""

from __future__ import annotations

import re
from typing import Any

from cloudtune.formats import StudyError, parse_documents
from cloudtune.provider import Json, is_list

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
EXPRESSIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("uniform", "loguniform"), ("min_value", "max_value")),
    **dict.fromkeys(("quniform", "qloguniform"), ("min_value", "max_value", "q")),
    **dict.fromkeys(("normal", "lognormal"), ("mu", "sigma")),
    **dict.fromkeys(("qnormal", "qlognormal"), ("mu", "sigma", "q")),
    "randint": ("upper",),
}
"""The arguments of each expression but choice, in their order."""


def is_short(definition: Any) -> bool:
    """Return whether a definition is a text or a single value."""
    return isinstance(definition, str | int | float)


def read_short(definition: Any) -> Json:
    """Return a definition that is a text or a single value as a map.

    >>> read_short("uniform(0.1, 1)")
    {'type': 'uniform', 'min_value': 0.1, 'max_value': 1}
    >>> read_short("choice('sgd', 2)"), read_short("yolov5")
    ({'type': 'choice', 'values': ['sgd', 2]}, {'type': 'choice', 'values': ['yolov5']})
    """
    call = _CALL.fullmatch(definition) if isinstance(definition, str) else None
    if call is None:
        return {"type": "choice", "values": [definition]}
    kind, values = call[1], _arguments(call[2])
    if kind == "choice":
        return {"type": kind, "values": values}
    return {"type": kind, **dict(zip(EXPRESSIONS.get(kind, ()), values, strict=False))}


def _arguments(text: str) -> list[Any]:
    """Return the values between parentheses, none if they are no list."""
    text = text.strip()
    text = text if text.startswith("[") else f"[{text}]"
    try:
        (found,) = parse_documents(text, "")
    except StudyError:
        return []
    return found.data if is_list(found.data) else []
