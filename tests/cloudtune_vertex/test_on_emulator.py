"""Complete runs on the emulator in both modes, with faults."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cloudtune.emulation import process
from cloudtune.results.model import Trial
from cloudtune.study.schema import Mode
from cloudtune.testing import EmulatedRunContract
from cloudtune.testing.emulated_run_contract import ENDLESS
from cloudtune.testing.emulated_runs import BOTH_MODES, STEPS
from cloudtune_vertex.client import Google
from cloudtune_vertex.errors import service_error


@pytest.mark.slow
class TestVertexOnEmulator(EmulatedRunContract):
    name = "vertex"
    create_operations: Mapping[Mode, str] = {
        "managed": "CreateHyperparameterTuningJob",
        "driven": "CreateCustomJob",
    }
    lost_after = 4
    keeps_last_reports = False
    trial_timeout = "6s"
    timeout_word = "JOB_STATE_CANCELLED"

    def has_logs_with_odd_seed(self, mode: Mode) -> bool:
        return mode == "driven"  # the trials of 2021 do not name their jobs

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "n1-standard-4"

    @pytest.mark.parametrize(
        ("mode", "call"), [("managed", "create"), ("managed", "write"), ("driven", "write")]
    )
    def test_a_run_that_is_refused_leaves_no_emulator(
        self, mode: Mode, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object) -> None:
            raise service_error(call, 400, "no such machine")

        monkeypatch.setattr(Google, call, refused)
        run = self.create_run(mode)
        result = self.finish(run)
        assert (result.state, "no such machine" in result.reason) == ("failed", True)
        assert process.find_running(self.emulator_folder(run)) is None

    def test_trials_of_the_recorded_form_are_read(self) -> None:
        faults = "seed: 1\nfaults: []"  # trials without their custom jobs
        result = self.finish(self.create_run("managed", faults=faults, limits={"max_trials": 2}))
        assert result.state == "completed"
        assert [trial.state for trial in result.trials] == ["completed"] * 2
        assert all(trial.objective for trial in result.trials)

    def test_a_machine_that_was_taken_away_loses_nothing_that_was_kept(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
        run = self.create_run(
            "managed", self.taken_script(3), faults=faults, limits={"max_trials": 1}
        )
        (trial,) = self.finish(run).trials
        assert trial.state == "completed", trial.reason
        assert STEPS < len(trial.measurements) < 2 * STEPS  # it began anew, nothing is forgotten

    @BOTH_MODES
    def test_a_timeout_ends_trials_that_are_running(self, mode: Mode) -> None:
        limits = {"max_trials": 2, "parallel_trials": 2, "timeout": "30s"}
        result = self.finish(self.create_run(mode, ENDLESS, limits=limits))
        assert (result.state, result.reason) == ("completed", "the study's timeout was reached")
        ends = {(trial.state, trial.reason) for trial in result.trials}
        assert ends == {("cancelled", "the study's timeout was reached")}

    @BOTH_MODES
    def test_addresses_that_begin_alike_are_kept_apart(self, mode: Mode) -> None:
        for name, file in (("train", "one"), ("train_extra", "two")):
            (self.folder / name).mkdir()
            (self.folder / name / file).touch()
        script = """
            import os
            from cloudtune.trial import checkpoint_dir, inputs, report, trial_id
            files = {name: os.listdir(path) for name, path in inputs().items()}
            assert files == {"train": ["one"], "train_extra": ["two"]}, files
            os.makedirs(checkpoint_dir(), exist_ok=True)
            assert os.listdir(checkpoint_dir()) == [], os.listdir(checkpoint_dir())
            open(os.path.join(checkpoint_dir(), trial_id()), "w").close()
            report(accuracy=1.0)
        """
        trial = {
            "script": "train.py",
            "source": "code",
            "inputs": {name: {"local": name} for name in ("train", "train_extra")},
        }
        run = self.create_run(
            mode, script, trial=trial, limits={"max_trials": 11, "parallel_trials": 4}
        )
        trials = self.finish(run).trials
        assert [each.number for each in trials] == list(range(1, 12))
        for each in trials:
            assert each.state == "completed", each.reason

    @BOTH_MODES
    def test_a_hypertune_script_needs_no_change(self, mode: Mode) -> None:
        script = """
            import argparse, json, os, time
            parser = argparse.ArgumentParser()
            parser.add_argument("--x", type=float, required=True)
            x = parser.parse_known_args()[0].x
            path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            lines = []
            for step in (1, 2, 3):
                lines.append({"timestamp": time.time(), "trial": "1", "accuracy": str(x * step),
                              "global_step": str(step), "checkpoint_path": ""})
                with open(path, "w") as file:
                    file.writelines(json.dumps(line, sort_keys=True) + "\\n" for line in lines)
        """
        run = self.create_run(mode, script, limits={"max_trials": 2, "parallel_trials": 2})
        for trial in self.finish(run).trials:
            assert trial.state == "completed", trial.reason
            x = trial.parameters["x"]
            told = [(m.step, m.metrics["accuracy"]) for m in trial.measurements]
            assert told == [(step, x * step) for step in (1, 2, 3)]

    def test_objectives_that_are_not_reported_equally_often_count(self) -> None:
        script = """
            from cloudtune.trial import params, report
            for n in range(1, 151):
                report(loss=abs(n - 20))
            report(size=params()["x"])
        """
        objectives = [
            {"metric": "loss", "goal": "minimize", "select": "best"},
            {"metric": "size", "goal": "minimize", "select": "best"},
        ]
        run = self.create_run("managed", script, objective=objectives, limits={"max_trials": 2})
        for trial in self.finish(run).trials:
            assert trial.state == "completed", trial.reason
            assert trial.objective == (0.0, trial.parameters["x"])
            assert len(trial.measurements) == 151  # the service's own is one of ours
