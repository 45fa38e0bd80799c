"""Complete runs on the emulator with both back ends, including errors and crashes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune.emulation import process
from cloudtune.results.model import StudyResult, Trial
from cloudtune.runs import lifecycle
from cloudtune.study.schema import Mode
from cloudtune.testing import EmulatedRunContract
from cloudtune.testing.emulated_runs import BOTH_MODES, STEPS
from cloudtune_watson import auth
from cloudtune_watson.errors import service_error
from cloudtune_watson.http import Connection
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wmla.client import WmlaClient
from tests.cloudtune_watson.on_backends import OnBackends


@pytest.mark.slow
class TestWatsonOnEmulator(OnBackends, EmulatedRunContract):
    keeps_checkpoints = False
    reports_losses = False
    trial_timeout = "6s"

    def check_complete(self, result: StudyResult, *, has_logs: bool = True) -> None:
        """Of the trials of a search, the Accelerator returns only the last values."""
        if result.mode == "driven":
            super().check_complete(result, has_logs=has_logs)
            return
        assert result.state == "completed", result.reason
        assert [trial.number for trial in result.trials] == [1, 2, 3, 4]
        for trial in result.trials:
            assert trial.state == "completed", trial.reason
            x = trial.parameters["x"]
            assert isinstance(x, float)
            assert trial.metrics["accuracy"] == pytest.approx(x + STEPS)
            assert trial.metrics["loss"] == pytest.approx(1 / STEPS)
            assert "started with" in Path(str(trial.log)).read_text()

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "M"

    @BOTH_MODES
    def test_secrets_reach_the_script_and_are_never_stored(
        self, mode: Mode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """IBM has no place for them, so the study is refused."""
        monkeypatch.setenv("MY_TOKEN", "verysecretvalue")
        env = {"TOKEN": {"from_env": "MY_TOKEN"}}
        study = self.study(mode, trial={"script": "train.py", "source": "code", "env": env})
        refused = [each for each in self.plan(study).findings if each.kind == "refused"]
        assert "trial.env.TOKEN" in {each.path for each in refused}

    @BOTH_MODES
    def test_the_key_is_in_nothing_that_is_kept(
        self, mode: Mode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys: list[bytes] = []

        def noted(*given: Any, **more: Any) -> Connection:
            connection = Connection(*given, **more)
            keys.append(connection.key.encode())
            return connection

        monkeypatch.setattr(auth, "Connection", noted)
        run = self.create_run(mode, limits={"max_trials": 1})
        assert self.finish(run).state == "completed"
        (key,) = keys
        for path in (self.folder / "state").rglob("*"):
            if path.is_file() and path.name != process.ADDRESS:
                assert key not in path.read_bytes(), path

    @BOTH_MODES
    def test_a_trial_that_takes_too_long_fails(self, mode: Mode) -> None:
        """The Accelerator has no such limit, which the plan reports."""
        if mode == "driven":
            super().test_a_trial_that_takes_too_long_fails(mode)
            return
        study = self.study(mode, limits={"max_trials": 1, "trial_timeout": "6s"})
        assert "limits.trial_timeout" in {each.path for each in self.plan(study).findings}

    @BOTH_MODES
    def test_hyperband_continues_from_checkpoints(self, mode: Mode) -> None:
        """Nothing is carried over: each rung trains from the start, and the plan says so."""
        script = """
            from cloudtune.trial import params, report
            for epoch in range(1, params()["epochs"] + 1):
                report(accuracy=params()["x"] * epoch, step=epoch)
            print("whole", epoch)
        """
        strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 9, "seed": 2}
        most = 9 if mode == "driven" else 40  # the Accelerator counts each rung
        limits = {"max_trials": most, "parallel_trials": 3}
        run = self.create_run(mode, script, strategy=strategy, limits=limits)
        result = self.finish(run)
        assert result.state == "completed", result.reason
        assert {trial.state for trial in result.trials} <= {"completed", "stopped_early"}
        assert "approximated" in {f.kind for f in result.findings if f.path.startswith("strategy")}
        logs = [Path(str(trial.log)).read_text() for trial in result.trials]
        assert any("whole 9" in log for log in logs)

    def test_a_search_that_is_detached_is_stopped(self) -> None:
        """A trial of a search has no measurements while it runs."""
        run = self.create_run("managed", "import time\ntime.sleep(600)")
        with subprocess.Popen([sys.executable, "-m", "cloudtune", "resume", run]) as following:
            while len(lifecycle.results(run)[0].trials) < 2:
                time.sleep(0.1)
            subprocess.run(
                [sys.executable, "-m", "cloudtune", "stop", run], check=True, timeout=200
            )
            assert following.wait(200) == 130
        result = lifecycle.results(run)[0]
        assert result.state == "cancelled"
        assert {trial.state for trial in result.trials} == {"cancelled"}

    @pytest.mark.parametrize("mode", ["driven"])
    def test_a_detached_run_can_be_watched_and_stopped(self, mode: Mode) -> None:
        super().test_a_detached_run_can_be_watched_and_stopped(mode)

    @BOTH_MODES
    def test_an_input_of_this_machine_is_there(self, mode: Mode) -> None:
        (self.folder / "data" / "inner").mkdir(parents=True)
        (self.folder / "data" / "inner" / "rows.csv").write_text("0.75")
        script = """
            import os
            from cloudtune.trial import inputs, report
            assert inputs()["train"] == os.environ["DATA_DIR"]
            report(accuracy=float(open(inputs()["train"] + "/inner/rows.csv").read()))
        """
        trial = {"script": "train.py", "source": "code", "inputs": {"train": {"local": "data"}}}
        (done,) = self.finish(
            self.create_run(mode, script, trial=trial, limits={"max_trials": 1})
        ).trials
        assert (done.state, done.objective) == ("completed", (0.75,)), done.reason

    @BOTH_MODES
    def test_a_restarted_trial_has_the_measurements_of_its_last_start(self, mode: Mode) -> None:
        script = """
            import os, time
            from cloudtune.trial import report
            mark = os.path.join(os.environ["RESULT_DIR"], "started")
            is_restart = os.path.exists(mark)
            open(mark, "w").close()
            for step in (1, 2, 3):
                report(accuracy=step if is_restart else 9, step=step)
                time.sleep(0 if is_restart else 0.5)
            time.sleep(0 if is_restart else 600)
        """
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
        run = self.create_run(mode, script, faults=faults, limits={"max_trials": 1})
        (trial,) = self.finish(run).trials
        assert (trial.state, trial.objective) == ("completed", (3.0,)), trial.reason
        values = [each.metrics["accuracy"] for each in trial.measurements]
        if mode == "managed":
            assert values == [3.0]
        else:  # the status of a training also has those of the first start
            assert (values[-3:], {*values[:-3]}) == ([1.0, 2.0, 3.0], {9.0})
            assert len(values) <= 6

    @BOTH_MODES
    def test_names_that_begin_alike_are_kept_apart(self, mode: Mode) -> None:
        """Trials 1, 10 and 11, and the folders train and train_extra."""
        for name in ("train", "train_extra"):
            (self.folder / name).mkdir()
            (self.folder / name / f"{name}.csv").write_text(name)
        script = """
            import os
            from cloudtune.trial import checkpoint_dir, inputs, output_dir, params, report
            assert os.listdir(inputs()["train"]) == ["train.csv"]
            for folder in (checkpoint_dir(), output_dir()):
                os.makedirs(folder, exist_ok=True)
                assert os.listdir(folder) == []
                open(os.path.join(folder, "mine"), "w").close()
            report(accuracy=params()["x"])
        """
        trial = {"script": "train.py", "source": "code", "inputs": {"train": {"local": "train"}}}
        limits = {"max_trials": 11, "parallel_trials": 3}
        result = self.finish(self.create_run(mode, script, trial=trial, limits=limits))
        assert len(result.trials) == 11
        for each in result.trials:
            assert each.state == "completed", each.reason
            assert each.metrics["accuracy"] == pytest.approx(each.parameters["x"])

    def test_code_that_was_stored_before_a_crash_is_not_stored_again(self) -> None:
        run = self.create_run("driven", limits={"max_trials": 2})
        self.kill_at_call(run, "create", 1, "after")
        (self.emulator_folder(run).parent / "definition.txt").unlink()
        assert self.finish(run).state == "completed"
        stored = list(self.emulator_folder(run).glob("volume/**/wml_model_definition/*"))
        assert len(stored) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            *(f"operation: '*', probability: 0.5, effect: {e}" for e in ("throttle", "error")),
            *(
                f"operation: {operation}, call: 1, effect: {effect}"
                for operation in ("CreateAsset", "CreateAttachment", "PutFile")
                for effect in ("lose_response", "late_error")
            ),
        ],
    )
    def test_code_is_stored_once_whichever_call_fails(self, fault: str) -> None:
        faults = f"seed: 2\nfaults: [{{{fault}}}]"
        run = self.create_run("driven", "print(1)", faults=faults, limits={"max_trials": 1})
        assert self.finish(run).trials
        log = (self.emulator_folder(run) / "server.log").read_text()
        created = len(re.findall(r" POST /v2/assets .*(201|504)$", log, re.M))
        deleted = len(re.findall(r" DELETE /v2/assets/\S+ .*204$", log, re.M))
        lost = "CreateAsset, call: 1, effect: lose_response" in fault
        assert created + lost - deleted == 1, log

    @pytest.mark.parametrize(
        ("mode", "of", "call"),
        [
            ("managed", WmlaClient, "submit"),
            ("driven", WmlClient, "create"),
            ("driven", WmlClient, "store"),
        ],
    )
    def test_a_run_that_is_refused_leaves_no_emulator(
        self, mode: Mode, of: type, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object) -> None:
            raise service_error(call, 400, "no such hardware")

        monkeypatch.setattr(of, call, refused)
        run = self.create_run(mode)
        result = self.finish(run)
        assert (result.state, "no such hardware" in result.reason) == ("failed", True)
        assert process.find_running(self.emulator_folder(run)) is None

    @BOTH_MODES
    def test_a_script_that_knows_emetrics_needs_no_change(self, mode: Mode) -> None:
        script = """
            import argparse, json, os
            parser = argparse.ArgumentParser()
            parser.add_argument("--x", type=float, required=True)
            x = parser.parse_known_args()[0].x
            history = []
            for step in (1, 2, 3):
                history.append({"steps": step, "accuracy": x * step})
            with open(os.path.join(os.environ["RESULT_DIR"], "val_dict_list.json"), "w") as file:
                file.write(json.dumps(str(history)))
        """
        run = self.create_run(mode, script, limits={"max_trials": 2, "parallel_trials": 2})
        for trial in self.finish(run).trials:
            assert trial.state == "completed", trial.reason
            x = trial.parameters["x"]
            assert isinstance(x, float)
            values = [m.metrics["accuracy"] for m in trial.measurements]
            assert values == ([x, x * 2, x * 3] if mode == "driven" else [x * 3])
