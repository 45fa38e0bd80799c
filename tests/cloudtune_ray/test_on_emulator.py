"""Complete runs on the emulator, including errors and crashes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from cloudtune.results.model import Trial
from cloudtune.study.schema import Mode
from tests.emulated_commands import CHECKPOINTS, EmulatedCommands

_ONE = """
    from cloudtune.trial import report
    report(accuracy=1)
"""


@pytest.mark.slow
class TestRayOnEmulator(EmulatedCommands):
    name = "ray"
    create_operations: Mapping[Mode, str] = {"driven": "SubmitJob"}
    timeout_word = "STOPPED"

    @pytest.fixture(autouse=True)
    def _settings(self, tmp_path: Path) -> None:
        self.settings = {"visible_secrets": True, "storage": str(tmp_path / "shared")}

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == os.uname().nodename

    def test_a_trial_whose_node_is_lost_continues_from_its_checkpoint(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 4}]"
        result = self.run_one(CHECKPOINTS, faults=faults)
        lost, done = result.trials
        assert (lost.state, done.state) == ("cancelled", "completed"), done.reason
        assert "node has died" in lost.reason
        assert done.replaces == 1
        assert "begins with 0" not in Path(str(done.log)).read_text()
        assert done.objective == (8.0,)

    def test_without_storage_a_lost_trial_starts_anew(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 4}]"
        self.settings = {}
        _, done = self.run_one(CHECKPOINTS, faults=faults).trials
        assert (done.state, len(done.measurements)) == ("completed", 8)
        assert "begins with 0" in Path(str(done.log)).read_text()

    def test_a_package_that_the_cluster_forgets_is_uploaded_again(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: forget_packages}]"
        result = self.run_one(_ONE, faults=faults)
        assert [trial.state for trial in result.trials] == ["cancelled", "completed"]
        assert "Failed to download" in result.trials[0].reason

    def test_trials_of_a_head_that_is_replaced_are_repeated(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: restart_head}]"
        result = self.run_one(CHECKPOINTS, faults=faults)
        assert [trial.state for trial in result.trials] == ["cancelled", "completed"]
        assert "no longer knows the job" in result.trials[0].reason

    def test_the_script_gets_one_signal_and_its_grace(self) -> None:
        script = """
            import signal, sys, time
            from cloudtune.trial import report
            stops = []
            signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
            report(accuracy=1, step=1)
            while not stops:
                time.sleep(0.1)
            time.sleep(1.5)
            report(accuracy=len(stops) + 1, step=2)
        """
        limits = {"max_trials": 1, "trial_timeout": "30s"}  # the script must have begun by then
        (trial,) = self.run_one(script, limits=limits).trials
        assert trial.reason == "its trial_timeout was reached"
        assert [m.metrics["accuracy"] for m in trial.measurements] == [1.0, 2.0]

    def test_what_a_script_leaves_running_ends_with_it(self) -> None:
        script = """
            import subprocess, sys
            from cloudtune.trial import report
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            report(accuracy=child.pid)
        """
        (trial,) = self.run_one(script).trials
        assert trial.objective is not None
        deadline = time.monotonic() + 200
        while psutil.pid_exists(int(trial.objective[0])):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_trials_have_working_folders_of_their_own(self) -> None:
        script = """
            import os, time
            from cloudtune.trial import report
            assert not os.path.exists("mine")
            open("mine", "w").close()
            time.sleep(1)
            report(accuracy=len(os.listdir()))
        """
        limits = {"max_trials": 2, "parallel_trials": 2}
        for trial in self.run_one(script, limits=limits).trials:
            assert (trial.state, trial.objective) == ("completed", (2.0,)), trial.reason

    @pytest.mark.parametrize("cause", ["script", "monitor"])
    def test_a_trial_that_runs_out_of_memory_starts_again(self, cause: str) -> None:
        script, faults = CHECKPOINTS, ""
        if cause == "script":
            script = script.replace("time.sleep(0.1)", "raise MemoryError")
        else:
            faults = "faults: [{operation: trial, call: 1, effect: out_of_memory}]"
        resources = {"memory": "1 GiB"}
        trial = {"script": "train.py", "source": "code", "resources": resources, "retry": "memory"}
        (done,) = self.run_one(script, faults=faults, trial=trial).trials
        assert (done.state, done.retries) == ("completed", 1), done.reason
        assert done.objective == (8.0,)
