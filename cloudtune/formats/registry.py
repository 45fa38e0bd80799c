"""The formats that belong to no provider: cloudtune's own, and those of other packages."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, cast

from cloudtune.common.entry_points import find_entry_points
from cloudtune.errors import UsageError

if TYPE_CHECKING:
    from cloudtune.formats.model import Format

GROUP = "cloudtune.formats"
"""The entry points of other packages: the name of a format, and a class without arguments."""

_MODULES = {
    "optuna": "cloudtune.formats.optuna:OptunaFormat",
    "ray": "cloudtune.formats.ray:RayFormat",
    "syne-tune": "cloudtune.formats.syne_tune:SyneTuneFormat",
    "configspace": "cloudtune.formats.configspace:ConfigSpaceFormat",
    "nni": "cloudtune.formats.nni:NniFormat",
    "ai-platform": "cloudtune.formats.ai_platform:AiPlatformFormat",
    "wandb": "cloudtune.formats.wandb:WandbFormat",
    "azure": "cloudtune.formats.azure:AzureFormat",
    "ibm-experiments": "cloudtune.formats.ibm_experiments:ExperimentsFormat",
    "hydra": "cloudtune.formats.hydra:HydraFormat",
    "katib": "cloudtune.formats.katib:KatibFormat",
    "vizier": "cloudtune.formats.vizier:VizierFormat",
}
"""The class of each of cloudtune's own formats. The name is also the block under ``providers``."""


def names() -> list[str]:
    """Return the names of the formats without a provider, without importing them."""
    return sorted({*_MODULES, *_entries()})


def get(name: str) -> Format:
    """Return the format of this name.

    Raises:
        UsageError: If its package cannot be imported.
    """
    if name in _MODULES:
        module, _, attribute = _MODULES[name].partition(":")
        return cast("Format", getattr(import_module(module), attribute)())
    entry = _entries()[name]
    try:
        return cast("Format", entry.load()())
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the format {name} ({entry.value}) cannot be imported: {error}"
        ) from error


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in reversed(find_entry_points(GROUP))}
