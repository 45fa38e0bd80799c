"""Real Slurm and the emulator, with the same nodes, for the same tests."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Protocol

import pytest

from cloudtune_slurm.emulator import commands
from tests.cloudtune_slurm.cluster import Cluster, missing
from tests.emulator_server import Served

SAME = """\
ClusterName=test
KillWait=5
MinJobAge=300
NodeName=n[1-2] CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
PartitionName=short Nodes=ALL MaxTime=5
"""
"""The cluster of `Cluster`, for the emulator."""

Done = subprocess.CompletedProcess[str]


class Slurm(Protocol):
    """Something that runs Slurm's commands."""

    def run(
        self,
        *words: str,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Done:
        """Run a command."""
        ...


class EmulatedSlurm(Served):
    """The emulator, called by its commands."""

    def __init__(self, folder: Path, *words: str, conf: str = SAME) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "slurm.conf").write_text(conf)
        super().__init__("cloudtune_slurm.emulator", folder, *words)

    def run(
        self,
        *words: str,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Done:
        """Run a command of Slurm; in this process where only its output counts."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
        own |= {"CLOUDTUNE_SLURM_URL": self.url, "CLOUDTUNE_SLURM_KEY": self.key}
        if words[0] in {"squeue", "sinfo", "scontrol"}:
            out, err = io.StringIO(), io.StringIO()
            with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
                patch.setattr(os, "environ", {**own, **(env or {})})
                code = commands.main(words)
            return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
        return subprocess.run(
            [sys.executable, "-m", "cloudtune_slurm.emulator.commands", *words],
            input=text or "",
            env={**own, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )


def require_slurm() -> None:
    """Skip the test where Slurm is not installed; in CI that is a failure."""
    if reason := missing():
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            pytest.fail(reason)
        pytest.skip(reason)


def start_cluster(*, nodes: int = 2, min_job_age: int = 300, more: Sequence[str] = ()) -> Cluster:
    """Start a cluster in a folder whose path is short enough for a socket."""
    require_slurm()
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = Cluster(folder, nodes=nodes, min_job_age=min_job_age, more=more)
    try:
        cluster.start()
    except BaseException:
        end_cluster(cluster)
        raise
    return cluster


def end_cluster(cluster: Cluster) -> None:
    """End a cluster, of which neither a process nor a file is left."""
    cluster.close()
    assert cluster.processes() == []
    shutil.rmtree(cluster.folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Slurm of two nodes, which the tests of a session share."""
    cluster = start_cluster()
    yield cluster
    end_cluster(cluster)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedSlurm]:
    """An emulator with the same nodes, which the tests of a session share."""
    emulator = EmulatedSlurm(tmp_path_factory.mktemp("slurm") / "emulator")
    emulator.reach()
    yield emulator
    assert emulator.end() == 0


@pytest.fixture(
    params=["emulator", pytest.param("cluster", marks=[pytest.mark.slow])], scope="session"
)
def slurm(request: pytest.FixtureRequest) -> Slurm:
    """The emulator, and a real Slurm in the slow tests."""
    started: Slurm = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def submit(slurm: Slurm, tmp_path: Path) -> Callable[..., int]:
    """Submits a script, and returns the job's id."""

    def submit(script: str, *words: str, env: Mapping[str, str] | None = None) -> int:
        options = ["--parsable", "--mem=10", "--output=out-%j.txt", *words]
        done = slurm.run("sbatch", *options, text=f"#!/bin/sh\n{script}\n", env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return submit


FIELDS = "%i|%T|%r|%R|%N"


def look(slurm: Slurm, job: int) -> Sequence[str]:
    """Return what `squeue` prints of a job, as `FIELDS`."""
    done = slurm.run("squeue", "-h", "-t", "all", "-j", f"{job}", "-o", FIELDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("|")


def wait_for(slurm: Slurm, job: int, *states: str) -> Sequence[str]:
    """Wait until a job is in one of some states; return what `look` returns."""
    deadline = time.monotonic() + 240
    while (seen := look(slurm, job))[1] not in states:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def wait_for_reason(slurm: Slurm, job: int, reason: str) -> None:
    """Wait until a job is pending for a reason; fail when it is no longer pending."""
    deadline, last = time.monotonic() + 200, ""
    while (seen := look(slurm, job))[3] != f"({reason})":
        assert seen[1] == "PENDING", f"{seen}, after {last or 'no reason'}"
        assert time.monotonic() < deadline, seen
        last = seen[3]
        time.sleep(0.05)


def exit_code(slurm: Slurm, job: int) -> str:
    """Return the exit code of a job."""
    done = slurm.run("squeue", "-h", "-t", "all", "-j", f"{job}", "-O", "exit_code")
    return done.stdout.strip()


def wait_for_exit_code(slurm: Slurm, job: int, code: str) -> None:
    """Wait until a job has an exit code, which can come after its last state."""
    deadline = time.monotonic() + 100
    while (seen := exit_code(slurm, job)) != code:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def wait_for_text(file: Path, text: str) -> str:
    """Wait until a file has a text; return all of it."""
    deadline = time.monotonic() + 200
    while not file.exists() or text not in file.read_text():
        assert time.monotonic() < deadline, file.exists() and file.read_text()
        time.sleep(0.1)
    return file.read_text()
