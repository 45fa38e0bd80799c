"""What a plan may cost, before anything is sent. What is not known is said to be unknown."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cloudtune.capabilities import Finding, Mode, Note
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


@dataclass(frozen=True)
class HourPrice:
    """What an hour of a trial costs."""

    amount: float
    currency: str
    source: str
    """Where the price is from, and of which day."""


def listed(file: Path, *fields: str) -> dict[tuple[str, ...], HourPrice]:
    """Return the prices in a provider's ``prices.json``, by these fields of its rows."""
    table = json.loads(file.read_text("utf-8"))
    return {
        tuple(row[field] for field in fields): HourPrice(
            row["hour"], table["currency"], f"{row['source']}, read {row['read']}"
        )
        for row in table["prices"]
    }


def price_facts(price: HourPrice | str) -> dict[str, Any]:
    """Return a price, or the words that say why there is none, as `Facts.own` has it."""
    if isinstance(price, str):
        return {"price_per_second": None, "currency": None, "why_no_price": price}
    return {
        "price_per_second": price.amount / 3600,
        "currency": price.currency,
        "price_source": price.source,
    }


def of_the_budget(
    limits: Limits, provider: str, mode: Mode, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield why a budget cannot be kept, or by how much it may be exceeded.

    Args:
        limits: The limits that the provider keeps for the job.
        provider: The provider's name.
        mode: Who chooses the trials.
        facts: What the plan knows from outside: the price.
    """
    budget, price = limits.max_cost, facts.price_per_second
    if budget is None or facts.emulated:
        return
    path, give = "limits.max_cost", f"give providers.{provider}.prices.hour"
    if price is None:
        why = facts.own.get("why_no_price", f"what {provider} costs is not known")
        yield Finding("refused", path, f"{why}: {give}, as in 0.40 {budget.currency}")
        return
    if (currency := facts.own["currency"]) != budget.currency:
        reason = f"the budget is in {budget.currency} and the price in {currency}; {give} in "
        yield Finding("refused", path, reason + budget.currency)
        return
    longest: float | None = limits.trial_timeout or facts.own.get("longest_trial")
    late = "by what they cost, which trial_timeout would bound"
    if longest:
        late = f"by up to {longest * (limits.parallel_trials or 1) * price:.3g} {currency}"
    more = " and more" if mode == "managed" else ""
    yield Note(
        path,
        "cloudtune counts what all jobs of the run have cost so far, running trials included, and "
        f"ends them; if it does not run itself, trials may exceed the budget {late}{more}",
    )


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
