"""Complete runs with deployment jobs on the emulator, including errors and crashes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.results.model import Trial
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune.testing import EmulatedRunContract
from cloudtune.testing.emulated_run_contract import ENDLESS
from cloudtune.testing.emulated_runs import SCRIPT
from cloudtune_watson.errors import service_error
from cloudtune_watson.jobs.api import RuntimeClient

CLUSTER = {"url": "https://cpd.example.com", "version": "5.1", "username": "me"}
"""The settings of a cluster, on which a client signs in and cancels in another way."""


@pytest.mark.slow
class TestJobsOnEmulator(EmulatedRunContract):
    name = "watson"
    settings: Mapping[str, Any] = {"backend": "jobs"}
    create_operations: Mapping[Mode, str] = {"driven": "CreateDeploymentJob"}
    keeps_checkpoints = False
    trial_timeout = "6s"

    def study(self, mode: Mode, script: str = SCRIPT, **more: Any) -> Study:
        if mode == "managed":
            pytest.skip("deployment jobs have no search of their own")
        return super().study(mode, script, **more)

    def list_jobs(self, folder: Path) -> Sequence[str]:
        return [path.name for path in folder.glob("jobs/*")]

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "S"
        assert trial.artifacts is None

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, _isolate: None) -> Any:
        """After each run that ended, the space is empty."""
        yield

    @pytest.mark.parametrize("mode", ["driven"])
    def test_secrets_reach_the_script_and_are_never_stored(
        self, mode: Mode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """IBM returns variables to everybody who may read the jobs, so the study is refused."""
        monkeypatch.setenv("MY_TOKEN", "verysecretvalue")
        env = {"TOKEN": {"from_env": "MY_TOKEN"}}
        study = self.study(mode, trial={"script": "train.py", "source": "code", "env": env})
        refused = [each for each in self.plan(study).findings if each.kind == "refused"]
        assert "trial.env.TOKEN" in {each.path for each in refused}

    @pytest.mark.parametrize("mode", ["driven"])
    def test_a_detached_run_can_be_watched_and_stopped(self, mode: Mode) -> None:
        """A running job has no measurements, and a stopped one leaves none."""
        run = self.create_run(mode, ENDLESS)
        with subprocess.Popen([sys.executable, "-m", "cloudtune", "resume", run]) as following:
            while len(self.run_jobs(run)) < 2:
                time.sleep(0.1)
            subprocess.run([sys.executable, "-m", "cloudtune", "stop", run], check=True, timeout=60)
            assert following.wait(60) == 130
        result = lifecycle.results(run)[0]
        assert result.state == "cancelled"
        assert {trial.state for trial in result.trials} == {"cancelled"}
        assert len(self.run_jobs(run)) == 2

    @pytest.mark.parametrize("mode", ["driven"])
    def test_hyperband_continues_from_checkpoints(self, mode: Mode) -> None:
        """Nothing is carried over: each rung trains from the start, and the plan says so."""
        script = """
            from cloudtune.trial import params, report
            for epoch in range(1, params()["epochs"] + 1):
                report(accuracy=params()["x"] * epoch, step=epoch)
            print("whole", epoch)
        """
        strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 2}
        limits = {"max_trials": 9, "parallel_trials": 3}
        result = self.finish(self.create_run(mode, script, strategy=strategy, limits=limits))
        assert result.state == "completed", result.reason
        assert {trial.state for trial in result.trials} <= {"completed", "stopped_early"}
        assert "strategy.resource" in {f.path for f in result.findings if f.kind == "approximated"}
        logs = [Path(str(trial.log)).read_text() for trial in result.trials]
        assert any("whole 9" in log for log in logs)
