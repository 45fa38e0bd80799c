"""What an hour of a trial costs: what the user says, else what is in ``prices.json``."""

from __future__ import annotations

from pathlib import Path

from cloudtune.provider.cost import HourPrice, overrides_any, read_prices
from cloudtune_vertex.settings import VertexSettings

MACHINES = frozenset(
    {"machineSpec", "diskSpec", "replicaCount", "strategy", "persistentResourceId"}
)
"""The fields of a job that say which machines a trial has, how many, and how they are got."""
LIMITS = frozenset({"maxTrialCount", "parallelTrialCount", "timeout", "studyStoppingConfig"})
"""The fields of a job that bound how long how many trials run."""
LONGEST_TRIAL = 7 * 86_400
"""Scheduling.timeout where none is given, in `cloudtune_vertex.capabilities.TYPES`."""


def hour_price(location: str, machine_type: str, settings: VertexSettings) -> HourPrice | str:
    """Return what an hour of a trial costs, or why that is not known.

    The list is of plain machines on demand: it says nothing of accelerators, of disks that a study
    chooses, of spare or awaited capacity, or of the machines that ``native`` names.
    """
    if settings.prices:
        amount, currency = settings.prices.hour
        return HourPrice(amount, currency, "as providers.vertex.prices says")
    if overrides_any(settings.native, MACHINES):
        return "native changes the machines, so what an hour of all of them costs is not known"
    table = read_prices(Path(__file__).with_name("prices.json"), "location", "machine_type")
    disk = "a disk of its own" if settings.disk_type or settings.disk_gb else None
    plain = not (settings.accelerator_type or disk or settings.spot or settings.flex_start)
    if plain and (location, machine_type) in table:
        return table[location, machine_type]
    what = " with ".join(filter(None, [machine_type, settings.accelerator_type, disk]))
    how = "spot " if settings.spot else "flex-start " if settings.flex_start else ""
    return f"what {how}{what} costs in {location} is not known"
