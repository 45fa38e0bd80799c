"""A real Ray cluster on this machine: a head and nodes, with a token, private ports and folders."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.free_ports import free_ports

RAY = "CLOUDTUNE_TEST_RAY"
"""The variable with the path of Ray's command line; else the one on the PATH is used."""
_MARK = "CLOUDTUNE_TEST_CLUSTER"


def find_ray() -> str | None:
    """Return Ray's command line, if it is installed."""
    return os.environ.get(RAY) or shutil.which("ray")


class Cluster:
    """A head without CPUs, and nodes with four each."""

    def __init__(self, ray: str) -> None:
        self._ray = ray
        self._mark = secrets.token_hex(8)
        self._starts = itertools.count(1)
        self.token = secrets.token_hex(32)
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # sockets need short paths
        self._port, self._dashboard = free_ports(2)
        self.url = f"http://127.0.0.1:{self._dashboard}"
        self._start(
            "--head",
            "--num-cpus=0",
            f"--port={self._port}",
            f"--dashboard-port={self._dashboard}",
            "--include-dashboard=true",
            f"--temp-dir={self.folder}",
            "--disable-usage-stats",
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which cloudtune reaches the cluster."""
        return {"RAY_API_SERVER_ADDRESS": self.url, "RAY_AUTH_TOKEN": self.token}

    def add_node(self, *words: str, **variables: str) -> str:
        """Start a node, with more words for ``ray start`` and variables of its raylet.

        Returns:
            What `kill_node` takes.
        """
        return self._start(f"--address=127.0.0.1:{self._port}", "--num-cpus=4", *words, **variables)

    def kill_node(self, node: str) -> None:
        """Kill all processes of a node."""
        self._kill(node)

    def kill_node_of(self, pid: int) -> None:
        """Kill the raylet below which a process runs, as if its machine had failed."""
        for parent in psutil.Process(pid).parents():
            if parent.name() == "raylet":
                parent.kill()
                return
        raise AssertionError(f"process {pid} has no raylet")

    def close(self) -> None:
        """End all processes of the cluster, and only these."""
        self._kill(self._mark)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self, mark: str) -> None:
        untyped: Any = psutil  # a stub of wait_procs names a type that pyright lacks
        for _ in range(10):
            processes = list(_processes(mark))
            for process in processes:
                with suppress(psutil.Error):
                    process.kill()
            if not processes:
                return
            untyped.wait_procs(processes, 10)

    def _start(self, *words: str, **variables: str) -> str:
        agent = f"--dashboard-agent-listen-port={free_ports(1)[0]}"
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CLOUDTUNE_"))},
            "PATH": f"{Path(self._ray).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",  # other processes may fill this machine
            **variables,
        }
        for _ in range(3):  # a node sometimes does not come up in time on a busy machine
            command = [self._ray, "start", *words, agent]
            env[_MARK] = mark = f"{self._mark}-{next(self._starts)}."
            with (self.folder / "start.log").open("ab") as log, suppress(subprocess.TimeoutExpired):
                done = subprocess.run(
                    command, env=env, stdout=log, stderr=log, check=False, timeout=240
                )
                if done.returncode == 0:
                    return mark
            self._kill(mark)
        text = (self.folder / "start.log").read_text("utf-8", "replace")
        self.close()
        raise AssertionError(text[-2000:])


def processes_of_run(run: str) -> list[psutil.Process]:
    """Return the processes of the scripts of a run."""
    return list(_processes(run, "CLOUDTUNE_RUN"))


def _processes(value: str, variable: str = _MARK) -> Iterator[psutil.Process]:
    """Yield the processes with a variable that begins so."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(variable, "").startswith(value):
                yield process
