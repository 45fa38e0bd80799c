"""The study of a run that repeats trials of an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.provider import registry
from cloudtune.results.model import Trial
from cloudtune.study.confirmation import Confirmation
from cloudtune.study.limits import LIMITS
from cloudtune.study.quantities import parse_money
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

_KEPT_LIMITS = {name for name, traits in LIMITS.items() if not traits.is_for_search}


def confirming_study(
    study: Study,
    trials: Sequence[Trial],
    confirmation: Confirmation,
    providers: Sequence[str],
    *,
    seeds: int,
    max_cost: str | None,
) -> Json:
    """Return the study of the confirming run: a list of trials with the metric that decides.

    Args:
        study: The study of the search.
        trials: Its trials that can be the best.
        confirmation: What is repeated.
        providers: Where.
        seeds: The largest number of seeds of a candidate.
        max_cost: Another budget than that of the study.

    Raises:
        UsageError: If the budget is none.
    """
    data: dict[str, Any] = study.to_json()
    for name in ("early_stopping", "warm_start", "confirm", "description"):
        data.pop(name, None)
    seed = study.strategy.seed
    data["strategy"] = {"name": "list", **({} if seed is None else {"seed": seed})}
    data["initial_trials"] = [dict(c.parameters) for c in confirmation.candidates] * seeds
    limits = study.limits.model_dump(mode="json", include=_KEPT_LIMITS, exclude_none=True)
    count = len(data["initial_trials"])
    data["limits"] = {"max_failed_trials": count, **limits, "max_trials": count}
    if max_cost:
        try:
            parse_money(max_cost)
        except ValueError as error:
            raise UsageError(f"--max-cost: {error}") from error
        data["limits"]["max_cost"] = max_cost
    if study.strategy.resource:
        amount = max((trial.resource or 0 for trial in trials), default=0)
        data["constants"] = {**data.get("constants", {}), study.strategy.resource: amount}
    objective = study.objectives[0].model_dump(mode="json", exclude={"target"})
    if study.confirm and (holdout := study.confirm.metric):
        select = data.setdefault("trial", {}).setdefault("select", {})
        if objective["select"] == "best":
            select[objective["metric"]] = "max" if objective["goal"] == "maximize" else "min"
        how = select.pop(holdout, "last")
        best = "max" if confirmation.goal == "maximize" else "min"
        select_as = "best" if how == best else "last"
        objective = {"metric": holdout, "goal": confirmation.goal, "select": select_as}
    data["objective"] = objective
    others = {confirmation.search_metric, confirmation.train_metric} - {objective["metric"], None}
    if others:  # services read only metrics that the study names
        metrics = data.setdefault("trial", {}).setdefault("metrics", {})
        for name in sorted(map(str, others)):
            metrics.setdefault(name, [])
    for provider in providers:
        settings = data.setdefault("providers", {}).setdefault(provider, {})
        if own := settings.pop("limits", None):
            settings["limits"] = {name: own[name] for name in _KEPT_LIMITS if name in own}
        if registry.get(provider).capabilities.managed is not None:
            settings["mode"] = "driven"
    return data
