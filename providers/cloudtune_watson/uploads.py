"""What the uploads to all clusters have in common: inputs, and the files of a trial."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from cloudtune.provider import JobContext, Plan, ProviderError, launcher_files
from cloudtune.provider.lookup import input_files
from cloudtune_watson.errors import PROVIDER

_CONTRACT = Path(__file__).with_name("launcher_contract.py")


def copy_inputs(plan: Plan, context: JobContext) -> None:
    """Copy local inputs to the emulator's volume; nothing is copied to a cluster.

    Raises:
        ProviderError: If an input cannot be read.
    """
    inputs = plan.facts.lookup.inputs
    for name, path in inputs.uploads.items():
        folder = context.emulator_folder / "volume" / str(inputs.addresses[name])
        try:
            for inner, file in input_files(Path(path)):
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        except OSError as error:
            raise ProviderError(PROVIDER, f"cannot read an input: {error}") from error


def packing_error(error: OSError) -> ProviderError:
    """Return the error that code cannot be packed."""
    return ProviderError(PROVIDER, f"cannot pack the code: {error}")


def source_folder(context: JobContext) -> Path | None:
    """Return the folder with the user's code, if any."""
    folder = context.folder / "source"
    return folder if folder.is_dir() else None


def travelling_files(plan: Plan) -> dict[str, bytes]:
    """Return the launcher's files by name."""
    paths: Mapping[str, str] = plan.facts.data["paths"]
    return launcher_files(plan.fitted, plan.facts.run_id, paths, contract=_CONTRACT)
