"""What an hour of an instance costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloudtune.provider.cost import HourPrice, overrides_any, read_prices
from cloudtune_sagemaker.settings import SageMakerSettings

MACHINES = frozenset(
    {"InstanceType", "InstanceCount", "InstanceConfigs", "InstanceGroups", "TrainingPlanArn"}
    | {"KeepAlivePeriodInSeconds"}
)
"""The fields of a job that say which machines a trial has, how many, and how they are paid."""
LIMITS = frozenset(
    {"MaxNumberOfTrainingJobs", "MaxParallelTrainingJobs", "MaxRuntimeInSeconds"}
    | {"MaxWaitTimeInSeconds"}
)
"""The fields of a job that bound how long how many trials run."""


def hour_price(region: str, types: Sequence[str], settings: SageMakerSettings) -> HourPrice | str:
    """Return what an hour of a trial costs, or why that is not known.

    Of several types it is the dearest, since any of them may be taken; if one of them is not known,
    none is. The list says nothing of the instances that ``native`` names.
    """
    changed = overrides_any(settings.native, MACHINES)
    if settings.prices:
        amount, currency = settings.prices.hour
        count = 1 if changed else settings.instance_count
        return HourPrice(amount * count, currency, "as providers.sagemaker.prices says")
    if changed:
        return "native changes the instances, so what an hour of all of them costs is not known"
    table = read_prices(Path(__file__).with_name("prices.json"), "region", "instance_type")
    prices = [table[region, name] for name in types if (region, name) in table]
    if len(prices) < len(types):
        return f"what {' or '.join(types)} costs in {region} is not known"
    dearest = max(prices, key=lambda price: price.amount)
    return replace(dearest, amount=dearest.amount * settings.instance_count)
