"""What an hour of an instance costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from cloudtune.cost import changes_machines
from cloudtune_sagemaker.settings import SageMakerSettings

MACHINES = frozenset(
    {"InstanceType", "InstanceCount", "InstanceConfigs", "InstanceGroups", "TrainingPlanArn"}
    | {"KeepAlivePeriodInSeconds"}
)
"""The fields of a job that say which machines a trial has, how many, and how they are paid."""


@dataclass(frozen=True)
class HourPrice:
    """The price of one hour of the instances of a trial."""

    amount: float
    currency: str
    source: str


def hour_price(
    region: str | None, types: Sequence[str], settings: SageMakerSettings
) -> HourPrice | None:
    """Return what an hour of a trial costs, or None if that is not known.

    Of several types it is the dearest, since any of them may be taken; if one of them is not known,
    none is. The list says nothing of the instances that ``native`` names.
    """
    changed = changes_machines(settings.native, MACHINES)
    if settings.prices:
        amount, currency = settings.prices.hour
        count = 1 if changed else settings.instance_count
        return HourPrice(amount * count, currency, "as providers.sagemaker.prices says")
    if changed:
        return None
    known = [_listed().get((region, name)) for name in types]
    prices = [price for price in known if price is not None]
    if not prices or len(prices) < len(types):
        return None
    dearest = max(prices, key=lambda price: price.amount)
    return replace(dearest, amount=dearest.amount * settings.instance_count)


@cache
def _listed() -> dict[tuple[str | None, str], HourPrice]:
    table = json.loads((Path(__file__).parent / "prices.json").read_text("utf-8"))
    return {
        (row["region"], row["instance_type"]): HourPrice(
            row["hour"], table["currency"], f"{row['source']}, read {row['read']}"
        )
        for row in table["prices"]
    }
