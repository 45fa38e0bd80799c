"""The code of a run in its folder on the cluster, and what a run leaves there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from cloudtune.provider import JobContext, Json, Plan, launcher_files, pack_code
from cloudtune_slurm import launcher_contract
from cloudtune_slurm.host import Host
from cloudtune_slurm.layout import COMPLETE
from cloudtune_slurm.request import ARCHIVE, SCRIPT
from cloudtune_slurm.settings import NAME


def copy_code(host: Host, plan: Plan, context: JobContext, request: Json) -> None:
    """Copy the script of the jobs and the code into the folder of the run, unless they are there.

    Raises:
        SlurmError: If the folder cannot be written.
    """
    folder: str = request["folder"]
    if host.read({f"{folder}/{COMPLETE}": 0}):
        return
    contract = Path(launcher_contract.__file__)
    files = launcher_files(plan.fitted, plan.facts.run_id, paths={}, contract=contract)
    archive = pack_code(NAME, context, ARCHIVE, files)
    host.upload(f"{folder}/{ARCHIVE}", archive)
    archive.unlink()
    script = "\n".join([*request["script"], ""]).encode()
    host.write(folder, {SCRIPT: script, COMPLETE: b""})


class SharedFolder:
    """The files of one run: the `Folders` of Slurm. Every call may raise `SlurmError`."""

    def __init__(self, host: Host, folder: str) -> None:
        """Create the access to the folder.

        Args:
            host: Where the folder is.
            folder: The folder of the run. Nothing outside of it is ever deleted.
        """
        self._host = host
        self._folder = folder

    def list(self, folder: str) -> Mapping[str, int]:
        """Return the sizes of the files that the run has uploaded; the folder may not exist.

        What trials wrote is in folders below it, and stays.
        """
        script = '[ ! -d "$1" ] || exec find "$1" -maxdepth 1 -type f -printf "%s %p\\0"'
        output = self._host.run(["/bin/sh", "-c", script, "find", folder])
        entries = [entry.partition(" ") for entry in output.split("\0") if entry]
        return {path: int(size) for size, _, path in entries}

    def delete(self, addresses: Collection[str]) -> None:
        """Delete files of the run."""
        inside = [each for each in addresses if each.startswith(f"{self._folder}/")]
        if inside:
            self._host.run(["rm", "-f", "--", *inside])
