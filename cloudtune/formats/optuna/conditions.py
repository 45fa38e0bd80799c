"""Infers which values of one parameter make another one active: Optuna has conditions in code."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.formats.values import typed, unique_values

Assignment = Mapping[str, Any]


def infer_conditions(
    trials: Sequence[Assignment], choices: Collection[str]
) -> tuple[Json, list[str]]:
    """Infer the conditions of parameters that only some trials have.

    The parent is the first choice whose values tell the trials with the parameter from those
    without it, else the first integer that is larger, or smaller, in all of them.

    Args:
        trials: The values of each trial by name, in the order in which they were suggested.
        choices: The names of the parameters that are choices.

    Returns:
        The values of the one parent of each conditional parameter, and the parameters without a
        parent that explains when trials have them.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial))
    conditions: Json = {}
    unexplained: list[str] = []
    for index, name in enumerate(names):
        if all(name in trial for trial in trials):
            continue
        parents = sorted(names[:index], key=lambda parent: parent not in choices)
        found = (_condition(parent, name, trials, parent in choices) for parent in parents)
        condition = next((each for each in found if each is not None), None)
        if condition is None:
            unexplained.append(name)
        else:
            conditions[name] = condition
    return conditions, unexplained


def _condition(
    parent: str, name: str, trials: Sequence[Assignment], is_choice: bool
) -> Json | None:
    if any(name in trial and parent not in trial for trial in trials):
        return None
    active = unique_values([trial[parent] for trial in trials if name in trial])
    inactive = unique_values(
        [trial[parent] for trial in trials if parent in trial and name not in trial]
    )
    explains = bool(inactive) or any(parent not in trial for trial in trials)
    if not explains or set(map(typed, active)) & set(map(typed, inactive)):
        return None
    if is_choice:
        return {parent: active}
    if not all(type(value) is int for value in (*active, *inactive)):
        return None
    if inactive and max(inactive) > min(active) and max(active) > min(inactive):
        return None
    return {parent: sorted(active)}
