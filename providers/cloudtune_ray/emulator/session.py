"""The session of a cluster: its folder as Ray lays it out, its packages, jobs and nodes.

``logs/job-driver-ID.log`` is the log of a job (job/common.py, JOB_LOGS_PATH_TEMPLATE), and
``runtime_resources/working_dir_files/PACKAGE`` the code, once per node and shared by its jobs
(_private/runtime_env/working_dir.py).
"""

from __future__ import annotations

import io
import secrets
import shutil
import zipfile
from pathlib import Path

from cloudtune_ray.emulator.state import Job, Node


class Session:
    """The session of one start of the head."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.reset()

    def reset(self) -> None:
        """Discard the state, as a head without fault tolerance does at a restart."""
        self.name = f"session_{secrets.token_hex(4)}"
        self.packages: dict[str, bytes] = {}
        self.jobs: dict[str, Job] = {}
        self.nodes = [Node(is_head=True), Node(), Node()]

    def job_log(self, job: str) -> Path:
        """Return the log of a job."""
        return self.logs / f"job-driver-{job}.log"

    def choose_node(self) -> Node:
        """Return the node with the fewest jobs."""
        alive = [node for node in self.nodes if node.is_alive and not node.is_head]
        running = [job.node for job in self.jobs.values() if not job.is_over]
        return min(alive, key=lambda node: sum(node is other for other in running))

    def lose(self, node: Node) -> None:
        """Take a node away; another one takes its place."""
        node.is_alive = False
        self.nodes.append(Node())

    def unpack(self, address: str) -> Path:
        """Return the folder with a package.

        Raises:
            OSError: If the package does not exist or is no zip file.
        """
        name = address.removeprefix("gcs://")
        target = self.folder / "runtime_resources" / "working_dir_files" / name.removesuffix(".zip")
        if target.is_dir():
            return target
        if name not in self.packages:
            raise OSError(
                f"Failed to download runtime_env file package {address} from the GCS to the Ray "
                "worker node. The package may have prematurely been deleted from the GCS."
            )
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with zipfile.ZipFile(io.BytesIO(self.packages[name])) as package:
                package.extractall(partial)
                for entry in package.infolist():
                    if mode := entry.external_attr >> 16 & 0o777:
                        (partial / entry.filename).chmod(mode)
        except zipfile.BadZipFile as error:
            raise OSError(str(error)) from error
        partial.rename(target)
        return target
