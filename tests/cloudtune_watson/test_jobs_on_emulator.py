"""Complete runs with deployment jobs on the emulator, including errors and crashes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider import registry
from cloudtune.provider.models import JobContext
from cloudtune.provider.uploads import Uploads, find_uploads, remove_uploads
from cloudtune.results.model import Trial
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.study.study import Study
from cloudtune.testing import EmulatedRunContract
from cloudtune.testing.emulated_run_contract import ENDLESS
from cloudtune.testing.emulated_runs import SCRIPT
from cloudtune_watson.errors import service_error
from cloudtune_watson.jobs.client import RuntimeClient

CLUSTER = {"url": "https://cpd.example.com", "version": "5.1", "username": "me"}
"""The settings of a cluster, on which a client signs in and cancels in another way."""
_SLOW_RETRIES = """
from cloudtune.cli import main
from cloudtune.engine import backoff
from cloudtune.provider import retries

retries.SHORT_RETRY_SECONDS = {retry_seconds}
backoff.next_backoff = lambda seconds, last: {backoff}
main(["resume", "{run}"])
"""


@pytest.mark.slow
class TestJobsOnEmulator(EmulatedRunContract):
    name = "watson"
    settings: Mapping[str, Any] = {"backend": "jobs", "visible_secrets": True}
    create_operations: Mapping[Mode, str] = {"driven": "CreateDeploymentJob"}
    keeps_checkpoints = False
    reports_losses = False
    trial_timeout = "6s"

    def study(self, mode: Mode, script: str = SCRIPT, **more: Any) -> Study:
        if mode == "managed":
            pytest.skip("deployment jobs have no search of their own")
        return super().study(mode, script, **more)

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "S"
        assert trial.artifacts is None

    @pytest.mark.parametrize("mode", ["driven"])
    def test_a_detached_run_can_be_watched_and_stopped(self, mode: Mode) -> None:
        """A running job has no measurements, and a stopped one leaves none."""
        run = self.create_run(mode, ENDLESS)
        with subprocess.Popen([sys.executable, "-m", "cloudtune", "resume", run]) as following:
            while len(self.run_jobs(run)) < 2:
                time.sleep(0.1)
            subprocess.run(
                [sys.executable, "-m", "cloudtune", "stop", run], check=True, timeout=200
            )
            assert following.wait(200) == 130
        result = lifecycle.results(run)[0]
        assert result.state == "cancelled"
        assert {trial.state for trial in result.trials} == {"cancelled"}
        assert len(self.run_jobs(run)) == 2

    @pytest.mark.parametrize(("retry_seconds", "backoff"), [(60_000.0, 0.1), (0.0, 1_000.0)])
    def test_ctrl_c_ends_a_long_wait_after_a_throttled_call(
        self, retry_seconds: float, backoff: float
    ) -> None:
        """The wait is between the attempts of a call, or after its last attempt."""
        faults = "faults: [{operation: ListDeploymentJobs, call: 3, effect: throttle}]"
        limits = {"max_trials": 1, "parallel_trials": 1}
        run = self.create_run("driven", ENDLESS, faults=faults, limits=limits)
        program = _SLOW_RETRIES.format(retry_seconds=retry_seconds, backoff=backoff, run=run)
        words = [sys.executable, "-c", program]
        env = {**os.environ, "CLOUDTUNE_LOG": "debug"}
        with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                assert any(re.search(r"wait \d{3}|back off for", line) for line in process.stderr)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=200)
            finally:
                process.kill()
        assert process.returncode == 130
        assert [trial.state for trial in lifecycle.results(run)[0].trials] == ["cancelled"]

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

    def assets(self, run: str) -> list[Path]:
        """Return the files of the assets that are in the emulator's spaces."""
        folder = self.emulator_folder(run) / "volume"
        return [path for path in folder.rglob("*") if path.is_file()]

    def calls(self, run: str, name: str) -> int:
        """Return how often an operation was called."""
        lines = (self.emulator_folder(run) / "calls.jsonl").read_text().splitlines()
        return sum(json.loads(line)["action"] == name for line in lines)

    @pytest.mark.parametrize("place", [{}, CLUSTER])
    def test_nothing_is_left_after_a_run(self, place: Mapping[str, Any]) -> None:
        script = """
            import os, sys
            from cloudtune.trial import output_dir, params, report
            os.makedirs(output_dir(), exist_ok=True)
            with open(os.path.join(output_dir(), "model.txt"), "w") as file:
                file.write(str(params()["x"]))
            report(accuracy=params()["x"])
            sys.exit("nothing to learn" if params()["x"] > 0.5 else 0)
        """
        limits = {"max_trials": 6, "parallel_trials": 3}
        run = self.create_run("driven", script, settings=place, limits=limits)
        result = self.finish(run)
        assert {trial.state for trial in result.trials} == {"completed", "failed"}
        for trial in result.trials:
            x = trial.parameters["x"]
            assert isinstance(x, float)
            assert trial.metrics["accuracy"] == pytest.approx(x)
            assert (trial.state == "failed") is (x > 0.5)
            assert ("nothing to learn" in trial.reason) is (x > 0.5)
            assert Path(str(trial.artifacts), "model", "model.txt").read_text() == str(x)
            assert trial.billed_seconds is None
        assert self.assets(run) == []
        assert self.calls(run, "DeleteDeployment") == self.calls(run, "CreateDeployment") == 1
        sign_in = "Authorize" if place else "GetToken"
        assert self.calls(run, sign_in) == 1

    def test_what_a_killed_run_has_left_can_be_removed(
        self,
    ) -> None:
        run = self.create_run("driven")
        self.kill_at_call(run, "create", 2)
        address = process.find_running(self.emulator_folder(run))
        assert address
        assert self.assets(run)
        uploads = self.uploads(run)
        (remote,) = find_uploads(uploads, [run])
        assert (remote.noun, remote.size) == ("object", None)
        kinds = [each.split("/")[-2] for each in uploads.storage.list(remote.address)]
        assert [kind for kind in kinds if kind != "data_asset"][:2] == ["deployment_jobs"] * 2
        assert kinds[-2:] == ["deployments", "script"]
        remove_uploads(uploads, run)
        assert find_uploads(uploads, [run]) == []
        assert self.assets(run) == []

    def uploads(self, run: str) -> Uploads:
        """Return what `clean --remote` removes, here from the run's own emulator."""
        provider = registry.get(self.name)
        with Ledger() as ledger:
            (record,) = ledger.run(run).jobs
            folder = ledger.job_folder(run, self.name)
        assert provider.emulator is not None
        emulator = process.connect(self.name, provider.emulator, self.emulator_folder(run))
        uploads = provider.uploads(restore_plan(record.plan), JobContext(folder, emulator))
        assert uploads
        return uploads

    def test_a_stopped_cluster_job_of_an_old_version_ends_with_its_run(self) -> None:
        limits = {"max_trials": 1, "trial_timeout": self.trial_timeout}
        run = self.create_run("driven", ENDLESS, settings=CLUSTER, limits=limits)
        (trial,) = self.finish(run).trials
        assert (trial.state, trial.word) == ("failed", "canceled")
        assert trial.reason == "its trial_timeout was reached"
        assert self.calls(run, "DeleteJobRun") == 1

    @pytest.mark.parametrize(
        "fault",
        [
            *(f"operation: '*', probability: 0.5, effect: {e}" for e in ("throttle", "error")),
            *(
                f"operation: {operation}, call: 1, effect: {effect}"
                for operation in ("CreateAsset", "CreateAttachment", "PutFile", "CreateDeployment")
                for effect in ("lose_response", "late_error")
            ),
        ],
    )
    def test_code_is_stored_and_deployed_once_whichever_call_fails(self, fault: str) -> None:
        faults = f"seed: 2\nfaults: [{{{fault}}}]"
        run = self.create_run("driven", "print(1)", faults=faults, limits={"max_trials": 1})
        (trial,) = self.finish(run).trials
        assert "accuracy" in trial.reason
        assert self.assets(run) == []
        log = (self.emulator_folder(run) / "server.log").read_text()
        assert len(re.findall(r" POST /ml/v4/deployment_jobs .*202$", log, re.M)) == 1
        assert len(re.findall(r" DELETE /ml/v4/deployments/\S+ .*204$", log, re.M)) == 1

    def test_results_are_read_again_after_a_kill(self) -> None:
        """A copy on this machine replaces the job, which may be deleted already."""
        run = self.create_run("driven", limits={"max_trials": 2, "parallel_trials": 1})
        self.kill_at_call(run, "cloudtune_watson.jobs.client:RuntimeClient.delete_job", 1)
        result = self.finish(run)
        self.check_measurements(result.trials)
        assert len(self.run_jobs(run)) == 2

    def check_measurements(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            assert trial.state == "completed", trial.reason
            assert [each.step for each in trial.measurements] == [1, 2, 3, 4, 5, 6]

    def test_a_job_whose_machine_is_lost_fails_with_ibms_reason(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
        run = self.create_run("driven", faults=faults, limits={"max_trials": 1})
        (trial,) = self.finish(run).trials
        assert (trial.state, trial.word) == ("failed", "failed")
        assert "status 137" in trial.reason

    def test_a_run_that_is_refused_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise service_error("POST /ml/v4/deployment_jobs", 400, "no such hardware")

        monkeypatch.setattr(RuntimeClient, "create_job", refuse)
        run = self.create_run("driven")
        result = self.finish(run)
        assert (result.state, "no such hardware" in result.reason) == ("failed", True)
        assert self.assets(run) == []
        assert process.find_running(self.emulator_folder(run)) is None
