"""What tests of account checks share: fault plans, and the checks with an id."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cloudtune.diagnostics import Check


def always(*operations: str, effect: str = "deny") -> str:
    """Return a fault plan in which each call of some operations has an effect."""
    rules = [{"operation": each, "probability": 1, "effect": effect} for each in operations]
    return json.dumps({"faults": rules})


def by_id(checks: Sequence[Check], id_: str) -> list[Check]:
    return [check for check in checks if check.id == id_]


def only(checks: Sequence[Check], id_: str, severity: str) -> Check:
    """Return the one check with an id and a severity."""
    (check,) = [each for each in by_id(checks, id_) if each.severity == severity]
    return check
