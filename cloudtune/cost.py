"""What a plan may cost, before anything is sent. What is not known is said to be unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cloudtune.provider import Facts
from cloudtune.study import Limits


@dataclass(frozen=True)
class Estimate:
    """What one job may cost."""

    hour: float
    """One hour of one trial."""
    most: float | None
    """More than this the job's limits do not allow, with what runs when the budget is reached; None
    where they allow any amount. How much less it will be depends on the script."""
    currency: str
    source: str
    """Where the price is from, and of which day."""

    def __str__(self) -> str:
        hourly = f"{self.hour:.4g} {self.currency} for each hour of a trial ({self.source})"
        if self.most is None:
            return f"{hourly}; no limit bounds the whole: give timeout, or trial_timeout"
        return f"0 to {self.most:.2f} {self.currency}: {hourly}"


def changes_machines(native: Any, fields: Collection[str]) -> bool:
    """Tell whether ``native`` changes what an hour of a trial costs, so that no list knows it.

    Args:
        native: What is put over the request, or a part of it.
        fields: What the service calls the fields that say which machines there are and how many.
    """
    if isinstance(native, Mapping):
        said = cast("Mapping[str, Any]", native)
        return any(key in fields or changes_machines(said[key], fields) for key in said)
    if isinstance(native, list):
        return any(changes_machines(each, fields) for each in cast("list[object]", native))
    return False


def estimate(limits: Limits, facts: Facts) -> Estimate | None:
    """Return what a job may cost, or None where its price is not known.

    Args:
        limits: The limits that the provider keeps for the job.
        facts: What the plan knows from outside: the price.
    """
    price, currency = facts.price_per_second, facts.own.get("currency")
    if price is None or currency is None:
        return None
    bounds: list[float] = []
    longest: float | None = limits.trial_timeout or facts.own.get("longest_trial")
    parallel = limits.parallel_trials or 1
    if limits.max_trials and longest:
        bounds.append(limits.max_trials * longest * price)
    if limits.timeout:
        bounds.append(limits.timeout * parallel * price)
    if limits.max_cost and limits.max_cost.currency == currency and longest:
        bounds.append(limits.max_cost.amount + parallel * longest * price)
    return Estimate(
        hour=price * 3600,
        most=min(bounds, default=None),
        currency=str(currency),
        source=str(facts.own.get("price_source", "price not sourced")),
    )
