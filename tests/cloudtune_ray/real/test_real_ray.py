"""Whole runs on a real Ray cluster, with lost nodes, lost answers, kills and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle
from cloudtune_ray.client import RayClient
from cloudtune_ray.errors import RayError
from cloudtune_ray.http import Connection, HttpClient
from tests.cloudtune_ray.cluster import Cluster, processes_of_run
from tests.cloudtune_ray.lossy_proxy import LossyProxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = """
    import os, signal, sys, time
    from cloudtune.trial import checkpoint_dir, params, report, should_stop
    path = os.path.join(checkpoint_dir(), "done")
    done = int(open(path).read()) if os.path.exists(path) else 0
    print("begins with", done, "pid", os.getpid(), flush=True)
    for step in range(done + 1, STEPS + 1):
        if should_stop():
            print("saves its state", flush=True)
            sys.exit(0)
        time.sleep(SECONDS)
        report(accuracy=params()["x"] + step, pid=os.getpid(), step=step)
        open(path, "w").write(str(step))
"""


class Runs:
    """Runs of one study on the cluster, from one folder."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.client = RayClient(HttpClient(Connection(cluster.url, cluster.token)))

    def write(
        self, *, steps: int = 3, seconds: float = 0.3, script: str = SCRIPT, **blocks: Any
    ) -> None:
        text = textwrap.dedent(script)
        text = text.replace("STEPS", str(steps)).replace("SECONDS", str(seconds))
        (self.folder / "train.py").write_text(text)
        study = {
            "name": "real",
            "objective": {"metric": "accuracy", "goal": "maximize"},
            "parameters": {
                "x": {"type": "float", "min": 0, "max": 1},
                "word": {"type": "categorical", "values": ["a b", "it's $HOME", "ü\n2"]},
            },
            "strategy": {"name": "random", "seed": 1},
            "limits": {"max_trials": 2, "parallel_trials": 2},
            "trial": {"script": "train.py"},
            **blocks,
        }
        (self.folder / "study.yaml").write_text(json.dumps(study))

    def cli(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cloudtune", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def detach(self, *words: str) -> str:
        out = self.cli("run", "study.yaml", "--on", "ray", "--detach", "--json", *words)
        run: str = json.JSONDecoder().raw_decode(out, out.index("{"))[0]["run"]
        return run

    def result(self, run: str) -> StudyResult:
        return lifecycle.results(run)[0]

    def wait(self, run: str, is_good: Callable[[StudyResult], bool]) -> StudyResult:
        deadline = time.monotonic() + 400
        while not is_good(result := self.result(run)):
            assert time.monotonic() < deadline, result
            time.sleep(0.3)
        return result

    def jobs(self, run: str) -> list[dict[str, Any]]:
        jobs = self.client.list_all()
        return [job for job in jobs if job["submission_id"].startswith(f"real-{run}-")]

    def check_complete(self, run: str, trials: int, steps: int) -> None:
        result = self.result(run)
        done = [trial for trial in result.trials if trial.state == "completed"]
        assert len(done) == trials, [(t.state, t.reason) for t in result.trials]
        for trial in done:
            assert [m.step for m in trial.measurements] == list(range(1, steps + 1))
        deadline = time.monotonic() + 60
        while left := processes_of_run(run):
            assert time.monotonic() < deadline, left
            time.sleep(0.3)


@pytest.fixture
def runs(ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name, value in ray_cluster.environment.items():
        monkeypatch.setenv(name, value)
    return Runs(ray_cluster, tmp_path)


def only_run(out: str) -> str:
    name: str = re.findall(r"\brun ([0-9a-z]{8})\b", out)[-1]
    return name


def test_the_quickstart(runs: Runs) -> None:
    runs.cli("init", "my-study")
    os.chdir("my-study")
    assert "Ray 2." in runs.cli("doctor", "--on", "ray")
    out = runs.cli("run", "study.yaml", "--on", "ray", "--set", "limits.max_trials=2")
    assert "2 completed" in out


def test_values_reach_the_script_and_the_log_can_be_read(runs: Runs) -> None:
    script = """
        import json
        from cloudtune.trial import params, report
        print("got", json.dumps(params(), sort_keys=True))
        report(accuracy=1)
    """
    trials = [{"x": 0.5, "word": word} for word in ("a b", "it's $HOME", "ü\n2")]
    runs.write(script=script, strategy="list", initial_trials=trials, limits={"parallel_trials": 3})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray"))
    runs.check_complete(run, 3, 1)
    assert [dict(trial.parameters) for trial in runs.result(run).trials] == trials
    for number, values in enumerate(trials, 1):
        log = runs.cli("logs", run, str(number))
        assert f"got {json.dumps(values, sort_keys=True)}" in log


def test_a_failing_script_is_a_failed_trial_with_its_reason(runs: Runs) -> None:
    runs.write(script="raise SystemExit('no data')", limits={"max_trials": 1})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray", code=4))
    (trial,) = runs.result(run).trials
    assert (trial.state, "no data" in trial.reason) == ("failed", True)


def test_a_trial_whose_node_fails_continues_elsewhere(runs: Runs) -> None:
    storage = {"ray": {"storage": str(runs.folder / "shared")}}
    runs.write(steps=60, seconds=0.5, providers=storage, limits={"max_trials": 1})
    run = runs.detach()
    result = runs.wait(run, lambda r: bool(r.trials) and len(r.trials[0].measurements) > 2)
    pid = int(result.trials[0].metrics["pid"])
    runs.cluster.kill_node_of(pid)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, "the script lives on without its node"
        time.sleep(0.2)
    runs.cluster.add_node()
    result = runs.wait(run, lambda r: r.state != "running")
    lost, done = result.trials
    assert (lost.state, done.state, done.replaces) == ("cancelled", "completed", 1)
    steps = [m.step for m in done.measurements]  # those since the last poll are lost
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (1, 60)
    assert "begins with 0" not in runs.cli("logs", run, "2")
    assert len(runs.jobs(run)) == 2
    assert not processes_of_run(run)


def test_lost_answers_neither_lose_nor_double_a_trial(runs: Runs) -> None:
    posts: list[int] = []

    def loses(method: str, path: str, number: int) -> bool:
        if (method, path) == ("POST", "/api/jobs/"):
            posts.append(number)
            return len(posts) in (1, 3)
        return number % 5 == 0

    proxy = LossyProxy(runs.cluster.url, loses)
    try:
        runs.write(limits={"max_trials": 4, "parallel_trials": 2})
        address = f"providers.ray.address={proxy.url}"
        out = runs.cli("run", "study.yaml", "--on", "ray", "--set", address)
    finally:
        proxy.close()
    run = only_run(out)
    assert len([call for call in proxy.lost if call == ("POST", "/api/jobs/")]) == 2
    runs.check_complete(run, 4, 3)
    assert len(runs.jobs(run)) == 4
    assert len(runs.result(run).trials) == 4


def test_a_run_that_was_killed_is_resumed(runs: Runs) -> None:
    runs.write(steps=12, seconds=0.5, limits={"max_trials": 3, "parallel_trials": 2})
    command = [sys.executable, "-m", "cloudtune", "run", "study.yaml", "--on", "ray", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (found := list((runs.folder / "state" / "runs").glob("*"))):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        run = found[0].name
        runs.wait(run, lambda r: sum(len(t.measurements) > 1 for t in r.trials) == 2)
        process.send_signal(signal.SIGKILL)
    time.sleep(2)
    runs.cli("resume", run)
    runs.check_complete(run, 3, 12)
    assert len(runs.jobs(run)) == 3


def test_a_detached_run_is_stopped_with_grace(runs: Runs) -> None:
    runs.write(steps=600, seconds=0.5)
    run = runs.detach()
    runs.wait(run, lambda r: sum(len(t.measurements) > 0 for t in r.trials) == 2)
    runs.cli("stop", run)
    result = runs.wait(run, lambda r: r.state != "running")
    assert result.state == "cancelled"
    deadline = time.monotonic() + 90
    while processes_of_run(run) or {job["status"] for job in runs.jobs(run)} != {"STOPPED"}:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    for job in runs.jobs(run):
        assert "saves its state" in "\n".join(runs.client.log(job["submission_id"]))


def test_a_script_that_ignores_the_request_is_killed_after_the_grace(runs: Runs) -> None:
    script = """
        import os, signal, subprocess, sys, time
        from cloudtune.trial import report
        signal.signal(signal.SIGTERM, lambda *_: subprocess.Popen(["sleep", "300"]))
        report(accuracy=1, step=1)
        while True:
            time.sleep(1)
    """
    limits = {"max_trials": 1, "trial_timeout": "8s"}
    runs.write(script=script, limits=limits, providers={"ray": {"grace": "4s"}})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray", code=4))
    (trial,) = runs.result(run).trials
    assert trial.reason == "its trial_timeout was reached"
    runs.check_complete(run, 0, 0)


def test_a_script_ends_with_its_supervisor(runs: Runs) -> None:
    runs.write(steps=100, seconds=0.5, limits={"max_trials": 1})
    run = runs.detach()
    result = runs.wait(run, lambda r: bool(r.trials) and len(r.trials[0].measurements) > 1)
    pid = int(result.trials[0].metrics["pid"])
    supervisors = [p for p in psutil.Process(pid).parents() if "JobSupervisor" in p.name()]
    supervisors = supervisors or [
        p for p in psutil.Process(pid).parents() if "JobSupervisor" in " ".join(p.cmdline())
    ]
    supervisors[0].kill()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    result = runs.wait(run, lambda r: len(r.trials) == 2)
    assert result.trials[0].state == "cancelled"
    runs.cli("stop", run)
    runs.wait(run, lambda r: r.state != "running")


def test_jobs_of_ended_runs_are_cleaned_up(runs: Runs) -> None:
    runs.write(limits={"max_trials": 1})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray"))
    deadline = time.monotonic() + 60
    while {job["status"] for job in runs.jobs(run)} != {"SUCCEEDED"}:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    runs.cli("clean", run, "--remote", "--yes")
    assert not runs.jobs(run)


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token_is_named(runs: Runs, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    runs.write()
    out = runs.cli("run", "study.yaml", "--on", "ray", code=3)
    assert "providers.ray.token_variable" in out
    doctor = runs.cli("doctor", "--on", "ray", code=1)
    assert "RAY_AUTH_TOKEN" in doctor
    client = RayClient(HttpClient(Connection(runs.cluster.url, token)))
    with pytest.raises(RayError) as caught:
        client.version()
    assert caught.value.code == (403 if token else 401)
