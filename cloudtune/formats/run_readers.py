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

from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.errors import UsageError
from cloudtune.formats.registry import Parts

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


_PARTS: Parts[RunReader] = Parts(GROUP, "reader", _MODULES)
names, get = _PARTS.names, _PARTS.get


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
