"""Restores the parameters of trials that cloudtune did not start, whose values may be invalid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.fitting.fit import FittedStudy, restore, restore_definitions
from cloudtune.launcher.restore import restore_values
from cloudtune.study.search_space import Value


def restore_valid(
    fitted: FittedStudy, raw: Mapping[str, Any]
) -> tuple[dict[str, Value], str | None]:
    """Return the parameters of a trial as `restore` does, and why some cannot be restored.

    Those keep the service's value; conditions do not count then.
    """
    try:
        return restore(fitted, raw), None
    except ValueError as error:
        problem = str(error)
    values: dict[str, Value] = {}
    for definition in restore_definitions(fitted):
        try:
            values = restore_values([{**definition, "when": {}}], raw) | values
        except ValueError:
            values.setdefault(definition["name"], str(raw[definition["sent"]]))
    return values, problem
