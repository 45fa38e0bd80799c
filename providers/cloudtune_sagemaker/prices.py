"""The price of a trial: from the settings, else from ``prices.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloudtune.provider import Price, overrides_any, read_prices, unset_price_factor
from cloudtune_sagemaker.settings import SageMakerSettings

MACHINES = frozenset(
    {"InstanceType", "InstanceCount", "InstanceConfigs", "InstanceGroups", "TrainingPlanArn"}
    | {"KeepAlivePeriodInSeconds"}
)
"""The fields of a job that set the machines of a trial, their number and how they are paid."""
LIMITS = frozenset(
    {"MaxNumberOfTrainingJobs", "MaxParallelTrainingJobs", "MaxRuntimeInSeconds"}
    | {"MaxWaitTimeInSeconds"}
)
"""The fields of a job that limit the number and the duration of trials."""


def hour_price(region: str, types: Sequence[str], settings: SageMakerSettings) -> Price | str:
    """Return the price of a trial, or the reason why it is unknown.

    Any of several types may be used, so the highest of their prices counts; if one of them is
    unknown, the price is. Instances in a warm pool are billed like running ones. The list does not
    cover instances that ``native`` sets.
    """
    native, idle = overrides_any(settings.native, MACHINES), settings.keep_alive or 0.0
    if settings.prices:
        amount, currency = settings.prices.hour
        count = 1 if native else settings.instance_count
        price = Price.hourly(amount * count, currency, "from providers.sagemaker.prices")
        return replace(price, idle_seconds=idle)
    if native:
        return "native changes the instances, so their price is unknown"
    if reason := unset_price_factor(region=region, instance_type=types[0]):
        return reason
    table = read_prices(Path(__file__).with_name("prices.json"), "region", "instance_type")
    prices = [table[region, name] for name in types if (region, name) in table]
    if len(prices) < len(types):
        return f"the price of {' or '.join(types)} in {region} is unknown"
    highest = max(prices, key=lambda price: price.per_second)
    per_second = highest.per_second * settings.instance_count
    return replace(highest, per_second=per_second, idle_seconds=idle)
