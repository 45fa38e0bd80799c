"""What an hour of a trial costs: in capacity-unit hours, and in money if the user says a price.

IBM's page has rates for its CPU sizes alone; what a capacity-unit hour costs is on no page.
"""

from __future__ import annotations

from cloudtune.provider.cost import HourPrice, overrides_any
from cloudtune.study.quantities import Money
from cloudtune_watson.settings import WatsonSettings

UNIT = "CUH"
"""Capacity-unit hours, as a currency."""
RATES = {"XS": 0.5, "S": 1.0, "M": 2.0, "L": 4.0, "XL": 8.0}
"""Capacity units of an hour of one node."""
RATES_SOURCE = (
    "https://dataplatform.cloud.ibm.com/docs/content/wsj/analyze-data/run-cuh-deploy-spaces.html, "
    "read 2026-11-24"
)
SHORTEST = 60
"""Seconds that each training is billed for at least, on the same page."""
_SAID = "as providers.watson.prices says"


def hour_price(settings: WatsonSettings, budget: Money | None) -> HourPrice | str:
    """Return what an hour of a trial costs, or why that is not known.

    Args:
        settings: With the hardware, and what the user says of prices.
        budget: The study's; it says whether units or money are asked for.
    """
    units = capacity_units(settings)
    prices = settings.prices
    if prices is not None and (budget is None or budget.currency != UNIT):
        if prices.hour:
            return HourPrice(*prices.hour, _SAID)
        if prices.capacity_unit_hour and units is not None:
            amount, currency = prices.capacity_unit_hour
            return HourPrice(amount * units, currency, f"{units:g} {UNIT}, {_SAID}")
    if units is not None:
        return HourPrice(units, UNIT, RATES_SOURCE)
    if settings.backend == "wml":
        if _names_hardware(settings):
            return "native changes the hardware, so what an hour of it costs is not known"
        if settings.hardware_spec is None:
            return "what an hour costs depends on hardware_spec, which is not given"
        return f"IBM's page has no capacity units of {settings.hardware_spec}"
    return "IBM has no price list of WML Accelerator"


def capacity_units(settings: WatsonSettings) -> float | None:
    """Return the capacity units of an hour of a trial, or None where IBM's page has no rate.

    It has none of hardware that ``native`` names.
    """
    if settings.backend != "wml" or _names_hardware(settings):
        return None
    rate = RATES.get(settings.hardware_spec or "")
    return rate * settings.nodes if rate is not None else None


def _names_hardware(settings: WatsonSettings) -> bool:
    return overrides_any(settings.native, {"hardware_spec"})
