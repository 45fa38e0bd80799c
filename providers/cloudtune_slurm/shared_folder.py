"""The folder of a run on the cluster, for `cloudtune clean --remote`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cloudtune_slurm.host import Host


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
