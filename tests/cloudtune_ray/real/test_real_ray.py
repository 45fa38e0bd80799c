"""Whole runs on a real Ray cluster, with lost nodes, lost answers, kills and stops."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.planning.planner import plan
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle
from cloudtune.study.loader import load
from cloudtune_ray.client import RayClient
from cloudtune_ray.errors import RayError
from cloudtune_ray.http import Connection, HttpClient
from tests.cloudtune_ray.cluster import Cluster, processes_of_run
from tests.cloudtune_ray.lossy_proxy import LossyProxy

pytestmark = pytest.mark.slow

STEPS = 6
SCRIPT = f"""
    import os, sys, time
    from cloudtune.trial import checkpoint_dir, params, report, should_stop
    path = os.path.join(checkpoint_dir(), "done")
    done = int(open(path).read()) if os.path.exists(path) else 0
    print("begins with", done, flush=True)
    for step in range(done + 1, {STEPS} + 1):
        report(accuracy=params()["x"] + step, pid=os.getpid(), step=step)
        open(path, "w").write(str(step))
        while step == {STEPS // 2} and not os.path.exists(GATE):
            if should_stop():
                print("saves its state", flush=True)
                sys.exit(0)
            time.sleep(0.1)
"""
"""Waits in the middle until the gate is open."""


def until(is_true: Callable[[], object], what: str) -> None:
    """Wait for something that takes seconds, and minutes on a busy machine."""
    deadline = time.monotonic() + 300
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


class Runs:
    """Runs of one study on the cluster, from one folder."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.gate = folder / "gate"
        self.client = RayClient(HttpClient(Connection(cluster.url, cluster.token)))

    def write(self, script: str = SCRIPT, **blocks: Any) -> None:
        text = textwrap.dedent(script).replace("GATE", repr(str(self.gate)))
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

    def wait_until_waiting(self, run: str, trials: int) -> StudyResult:
        """Return the result once so many trials wait at the gate."""

        def is_waiting() -> bool:
            running = [trial for trial in self.result(run).trials if trial.state == "running"]
            return [len(trial.measurements) for trial in running] == [STEPS // 2] * trials

        until(is_waiting, f"{trials} trials wait")
        return self.result(run)

    def wait_until_over(self, run: str) -> StudyResult:
        until(lambda: self.result(run).state != "running", "the end of the run")
        return self.result(run)

    def jobs(self, run: str) -> list[dict[str, Any]]:
        jobs = self.client.list_all()
        return [job for job in jobs if job["submission_id"].startswith(f"real-{run}-")]

    def wait_for_jobs(self, run: str, status: str) -> None:
        try:
            until(lambda: {job["status"] for job in self.jobs(run)} == {status}, "they end")
        except AssertionError as error:
            raise AssertionError(f"jobs are not {status}: {self.jobs(run)}") from error

    def check_complete(self, run: str, trials: int, steps: int = STEPS) -> None:
        result = self.result(run)
        done = [trial for trial in result.trials if trial.state == "completed"]
        assert len(done) == trials, [(t.state, t.reason) for t in result.trials]
        for trial in done:
            assert [m.step for m in trial.measurements] == list(range(1, steps + 1))
        until(lambda: not processes_of_run(run), "no process is left")


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
    runs.write(script, strategy="list", initial_trials=trials, limits={"parallel_trials": 3})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray"))
    runs.check_complete(run, 3, 1)
    assert [dict(trial.parameters) for trial in runs.result(run).trials] == trials
    for number, values in enumerate(trials, 1):
        log = runs.cli("logs", run, str(number))
        assert f"got {json.dumps(values, sort_keys=True)}" in log


def test_the_files_of_a_trial_come_home(runs: Runs) -> None:
    runs.gate.touch()
    runs.write(providers={"ray": {"storage": str(runs.folder / "shared")}})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray"))
    runs.cli("fetch", run, "--best", "-o", "best")
    best = runs.folder / "best"
    assert (best / "checkpoint" / "done").read_text() == str(STEPS)
    assert "begins with 0" in (best / "log.txt").read_text()
    trial = json.loads((best / "trial.json").read_text())
    assert trial["objective"] == max(list(each.objective or ()) for each in runs.result(run).trials)


def test_a_failing_script_is_a_failed_trial_with_its_reason(runs: Runs) -> None:
    runs.write("raise SystemExit('no data')", limits={"max_trials": 1})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray", code=4))
    (trial,) = runs.result(run).trials
    assert (trial.state, "no data" in trial.reason) == ("failed", True)


def test_a_trial_whose_node_fails_continues_elsewhere(runs: Runs) -> None:
    storage = {"ray": {"storage": str(runs.folder / "shared")}}
    runs.write(providers=storage, limits={"max_trials": 1})
    run = runs.detach()
    result = runs.wait_until_waiting(run, 1)
    pid = int(result.trials[0].metrics["pid"])
    runs.cluster.kill_node_of(pid)
    until(lambda: not psutil.pid_exists(pid), "the script ends with its node")
    runs.gate.touch()
    runs.cluster.add_node()
    lost, done = runs.wait_until_over(run).trials
    assert (lost.state, done.state, done.replaces) == ("cancelled", "completed", 1)
    assert [m.step for m in done.measurements] == list(range(1, STEPS + 1))
    assert f"begins with {STEPS // 2}" in runs.cli("logs", run, "2")
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
    runs.gate.touch()
    try:
        runs.write(limits={"max_trials": 4, "parallel_trials": 2})
        address = f"providers.ray.address={proxy.url}"
        out = runs.cli("run", "study.yaml", "--on", "ray", "--set", address)
    finally:
        proxy.close()
    run = only_run(out)
    assert len([call for call in proxy.lost if call == ("POST", "/api/jobs/")]) == 2
    runs.check_complete(run, 4)
    assert len(runs.jobs(run)) == 4
    assert len(runs.result(run).trials) == 4


def test_a_run_that_was_killed_is_resumed(runs: Runs) -> None:
    runs.write(limits={"max_trials": 3, "parallel_trials": 2})
    planned = plan(load(runs.folder / "study.yaml"), "ray", base=runs.folder)
    run = lifecycle.create([planned]).id
    command = [sys.executable, "-m", "cloudtune", "resume", run]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            runs.wait_until_waiting(run, 2)
        finally:
            process.kill()
    runs.gate.touch()
    runs.wait_for_jobs(run, "SUCCEEDED")
    runs.cli("resume", run)
    runs.check_complete(run, 3)
    assert len(runs.jobs(run)) == 3


def test_a_detached_run_is_stopped_with_grace(runs: Runs) -> None:
    runs.write()
    run = runs.detach()
    runs.wait_until_waiting(run, 2)
    runs.cli("stop", run)
    assert runs.wait_until_over(run).state == "cancelled"
    runs.wait_for_jobs(run, "STOPPED")
    for job in runs.jobs(run):
        assert "saves its state" in "\n".join(runs.client.log(job["submission_id"]))
    assert not processes_of_run(run)


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
    runs.write(script, limits=limits, providers={"ray": {"grace": "4s"}})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray", code=4))
    (trial,) = runs.result(run).trials
    assert trial.reason == "its trial_timeout was reached"
    runs.check_complete(run, 0)


def test_a_script_ends_with_its_supervisor(runs: Runs) -> None:
    runs.write(limits={"max_trials": 1})
    run = runs.detach()
    pid = int(runs.wait_until_waiting(run, 1).trials[0].metrics["pid"])
    supervisor = next(
        process
        for process in psutil.Process(pid).parents()
        if "JobSupervisor" in " ".join([process.name(), *process.cmdline()])
    )
    supervisor.kill()
    until(lambda: not psutil.pid_exists(pid), "the script ends")
    runs.gate.touch()
    lost, done = runs.wait_until_over(run).trials
    assert (lost.state, done.state) == ("cancelled", "completed")


def test_jobs_of_ended_runs_are_cleaned_up(runs: Runs) -> None:
    runs.write("from cloudtune.trial import report\nreport(accuracy=1)", limits={"max_trials": 1})
    run = only_run(runs.cli("run", "study.yaml", "--on", "ray"))
    runs.wait_for_jobs(run, "SUCCEEDED")
    runs.cli("clean", run, "--remote", "--yes")
    assert not runs.jobs(run)


def test_a_trial_that_the_memory_monitor_ends_starts_again_with_more(runs: Runs) -> None:
    full = {"RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "100"}
    node = runs.cluster.add_node('--resources={"full": 1}', **full)
    try:
        runs.write(
            limits={"max_trials": 1},
            providers={"ray": {"resources": {"full": 1}}},
            trial={"script": "train.py", "resources": {"memory": "8 MB"}, "retry": "memory"},
        )
        out = runs.cli("run", "study.yaml", "--on", "ray", code=4)
    finally:
        runs.cluster.kill_node(node)
    assert "ran out of memory; starts again with 16 MB" in out
    run = only_run(out)
    (trial,) = runs.result(run).trials
    assert (trial.state, trial.retries) == ("failed", 1)
    assert trial.reason.startswith("out of memory: ")
    assert len(runs.jobs(run)) == 2
    assert not processes_of_run(run)


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
