"""Runs on a real Slurm, as users start them, while the cluster and cloudtune are disturbed."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloudtune_slurm.cluster import Cluster
from tests.cloudtune_slurm.conftest import end_cluster, start_cluster

pytestmark = pytest.mark.slow

SCRIPT = """\
import os, sys, time
from cloudtune.trial import checkpoint_dir, params, report
path = os.path.join(checkpoint_dir(), "step")
done = int(open(path).read()) if os.path.exists(path) else 0
print("begins with", done, flush=True)
for step in range(done + 1, STEPS + 1):
    report(score=params()["x"] * step, step=step)
    with open(path + ".new", "w") as file:
        file.write(str(step))
    os.replace(path + ".new", path)
    time.sleep(PAUSE)
"""
STUDY = """\
objective: {{metric: score, goal: maximize}}
parameters:
  x: {{type: float, min: 0.1, max: 1}}
strategy: {{name: random, seed: 3}}
limits: {{max_trials: {trials}, parallel_trials: {parallel}}}
trial: {{script: train.py, resources: {{cpus: 1, memory: 100 MB}}}}
providers:
  slurm: {{queue_interval: 2s, poll_interval: 1s, grace: 5s}}
"""


class User:
    """A user of the cluster, with a study in a folder."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.env = {**cluster.environment, "CLOUDTUNE_HOME": str(folder / "state")}
        self.env["PATH"] = f"{folder / 'bin'}:{self.env['PATH']}"

    def study(
        self, *, trials: int = 4, parallel: int = 4, steps: int = 3, pause: float = 0.2
    ) -> None:
        """Write the study."""
        script = SCRIPT.replace("STEPS", str(steps)).replace("PAUSE", str(pause))
        (self.folder / "train.py").write_text(script)
        (self.folder / "study.yaml").write_text(STUDY.format(trials=trials, parallel=parallel))

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of cloudtune."""
        return subprocess.Popen(
            [sys.executable, "-m", "cloudtune", *words],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *words: str) -> str:
        """Run a command of cloudtune to its end."""
        process = self.begin(*words)
        output, _ = process.communicate(timeout=250)
        assert process.returncode == 0, output
        return output

    def trials(self) -> list[Any]:
        """Return the trials of the latest run."""
        done = subprocess.run(
            [sys.executable, "-m", "cloudtune", "results", "--json"],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        jobs: list[Any] = json.loads(done.stdout) if done.stdout.startswith("[") else []
        trials: list[Any] = jobs[0]["trials"] if jobs else []
        return trials

    def jobs(self) -> Counter[str]:
        """Return how many jobs of each name Slurm has had for the latest run."""
        (run,) = {path.name for path in (self.folder / "state" / "runs").iterdir()}
        done = self.cluster.run("squeue", "-h", "-t", "all", "-o", "%j|%k")
        lines = [line.rpartition("|") for line in done.stdout.splitlines()]
        return Counter(name for name, _, comment in lines if comment == f"cloudtune:{run}")

    def check(self, trials: int) -> None:
        """Check that each trial of the study completed, and that each job was created once."""
        results = self.trials()
        completed = [trial for trial in results if trial["state"] == "completed"]
        assert len(completed) == trials
        assert {trial["state"] for trial in results} <= {"completed", "cancelled"}
        for trial in completed:
            x = trial["parameters"]["x"]
            steps = [each["step"] for each in trial["measurements"]]
            assert steps == sorted(set(steps))
            assert trial["objective"] == pytest.approx([x * steps[-1]])
        names = self.jobs()
        assert set(names.values()) == {1}, names
        assert {trial["id"] for trial in completed} <= names.keys()
        assert len(names) <= len(results)

    def write_command(self, name: str, body: str) -> None:
        """Put a program before one of Slurm's on the PATH; ``$real`` is that one."""
        real = shutil.which(name, path=self.cluster.environment["PATH"])
        program = self.folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nreal={real}\n{body}\n")
        program.chmod(0o755)


@pytest.fixture
def user(cluster: Cluster, tmp_path: Path) -> Iterator[User]:
    """A user of the shared cluster, of whom nothing is left."""
    yield User(cluster, tmp_path)
    deadline = time.monotonic() + 200
    while cluster.processes():
        assert time.monotonic() < deadline, cluster.processes()
        time.sleep(0.2)


def until(is_good: Callable[[], bool], seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not is_good():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_run_on_the_cluster(user: User) -> None:
    user.study(trials=6)
    output = user.call("run", "study.yaml", "--on", "slurm")
    assert "6 trials on slurm" in output
    user.check(6)


def test_the_files_of_a_trial_come_home(user: User) -> None:
    user.study(trials=2)
    user.call("run", "study.yaml", "--on", "slurm")
    user.call("fetch", "--best", "-o", "best")
    best = user.folder / "best"
    assert (best / "checkpoint" / "step").read_text() == "3"
    assert "begins with 0" in (best / "log.txt").read_text()
    trial = json.loads((best / "trial.json").read_text())
    assert trial["objective"] == max(each["objective"] for each in user.trials())


def test_lost_answers_never_make_a_second_job(user: User) -> None:
    user.study(trials=4, parallel=2)
    count = 'n=$(cat "$0.count" 2>/dev/null || echo 0); echo $((n + 1)) > "$0.count"'
    lost = "echo 'error: Batch job submission failed: Socket timed out on send/recv operation' >&2"
    user.write_command(
        "sbatch",
        f'{count}\ncase $n in 0|2|3) "$real" "$@" >/dev/null; {lost}; exit 1;; esac\n'
        f'[ $n = 1 ] && {{ {lost}; exit 1; }}\nexec "$real" "$@"',
    )
    user.write_command(
        "squeue",
        f"{count}\n[ $((n % 3)) = 1 ] && {{ echo 'slurm_load_jobs error: Unable to contact slurm "
        f'controller (connect failure)\' >&2; exit 1; }}\nexec "$real" "$@"',
    )
    user.call("run", "study.yaml", "--on", "slurm")
    user.check(4)
    assert int((user.folder / "bin" / "sbatch.count").read_text()) >= 5


def test_a_run_whose_process_is_killed_again_and_again_is_resumed(user: User) -> None:
    user.study(trials=8, parallel=3, steps=4, pause=0.5)
    chance = random.Random(11)
    words = ["run", "study.yaml", "--on", "slurm"]
    for _ in range(6):
        process = user.begin(*words)
        until(lambda: bool(list((user.folder / "state").glob("runs/*/slurm/shared"))))
        words = ["resume"]
        try:
            process.communicate(timeout=1 + chance.random() * 5)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    user.call("resume")
    user.check(8)


def test_a_run_is_detached_followed_and_stopped(user: User) -> None:
    user.study(trials=40, parallel=3, steps=40, pause=0.25)
    output = user.call("run", "study.yaml", "--on", "slurm", "--detach")
    assert re.search(r"\brun (\w+)", output), output
    until(lambda: any(trial["measurements"] for trial in user.trials()))
    user.call("stop")
    until(lambda: {trial["state"] for trial in user.trials()} == {"cancelled"})
    assert set(user.jobs().values()) == {1}
    until(lambda: "RUNNING" not in user.cluster.run("squeue", "-h", "-o", "%T").stdout)


def test_jobs_go_on_while_nothing_follows_them(user: User) -> None:
    user.study(trials=2, parallel=2, steps=12, pause=0.5)
    process = user.begin("run", "study.yaml", "--on", "slurm")
    until(lambda: any(trial["measurements"] for trial in user.trials()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not user.cluster.run("squeue", "-h").stdout.strip())
    user.call("resume")
    user.check(2)
    assert all(len(trial["measurements"]) == 12 for trial in user.trials())


def test_a_secret_reaches_the_script_and_is_nowhere_else(user: User) -> None:
    user.study(trials=1, parallel=1)
    (user.folder / "train.py").write_text(
        "import os\nfrom cloudtune.trial import report\n"
        "report(score=len(os.environ['TOKEN']))\nprint(os.environ['TOKEN'])\n"
    )
    study = user.folder / "study.yaml"
    env = "script: train.py, env: {TOKEN: {from_env: MY_TOKEN}}"
    study.write_text(study.read_text().replace("script: train.py", env))
    user.env["MY_TOKEN"] = "very-secret-value"
    user.call("run", "study.yaml", "--on", "slurm")
    (trial,) = user.trials()
    assert trial["objective"] == [17.0]
    for path in user.folder.rglob("*"):
        assert not path.is_file() or b"very-secret" not in path.read_bytes(), path
    (name,) = user.jobs()
    job = user.cluster.run("squeue", "-h", "-t", "all", f"--name={name}", "-o", "%i").stdout.strip()
    shown = user.cluster.run("scontrol", "show", "job", job).stdout
    assert f"JobName={name}" in shown
    shown += user.cluster.run("scontrol", "write", "batch_script", job, "-").stdout
    assert "train" in shown or "cloudtune" in shown
    assert "very-secret" not in shown


def test_a_trial_on_a_node_that_is_lost_continues_elsewhere(tmp_path: Path) -> None:
    cluster = start_cluster()
    try:
        user = User(cluster, tmp_path)
        user.study(trials=2, parallel=2, steps=100, pause=0.5)
        study = tmp_path / "study.yaml"
        text = study.read_text().replace("cpus: 1", "cpus: 3")  # one on each node
        study.write_text(text)
        process = user.begin("run", "study.yaml", "--on", "slurm")
        until(lambda: sum(len(t["measurements"]) > 4 for t in user.trials()) == 2)
        cluster.kill_node("n2")
        until(lambda: any(trial["state"] == "cancelled" for trial in user.trials()))
        cluster.start_node("n2")
        output, _ = process.communicate(timeout=250)
        assert process.returncode == 0, output
        user.check(2)
        (lost,) = [trial for trial in user.trials() if trial["state"] == "cancelled"]
        assert "NODE_FAIL" in lost["reason"]
        (again,) = [t for t in user.trials() if t["number"] > 2]
        begin = re.search(r"begins with (\d+)", Path(again["log"]).read_text())
        assert begin
        assert int(begin[1]) > 3
    finally:
        end_cluster(cluster)


def test_a_trial_that_slurm_kills_for_its_memory_starts_again_with_more(tmp_path: Path) -> None:
    cluster = start_cluster(
        nodes=1,
        more=[
            "JobAcctGatherType=jobacct_gather/linux",
            "JobAcctGatherFrequency=task=1",
            "JobAcctGatherParams=OverMemoryKill",
        ],
    )
    try:
        user = User(cluster, tmp_path)
        user.study(trials=1, parallel=1)
        (tmp_path / "train.py").write_text(
            "import os, time\n"
            "from cloudtune.trial import checkpoint_dir, report\n"
            "path = os.path.join(checkpoint_dir(), 'started')\n"
            "again = os.path.exists(path)\n"
            "open(path, 'w').close()\n"
            "memory = bytearray(b'x') * 300_000_000\n"
            "time.sleep(0 if again else 100)\n"
            "report(score=len(memory))\n"
        )
        study = tmp_path / "study.yaml"
        more = "memory: 200 MiB}, retry: {on: memory, memory: 3x}"
        study.write_text(study.read_text().replace("memory: 100 MB}", more))
        output = user.call("run", "study.yaml", "--on", "slurm")
        (trial,) = user.trials()
        assert trial["state"] == "completed", output
        assert "ran out of memory; starts again with 600 MiB" in output
        assert len(user.jobs()) == 2
    finally:
        end_cluster(cluster)
