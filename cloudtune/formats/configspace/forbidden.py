"""Forbidden clauses of ConfigSpace as constraints of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.study.constraints import quote_name
from cloudtune.study.yaml_reader import is_list, is_map

_ALLOWED = {"LT": ">=", "EQ": "!=", "GT": "<="}
"""What must hold where a relation is forbidden."""
_NUMBERS = frozenset(["float", "int", "discrete"])
_MAX_LENGTH = 500


def to_constraint(clause: Json, kinds: Mapping[str, str]) -> str | None:
    """Return the constraint that a forbidden clause is; None if a study cannot express it.

    Both do not apply if a parameter is inactive (ConfigSpace 1.2, forbidden.py, read 2026-11-30).

    Args:
        clause: The clause.
        kinds: The types of the parameters by name.
    """
    text = _negation(clause, kinds)
    return text if text and len(text) <= _MAX_LENGTH else None


def _negation(clause: Json, kinds: Mapping[str, str]) -> str | None:
    kind = str(clause.get("type"))
    if kind == "AND":
        parts: Any = clause.get("clauses")
        texts = (
            [_negation(p, kinds) if is_map(p) else None for p in parts] if is_list(parts) else []
        )
        if not texts or None in texts:
            return None
        return " or ".join(f"({text})" if " and " in str(text) else str(text) for text in texts)
    if kind.startswith("RELATION"):
        sign = _ALLOWED.get(str(clause.get("lambda", kind.removeprefix("RELATION_"))))
        sides = [str(clause.get(side)) for side in ("left", "right")]
        if sign is None or not all(kinds.get(side) in _NUMBERS for side in sides):
            return None
        return f"{quote_name(sides[0])} {sign} {quote_name(sides[1])}"
    values: Any = {"EQUALS": [clause.get("value")], "IN": clause.get("values")}.get(kind)
    name = str(clause.get("name"))
    if not is_list(values) or not values or name not in kinds:
        return None
    literals = [*map(_literal, values)]
    if None in literals:
        return None
    return " and ".join(f"{quote_name(name)} != {literal}" for literal in literals)


def _literal(value: Any) -> str | None:
    """Return a value as it is written in a constraint; None if it cannot be."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return next((f"{quote}{value}{quote}" for quote in "'\"" if quote not in value), None)
    return None
