"""What a plan may cost, before anything is sent. What is not known is said to be unknown."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import Limits, Mode


@dataclass(frozen=True)
class Estimate:
    """What one job may cost."""

    hour: float
    """One hour of one trial."""
    most: float | None
    """More than this the job's limits do not allow, even if cloudtune does not run all the time;
    None where they allow any amount. How much less it will be depends on the script."""
    currency: str
    source: str
    """Where the price is from, and of which day."""

    def __str__(self) -> str:
        hourly = f"{self.hour:.4g} {self.currency} for each hour of a trial ({self.source})"
        if self.most is None:
            return (
                f"{hourly}; nothing bounds the whole: that takes trial_timeout, and max_trials or "
                "timeout, none of them in native"
            )
        return f"0 to {self.most:.2f} {self.currency}: {hourly}"


@dataclass(frozen=True)
class HourPrice:
    """What an hour of a trial costs."""

    amount: float
    currency: str
    source: str
    """Where the price is from, and of which day."""


def read_prices(file: Path, *fields: str) -> dict[tuple[str, ...], HourPrice]:
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


def check_budget(
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
    longest = _longest_trial(limits, facts)
    late = "by what they cost, which trial_timeout would bound"
    if longest:
        late = f"by up to {longest * (limits.parallel_trials or 1) * price:.3g} {currency}"
    more = " and more" if mode == "managed" else ""
    yield Note(
        path,
        "cloudtune counts what all jobs of the run have cost so far, running trials included, and "
        f"ends them; if it does not run itself, trials may exceed the budget {late}{more}",
    )


def overrides_any(native: Any, fields: Collection[str]) -> bool:
    """Tell whether ``native`` changes any of some fields, so that what is known of them is void.

    Args:
        native: What is put over the request, or a part of it.
        fields: What the service calls the fields: those that say which machines there are and how
            many, or those that end trials.
    """
    if isinstance(native, Mapping):
        said = cast("Mapping[str, Any]", native)
        return any(key in fields or overrides_any(said[key], fields) for key in said)
    if isinstance(native, list):
        return any(overrides_any(each, fields) for each in cast("list[object]", native))
    return False


def estimate(limits: Limits, mode: Mode, facts: Facts) -> Estimate | None:
    """Return what a job may cost, or None where its price is not known.

    Args:
        limits: The limits that the provider keeps for the job.
        mode: Who chooses the trials.
        facts: What the plan knows from outside: the price.
    """
    price, currency = facts.price_per_second, facts.own.get("currency")
    if price is None or currency is None:
        return None
    bounds = [] if facts.own.get("own_limits") else list(_bounds(limits, mode, facts, price))
    return Estimate(
        hour=price * 3600,
        most=min(bounds, default=None),
        currency=str(currency),
        source=str(facts.own.get("price_source", "price not sourced")),
    )


def _bounds(limits: Limits, mode: Mode, facts: Facts, price: float) -> Iterator[float]:
    """Yield what a job costs at most by each of its limits.

    Where the service does not end trials at the study's timeout, cloudtune does, or they run to
    their own end if it is not there. A budget that cloudtune watches does not keep a service's own
    tuner from starting more trials.
    """
    longest, parallel = _longest_trial(limits, facts), limits.parallel_trials or 1
    if limits.timeout and mode in facts.own.get("timeout_ends_trials", ()):
        yield limits.timeout * parallel * price
    if longest is None:
        return
    if limits.max_trials:
        yield limits.max_trials * longest * price
    if limits.timeout:
        yield (limits.timeout + longest) * parallel * price
    budget = limits.max_cost
    if budget and budget.currency == facts.own["currency"] and mode == "driven":
        yield budget.amount + parallel * longest * price


def _longest_trial(limits: Limits, facts: Facts) -> float | None:
    """Return the seconds after which a trial is ended, if that is known."""
    if facts.own.get("own_limits"):
        return None
    return limits.trial_timeout or facts.own.get("longest_trial")
