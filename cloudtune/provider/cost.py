"""Cost estimates of plans. An unknown price stays unknown; it is never 0."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts, Price
from cloudtune.study.quantities import format_cost
from cloudtune.study.schema import Json, Limits, Mode


@dataclass(frozen=True)
class Estimate:
    """What one job may cost."""

    hour: float
    """The price of one hour of one trial."""
    most: float | None
    """The maximum that the job's limits allow, even if cloudtune does not run all the time; None if
    nothing bounds the cost. How much less the job costs depends on the script. It is only an
    estimate if anything is `uncounted`."""
    currency: str
    source: str
    """Where the price comes from, and its date."""
    uncounted: tuple[str, ...] = ()
    """What the maximum does not include, in words."""

    def to_json(self) -> Json:
        """Return the estimate as JSON data."""
        return {**vars(self), "uncounted": list(self.uncounted)}

    def __str__(self) -> str:
        hourly = f"{self.hour:.4g} {self.currency} for each hour of a trial ({self.source})"
        if self.most is None:
            return (
                f"{hourly}; no maximum: that requires trial_timeout, and max_trials or timeout, "
                "none of them in native"
            )
        most = format_cost(self.most, self.currency)
        if not self.uncounted:
            return f"0 to {most}: {hourly}"
        missing = f"an estimate, which does not count {'; '.join(self.uncounted)}"
        return f"0 to about {most}, {missing}: {hourly}"


def read_prices(file: Path, *fields: str) -> dict[tuple[str, ...], Price]:
    """Return the prices in a provider's ``prices.json``, keyed by ``fields`` of the rows."""
    table = json.loads(file.read_text("utf-8"))
    return {
        tuple(row[field] for field in fields): Price.hourly(
            row["hour"], table["currency"], f"{row['source']}, read {row['read']}"
        )
        for row in table["prices"]
    }


def unset_price_factor(**values: str) -> str:
    """Return why a price is unknown if settings on which it depends have placeholders; or empty."""
    unset = [name for name, value in values.items() if value.startswith("{{")]
    if not unset:
        return ""
    verb = "is" if len(unset) == 1 else "are"
    return f"the price depends on {' and '.join(unset)}, which {verb} not set"


def check_budget(
    limits: Limits, provider: str, mode: Mode, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield why a job's limits of money cannot be enforced, or by how much they may be exceeded."""
    price, hint = facts.price, f"give providers.{provider}.prices.hour"
    for name, amount in limits.amounts().items():
        path, currency = f"limits.{name}", amount.currency
        if price and price.currency == currency:
            if name == "max_cost":
                yield from _check_max_cost(amount.amount, limits, price, mode, facts)
        elif facts.emulated:
            continue
        elif price:
            currencies = f"the budget is in {currency} and the price in {price.currency}"
            yield Finding("refused", path, f"{currencies}; {hint} in {currency}")
        else:
            reason = facts.lookup.price or f"the price of a trial on {provider} is unknown"
            yield Finding("refused", path, f"{reason}: {hint}, as in 0.40 {currency}")


def _check_max_cost(
    budget: float, limits: Limits, price: Price, mode: Mode, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield why a job's budget is too small, or by how much the cost may exceed it."""
    path = "limits.max_cost"
    idle = idle_seconds(mode, facts) * (limits.parallel_trials or 1) * price.per_second
    if idle >= budget:
        cost = format_cost(idle, price.currency)
        reason = f"machines that wait for trials could cost {cost} by themselves"
        yield Finding("refused", path, f"{reason}: raise max_cost, or let them wait less")
        return
    if facts.emulated:
        return
    if idle:
        text = "counts the time that machines wait for trials, up to "
        yield Note(path, f"{text}{format_cost(idle, price.currency)} after the last ones")
    longest = longest_trial(limits, facts)
    excess = "by what they cost, which trial_timeout would bound"
    if longest:
        amount = longest * (limits.parallel_trials or 1) * price.per_second
        excess = f"by about {format_cost(amount, price.currency)}"
    more = " and more" if mode == "managed" else ""
    yield Note(
        path,
        "cloudtune adds up the cost of all jobs of the run, running trials included, and stops "
        "them at the budget; while cloudtune itself is not running, trials may exceed the budget "
        f"{excess}{more}",
    )


def overrides_any(native: Any, fields: Collection[str]) -> bool:
    """Return whether ``native`` sets any of some fields, at any depth.

    The fields are those that determine the price, for example, or those that end trials.
    """
    if isinstance(native, Mapping):
        block = cast("Mapping[str, Any]", native)
        return any(key in fields or overrides_any(block[key], fields) for key in block)
    if isinstance(native, list):
        return any(overrides_any(each, fields) for each in cast("list[object]", native))
    return False


def estimate(limits: Limits, mode: Mode, facts: Facts, *, starts: int = 1) -> Estimate | None:
    """Return what a job may cost under its limits, or None if the price is unknown.

    A service ends each of a trial's ``starts`` after ``trial_timeout``.
    """
    price = facts.price
    if price is None:
        return None
    return Estimate(
        hour=price.hour,
        most=min(_bounds(limits, mode, facts, price, starts), default=None),
        currency=price.currency,
        source=price.source or "price not sourced",
        uncounted=uncounted(mode, facts),
    )


def _bounds(limits: Limits, mode: Mode, facts: Facts, price: Price, starts: int) -> Iterator[float]:
    """Yield the maximum cost of a job under each of its limits.

    If the service does not end trials at the study's timeout, cloudtune ends them; without
    cloudtune running, they run to their own end. The budget does not keep a service's own tuner
    from starting more trials. A time does not bound the cost of short trials that are billed for
    longer than they run.
    """
    if facts.lookup.limits.set_by_native:
        return
    longest, parallel = longest_trial(limits, facts), limits.parallel_trials or 1
    per_second, idle = price.per_second, idle_seconds(mode, facts)
    grace = facts.lookup.limits.grace_seconds
    timeout = None if price.min_seconds else service_timeout(limits, mode, facts)
    if timeout and mode in facts.lookup.limits.timeout_ends_trials:
        yield (timeout + grace) * parallel * per_second
    if longest is None:
        return
    longest = max(longest + grace, price.min_seconds)
    if limits.max_trials:
        yield limits.max_trials * starts * (longest + idle) * per_second
    if timeout:
        yield (timeout + longest + idle) * parallel * per_second
    budget = limits.max_cost
    if budget and budget.currency == price.currency and mode == "driven":
        yield budget.amount + parallel * longest * per_second


def uncounted(mode: Mode, facts: Facts) -> tuple[str, ...]:
    """Return what a service may bill that a maximum cost does not include, in words."""
    repeats = ("repeats of lost trials",) if mode == "driven" else ()
    return (*facts.lookup.limits.uncounted, *repeats)


def service_timeout(limits: Limits, mode: Mode, facts: Facts) -> float | None:
    """Return the seconds after which a job ends, as its service counts them in managed mode."""
    if limits.timeout is None or mode == "driven":
        return limits.timeout
    unit = facts.lookup.limits.timeout_unit
    return max(facts.lookup.limits.min_timeout, math.ceil(limits.timeout / unit) * unit)


def idle_seconds(mode: Mode, facts: Facts) -> float:
    """Return the seconds for which the machine of a trial may be billed after it."""
    return facts.price.idle_seconds if facts.price and mode == "driven" else 0.0


def longest_trial(limits: Limits, facts: Facts) -> float | None:
    """Return the seconds after which a trial is ended, if known."""
    if facts.lookup.limits.set_by_native:
        return None
    return limits.trial_timeout or facts.lookup.limits.longest_trial
