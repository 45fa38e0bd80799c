"""The price of a trial: in capacity-unit hours, and in money if the user gives a price.

IBM publishes rates only for its CPU sizes, and no price of a capacity-unit hour.
"""

from __future__ import annotations

from collections.abc import Iterable

from cloudtune.provider import Money, Price, overrides_any
from cloudtune_watson.backend import Backend
from cloudtune_watson.settings import WatsonSettings

UNIT = "CUH"
"""Capacity-unit hours, as a currency."""
RATES = {"XS": 0.5, "S": 1.0, "M": 2.0, "L": 4.0, "XL": 8.0}
"""Capacity units per hour of one node."""
RATES_SOURCE = (
    "https://dataplatform.cloud.ibm.com/docs/content/wsj/analyze-data/run-cuh-deploy-spaces.html, "
    "read 2026-11-24"
)
MIN_BILLED_SECONDS = 60
"""The least seconds for which IBM bills each training or job, from the same page."""
_SOURCE = "from providers.watson.prices"


def hour_price(
    settings: WatsonSettings, backend: Backend | None, budgets: Iterable[Money]
) -> Price | str:
    """Return the price of a trial, or the reason why it is unknown.

    Args:
        settings: The hardware, and the prices that the user gives.
        backend: The back end, if it is known.
        budgets: The study's; their currency decides between capacity-unit hours and money.
    """
    in_units = backend is not None and backend.is_billed_in_units
    units = _capacity_units(settings, backend) if backend and in_units else None
    prices = settings.prices
    if prices is not None and all(each.currency != UNIT for each in budgets):
        if prices.hour:
            least = MIN_BILLED_SECONDS if in_units else 0
            return Price.hourly(*prices.hour, _SOURCE, min_seconds=least)
        if prices.capacity_unit_hour and units is not None:
            amount, currency = prices.capacity_unit_hour
            source = f"{units:g} {UNIT}, {_SOURCE}"
            return Price.hourly(amount * units, currency, source, min_seconds=MIN_BILLED_SECONDS)
    if units is not None:
        return Price.hourly(units, UNIT, RATES_SOURCE, min_seconds=MIN_BILLED_SECONDS)
    if in_units:
        if _sets_hardware(settings):
            return "native changes the hardware, so its price is unknown"
        if settings.hardware_spec is None:
            return "the price depends on hardware_spec, which is not set"
        return f"IBM's page has no capacity units of {settings.hardware_spec}"
    return "IBM has no price list of WML Accelerator"


def _capacity_units(settings: WatsonSettings, backend: Backend) -> float | None:
    """Return the capacity units per hour of a trial, or None if IBM's page has no rate.

    The page has no rate for hardware that ``native`` sets.
    """
    if _sets_hardware(settings):
        return None
    rate = RATES.get(settings.hardware_spec or "")
    nodes = settings.nodes if "nodes" in backend.settings else 1
    return rate * nodes if rate is not None else None


def _sets_hardware(settings: WatsonSettings) -> bool:
    return overrides_any(settings.native, {"hardware_spec"})
