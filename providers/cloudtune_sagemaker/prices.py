"""What an hour of an instance costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cloudtune_sagemaker.settings import SageMakerSettings


@dataclass(frozen=True)
class HourPrice:
    """The price of one hour of one instance."""

    amount: float
    currency: str
    source: str


def hour_price(
    region: str | None, types: Sequence[str], settings: SageMakerSettings
) -> HourPrice | None:
    """Return what an hour of one instance costs, or None if that is not known.

    Of several types it is the dearest, since any of them may be taken; if one of them is not known,
    none is.
    """
    if settings.prices:
        amount, currency = settings.prices.hour
        return HourPrice(amount, currency, "as providers.sagemaker.prices says")
    known = [_listed().get((region, name)) for name in types]
    prices = [price for price in known if price is not None]
    if not prices or len(prices) < len(types):
        return None
    return max(prices, key=lambda price: price.amount)


@cache
def _listed() -> dict[tuple[str | None, str], HourPrice]:
    table = json.loads((Path(__file__).parent / "prices.json").read_text("utf-8"))
    return {
        (row["region"], row["instance_type"]): HourPrice(
            row["hour"], table["currency"], f"{row['source']}, read {row['read']}"
        )
        for row in table["prices"]
    }
