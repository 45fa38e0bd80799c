"""What an hour of a trial costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cloudtune.cost import changes_machines
from cloudtune_vertex.settings import VertexSettings

MACHINES = frozenset({"machineSpec", "replicaCount", "strategy", "persistentResourceId"})
"""The fields of a job that say which machines a trial has, how many, and how they are got."""


@dataclass(frozen=True)
class HourPrice:
    """The price of one hour of one machine."""

    amount: float
    currency: str
    source: str


def hour_price(location: str, machine_type: str, settings: VertexSettings) -> HourPrice | None:
    """Return what an hour of a trial costs, or None if that is not known.

    The list is of plain machines on demand: it says nothing of accelerators, and nothing of spare
    or awaited capacity, and nothing of the machines that ``native`` names.
    """
    if settings.prices:
        amount, currency = settings.prices.hour
        return HourPrice(amount, currency, "as providers.vertex.prices says")
    if settings.accelerator_type or settings.spot or settings.flex_start:
        return None
    if changes_machines(settings.native, MACHINES):
        return None
    return _listed().get((location, machine_type))


@cache
def _listed() -> dict[tuple[str, str], HourPrice]:
    table = json.loads((Path(__file__).parent / "prices.json").read_text("utf-8"))
    return {
        (row["location"], row["machine_type"]): HourPrice(
            row["hour"], table["currency"], f"{row['source']}, read {row['read']}"
        )
        for row in table["prices"]
    }
