"""The readers of finished runs, by tool: cloudtune's own, and those of other packages.

To add one, write a `RunReader` in a file under ``cloudtune/formats`` and add its row here::

    class OptunaReader(RunReader):
        name, title = "optuna", "an Optuna storage"
        source = "https://optuna.readthedocs.io, 4.5, 2026-11"

        def matches(self, path: Path) -> bool:
            return path.suffix == ".db" and has_optuna_tables(path)

        def read(self, location: str, choice: RunChoice) -> FinishedRun:
            return FinishedRun(study=..., trials=[...], job="my-study", address="optuna:sqlite:...")

`cloudtune attach optuna:LOCATION`, or ``attach PATH`` if the reader matches the path, then records
the run. `cloudtune.attachments.finished_runs.record_finished` does the same for any caller.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cloudtune.common.entry_points import find_entry_points
from cloudtune.errors import UsageError

if TYPE_CHECKING:
    from cloudtune.formats.run_reader import RunReader

GROUP = "cloudtune.run_readers"
"""The entry points of other packages: the name of a tool, and a class without arguments."""

_MODULES: dict[str, str] = {
    "mlflow": "cloudtune.formats.tool_runs.mlflow:MlflowReader",
    "optuna": "cloudtune.formats.tool_runs.optuna:OptunaReader",
    "ray": "cloudtune.formats.tool_runs.ray:RayReader",
    "syne-tune": "cloudtune.formats.tool_runs.syne_tune:SyneTuneReader",
    "wandb": "cloudtune.formats.tool_runs.wandb:WandbReader",
}
"""The class of each of cloudtune's own readers, by the name of its tool."""


def names() -> list[str]:
    """Return the names of the tools, without importing their readers."""
    return sorted({*_MODULES, *_entries()})


def get(name: str) -> RunReader:
    """Return the reader of this name.

    Raises:
        UsageError: If its package cannot be imported.
    """
    if name in _MODULES:
        module, _, attribute = _MODULES[name].partition(":")
        return cast("RunReader", getattr(import_module(module), attribute)())
    entry = _entries()[name]
    try:
        return cast("RunReader", entry.load()())
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the reader {name} ({entry.value}) cannot be imported: {error}"
        ) from error


def detect(path: Path) -> RunReader:
    """Return the one reader that recognizes a file or folder.

    Raises:
        UsageError: If there is none, or several.
    """
    found = [reader for reader in map(get, names()) if reader.matches(path)]
    if not found:
        known = ", ".join(names()) or "no tool"
        raise UsageError(f"{path}: unknown kind of run. cloudtune reads those of {known}")
    if len(found) > 1:
        raise UsageError(
            f"{path} may be {' or '.join(each.title for each in found)}; name one: "
            f"{' or '.join(f'{each.name}:{path}' for each in found)}"
        )
    return found[0]


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in reversed(find_entry_points(GROUP))}
