"""The script of a job and its launcher, started as Slurm does: their files and their ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.provider.models import JobContext
from cloudtune.results.events import Started
from cloudtune_slurm.training_client import SlurmJobs
from tests.cloudtune_slurm.support import FakeCluster, plan_of


class Job:
    """A start of a trial in a shared folder; its job runs as a process of this test."""

    def __init__(
        self, base: Path, script: str, over: Mapping[str, Any] = {}, /, **settings: Any
    ) -> None:
        source = base / "job" / "source"
        source.mkdir(parents=True, exist_ok=True)
        self.plan = plan_of(
            base, over, folder=str(base / "shared"), python=sys.executable, **settings
        )
        (source / "train.py").write_text(textwrap.dedent(script))
        self.cluster = FakeCluster()
        self.jobs = SlurmJobs(self.cluster, self.plan, JobContext(base / "job"))
        self.script = f"{self.plan.request['folder']}/run.sh"
        self.folder = Path(self.plan.request["folder"], "trials", "1", "1")

    def create(self, parameters: Mapping[str, Any], **more: Any) -> Started:
        started = Started(1, time.time(), parameters, id=self.jobs.job_name(1, 1), **more)
        self.jobs.create(started)
        return started

    def start(self, job: str = "17", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.script, str(self.folder)],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "SLURM_JOB_ID": job,
                "SLURMD_NODENAME": "n7",
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # slurmstepd gives a job a group of its own
        )

    def run(self, job: str = "17", **env: str) -> tuple[int, str]:
        process = self.start(job, **env)
        output, _ = process.communicate(timeout=200)
        return process.returncode, output

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + 200
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_values_keep_their_types_and_the_end_is_written(tmp_path: Path) -> None:
    script = """
        import os
        from cloudtune.trial import checkpoint_dir, inputs, output_dir, params, report, trial_id
        print(params(), inputs(), trial_id(), os.environ["OMP_NUM_THREADS"], os.environ["MODE"])
        report(accuracy=float("nan"), step=3)
        report(accuracy=1.5)
        open(os.path.join(output_dir(), "model"), "w").close()
        open(os.path.join(checkpoint_dir(), "state"), "w").close()
    """
    over = {
        "parameters": {
            "text": {"type": "categorical", "values": ["007", "null"]},
            "mixed": {"type": "categorical", "values": [1, "1", True, 0.5]},
        },
        "constants": {"epochs": 3, "ratio": 1.0},
        "trial": {
            "script": "train.py",
            "inputs": {"data": {"slurm": str(tmp_path)}},
            "env": {"MODE": "fast"},
        },
    }
    job = Job(tmp_path, script, over)
    started = job.create({"text": "007", "mixed": True})
    code, output = job.run(SLURM_CPUS_PER_TASK="3")
    values = {"epochs": 3, "ratio": 1.0, "text": "007", "mixed": True}
    expected = f"{values} {{'data': '{tmp_path}'}} {job.plan.facts.run_id}-1 3 fast\n"
    assert (code, output) == (0, expected)
    assert {"job": "17", "node": "n7", "code": 0, "stopped": False, "timed_out": False}.items() <= (
        job.read("end.json").items()
    )
    polled = job.jobs.poll([started])[str(started.id)]
    assert (polled.state, polled.machine) == ("completed", "n7")
    assert [(m.step, str(m.metrics["accuracy"])) for m in polled.measurements] == [
        (3, "nan"),
        (4, "1.5"),
    ]
    trial = job.folder.parent
    assert (trial / "output" / "model").exists()
    assert (trial / "checkpoint" / "state").exists()


def test_a_failure_has_its_reason(tmp_path: Path) -> None:
    job = Job(tmp_path, "print('about to'); raise SystemExit('no data')")
    started = job.create({"lr": 0.01})
    assert job.run()[0] == 1
    job.cluster.set_state(str(started.id), "FAILED")
    polled = job.jobs.poll([started])[str(started.id)]
    assert polled.state == "failed"
    assert polled.reason.splitlines() == ["exit code 1", "about to", "no data"]


@pytest.mark.parametrize(("after_step", "kept", "first"), [(4, True, 5), (4, False, 1)])
def test_steps_count_on_only_from_a_checkpoint(
    tmp_path: Path, after_step: int, first: int, *, kept: bool
) -> None:
    job = Job(tmp_path, "from cloudtune.trial import report; report(accuracy=1)")
    started = job.create({"lr": 0.01}, after_step=after_step)
    if kept:
        checkpoint = job.folder.parent / "checkpoint"
        checkpoint.mkdir()
        (checkpoint / "state").touch()
    job.run()
    (measurement,) = job.jobs.poll([started])[str(started.id)].measurements
    assert measurement.step == first


def test_a_second_job_of_the_same_start_does_not_run(tmp_path: Path) -> None:
    job = Job(tmp_path, "print('runs')")
    job.create({"lr": 0.01})
    assert job.run("17") == (0, "runs\n")
    end = job.read("end.json")
    code, output = job.run("18")
    assert code == 2
    assert "job 17 runs this start of the trial" in output
    assert job.read("end.json") == end


def test_a_stop_signal_lets_the_script_save(tmp_path: Path) -> None:
    script = """
        import time
        from cloudtune.trial import report, should_stop
        should_stop()  # from now on, SIGTERM is noticed
        report(accuracy=1)
        while not should_stop():
            time.sleep(0.05)
        print("saved")
    """
    job = Job(tmp_path, script)
    job.create({"lr": 0.01})
    process = job.start()
    job.wait_for("reports.jsonl")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=200)
    assert (process.returncode, output) == (0, "saved\n")
    assert (job.read("end.json")["stopped"], job.read("end.json")["timed_out"]) == (True, False)


_DEAF = """
    import signal, time
    from cloudtune.trial import report
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(accuracy=1)
    time.sleep(600)
"""


def test_a_script_that_ignores_the_signal_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    job = Job(tmp_path, _DEAF, grace="1s")
    job.create({"lr": 0.01})
    process = job.start()
    job.wait_for("reports.jsonl")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=200)
    assert job.read("end.json")["code"] == -9


def test_the_trial_timeout_is_exact(tmp_path: Path) -> None:
    over = {"limits": {"max_trials": 2, "trial_timeout": "1s"}}
    job = Job(tmp_path, _DEAF, over, grace="1s")
    started = job.create({"lr": 0.01})
    job.run()
    polled = job.jobs.poll([started])[str(started.id)]
    assert (polled.state, polled.word) == ("failed", "TIMEOUT")
    assert polled.reason == "its trial_timeout was reached"


def test_a_trial_timeout_of_any_length(tmp_path: Path) -> None:
    job = Job(tmp_path, "print('loss', 1)", {"limits": {"trial_timeout": "99999999999d"}})
    started = job.create({"lr": 0.01})
    assert job.run()[0] == 0
    assert job.jobs.poll([started])[str(started.id)].state == "completed"


def test_slurms_own_signal_before_its_limit_is_a_timeout(tmp_path: Path) -> None:
    script = """
        import time
        from cloudtune.trial import report
        report(accuracy=1)
        time.sleep(600)
    """
    job = Job(tmp_path, script)
    started = job.create({"lr": 0.01})
    process = job.start(SLURM_JOB_END_TIME=str(int(time.time()) + 60))  # short: of the job
    job.wait_for("reports.jsonl")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=200)
    polled = job.jobs.poll([started])[str(started.id)]
    assert polled.reason == "its job's time limit was reached"


def test_setup_lines_are_bash_and_requirements_are_not_installed(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("no-such-package-anywhere\n")
    over = {"trial": {"script": "train.py", "requirements": "requirements.txt"}}
    setup = ['say() { echo "it\'s $1"; }', "say 'ready'; export FROM_SETUP=\"a b\""]
    job = Job(tmp_path, "import os; print(os.environ['FROM_SETUP'])", over, setup=setup)
    job.create({"lr": 0.01})
    assert job.run() == (0, "it's ready\na b\n")


def test_processes_that_the_script_leaves_behind_are_killed(tmp_path: Path) -> None:
    script = """
        import subprocess
        from cloudtune.trial import output_dir
        null = subprocess.DEVNULL
        words = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
        child = subprocess.Popen(words, stdin=null, stdout=null, stderr=null)
        with open(output_dir() + "/child", "w") as file:
            file.write(str(child.pid))
    """
    job = Job(tmp_path, script)
    job.create({"lr": 0.01})
    assert job.run()[0] == 0
    child = int((job.folder.parent / "output" / "child").read_text())
    deadline = time.monotonic() + 200
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the child lives on")
        time.sleep(0.1)
