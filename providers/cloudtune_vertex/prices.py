"""The price of a trial: from the settings, else from ``prices.json``."""

from __future__ import annotations

from pathlib import Path

from cloudtune.provider import Price, overrides_any, read_prices, unset_price_factor
from cloudtune_vertex.settings import VertexSettings

MACHINES = frozenset(
    {"machineSpec", "diskSpec", "replicaCount", "strategy", "persistentResourceId"}
)
"""The fields of a job that set the machines of a trial, their number and how they are allocated."""
LIMITS = frozenset({"maxTrialCount", "parallelTrialCount", "timeout", "studyStoppingConfig"})
"""The fields of a job that limit the number and the duration of trials."""
LONGEST_TRIAL = 7 * 86_400
"""Seconds; the default of Scheduling.timeout, in `cloudtune_vertex.capabilities.TYPES`."""


def hour_price(location: str, machine_type: str, settings: VertexSettings) -> Price | str:
    """Return the price of a trial, or the reason why it is unknown.

    The list covers plain machines on demand. It does not cover accelerators, disks that the study
    sets, spot and flex-start capacity, or machines that ``native`` sets.
    """
    if settings.prices:
        return Price.hourly(*settings.prices.hour, "from providers.vertex.prices")
    if overrides_any(settings.native, MACHINES):
        return "native changes the machines, so their price is unknown"
    if reason := unset_price_factor(location=location, machine_type=machine_type):
        return reason
    table = read_prices(Path(__file__).with_name("prices.json"), "location", "machine_type")
    disk = "a custom disk" if settings.disk_type or settings.disk_gb else None
    plain = not (settings.accelerator_type or disk or settings.spot or settings.flex_start)
    if plain and (location, machine_type) in table:
        return table[location, machine_type]
    machine = " with ".join(filter(None, [machine_type, settings.accelerator_type, disk]))
    capacity = "spot " if settings.spot else "flex-start " if settings.flex_start else ""
    return f"the price of {capacity}{machine} in {location} is unknown"
