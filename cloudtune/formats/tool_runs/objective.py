"""The objective of a run of another tool: as the tool stores it, completed by options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.formats.run_reader import RunChoice
from cloudtune.study.quantities import format_list
from cloudtune.study.schema import Goal
from cloudtune.study.suggestions import did_you_mean

Json = dict[str, Any]
_SHOWN = 10
_GOALS: Mapping[str, Goal] = {
    "min": "minimize",
    "minimize": "minimize",
    "max": "maximize",
    "maximize": "maximize",
}


@dataclass(frozen=True)
class StoredObjective:
    """An objective as a tool stores it."""

    metric: str | None = None
    goal: Goal | None = None


def to_goal(word: Any) -> Goal | None:
    """Return the goal that a tool calls min, max, minimize or maximize; None for others."""
    return _GOALS.get(str(word).lower())


def choose_objectives(
    choice: RunChoice,
    stored: Sequence[StoredObjective],
    metrics: Collection[str],
    tool: str,
) -> list[Json]:
    """Return the objectives as a study file has them.

    Args:
        choice: The options of the user.
        stored: The objectives that the tool stores, in its order.
        metrics: The metrics of the trials.
        tool: The tool, for messages.

    Raises:
        UsageError: If the metric or the goal is unknown; the message says what to add.
    """
    goal = choice.goal
    if choice.metric is not None:
        metric = choice.metric
        if metric not in metrics:
            hint = did_you_mean(metric, metrics)
            raise UsageError(
                f"no trial has the metric {metric!r}{f', {hint}' if hint else '.'}{_known(metrics)}"
            )
        matching = [each for each in stored if each.metric in {metric, None}]
        return [_objective(metric, goal or _first_goal(matching), tool)]
    named = [each for each in stored if each.metric is not None]
    if len(named) > 1:
        if choice.goal is not None:
            raise UsageError(
                "--goal needs --metric: the run has the objectives "
                f"{', '.join(str(each.metric) for each in named)}"
            )
        return [_objective(str(each.metric), each.goal, tool) for each in named]
    if named:
        (only,) = named
        return [_objective(str(only.metric), choice.goal or only.goal, tool)]
    if not metrics:
        raise UsageError("no trial has a metric, so there is nothing to compare")
    goal = goal or _first_goal(stored)
    if len(metrics) == 1:
        return [_objective(next(iter(metrics)), goal, tool)]
    flags = "--metric NAME" if goal else "--metric NAME --goal maximize (or minimize)"
    raise UsageError(
        f"{tool} does not store which metric is the objective: add {flags}.{_known(metrics)}"
    )


def _first_goal(stored: Sequence[StoredObjective]) -> Goal | None:
    return stored[0].goal if stored else None


def _objective(metric: str, goal: Goal | None, tool: str) -> Json:
    if goal is None:
        raise UsageError(
            f"{tool} does not store whether to maximize or to minimize {metric}: add --goal "
            "maximize or --goal minimize"
        )
    return {"metric": metric, "goal": goal}


def _known(metrics: Collection[str]) -> str:
    return f" Metrics: {format_list(sorted(metrics), _SHOWN)}" if metrics else ""
