"""The formats that belong to no provider: cloudtune's own, and those of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from cloudtune.common.entry_points import find_entry_points
from cloudtune.errors import UsageError

if TYPE_CHECKING:
    from cloudtune.formats.model import Format

PartT = TypeVar("PartT")

GROUP = "cloudtune.formats"
"""The entry points of other packages: the name of a format, and a class without arguments."""

_MODULES = {
    "optuna": "cloudtune.formats.optuna:OptunaFormat",
    "ray": "cloudtune.formats.ray:RayFormat",
    "syne-tune": "cloudtune.formats.syne_tune:SyneTuneFormat",
    "configspace": "cloudtune.formats.configspace:ConfigSpaceFormat",
    "wandb": "cloudtune.formats.wandb:WandbFormat",
    "hydra": "cloudtune.formats.hydra:HydraFormat",
    "katib": "cloudtune.formats.katib:KatibFormat",
    "vizier": "cloudtune.formats.vizier:VizierFormat",
}
"""The class of each of cloudtune's own formats. The name is also the block under ``providers``."""


class Parts(Generic[PartT]):
    """Parts of cloudtune and of other packages, by name; listing them imports none.

    Args:
        group: The entry points of other packages.
        title: What a part is, in messages.
        own: The class of each of cloudtune's own parts.
    """

    def __init__(self, group: str, title: str, own: Mapping[str, str]) -> None:
        self._group = group
        self._title = title
        self._own = own

    def names(self) -> list[str]:
        """Return the names of all parts."""
        return sorted({*self._own, *self._others()})

    def get(self, name: str) -> PartT:
        """Return the part of this name.

        Raises:
            UsageError: If its package cannot be imported.
        """
        if name in self._own:
            return cast("PartT", resolve_name(self._own[name])())
        entry = self._others()[name]
        try:
            return cast("PartT", entry.load()())
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {self._title} {name} ({entry.value}) cannot be imported: {error}"
            ) from error

    def _others(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in reversed(find_entry_points(self._group))}


_PARTS: Parts[Format] = Parts(GROUP, "format", _MODULES)
names, get = _PARTS.names, _PARTS.get
