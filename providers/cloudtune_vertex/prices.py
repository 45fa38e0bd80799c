"""What an hour of a trial costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

from pathlib import Path

from cloudtune.cost import HourPrice, changes_machines, listed
from cloudtune_vertex.settings import VertexSettings

MACHINES = frozenset({"machineSpec", "replicaCount", "strategy", "persistentResourceId"})
"""The fields of a job that say which machines a trial has, how many, and how they are got."""


def hour_price(location: str, machine_type: str, settings: VertexSettings) -> HourPrice | str:
    """Return what an hour of a trial costs, or why that is not known.

    The list is of plain machines on demand: it says nothing of accelerators, and nothing of spare
    or awaited capacity, and nothing of the machines that ``native`` names.
    """
    if settings.prices:
        amount, currency = settings.prices.hour
        return HourPrice(amount, currency, "as providers.vertex.prices says")
    if changes_machines(settings.native, MACHINES):
        return "native changes the machines, so what an hour of all of them costs is not known"
    table = listed(Path(__file__).with_name("prices.json"), "location", "machine_type")
    plain = not (settings.accelerator_type or settings.spot or settings.flex_start)
    if plain and (location, machine_type) in table:
        return table[location, machine_type]
    what = " with ".join(filter(None, [machine_type, settings.accelerator_type]))
    how = "spot " if settings.spot else "flex-start " if settings.flex_start else ""
    return f"what {how}{what} costs in {location} is not known"
