"""Whole runs on the emulator, in both modes, through what goes wrong at services and here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from cloudtune.provider import Json
from cloudtune.results.model import Trial
from cloudtune.study.schema import Mode
from cloudtune.testing import EmulatedRunContract
from cloudtune.testing.emulated_runs import BOTH_MODES, STEPS
from cloudtune_sagemaker.client import Aws


@pytest.mark.slow
class TestSagemakerOnEmulator(EmulatedRunContract):
    name = "sagemaker"
    create_operations: Mapping[Mode, str] = {
        "managed": "CreateHyperParameterTuningJob",
        "driven": "CreateTrainingJob",
    }

    timeout_word = "Stopped: MaxRuntimeExceeded"

    def list_jobs(self, folder: Path) -> Sequence[str]:
        return [path.name for path in folder.glob("jobs/*/*")]

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "ml.m5.xlarge"
        assert trial.billed_seconds
        assert "[cloudtune] metric accuracy = " in Path(str(trial.log)).read_text()

    @BOTH_MODES
    def test_machines_of_several_types_are_rehearsed(self, mode: Mode) -> None:
        types = {"instance_type": ["ml.m5.xlarge", "ml.c5.xlarge"]}
        self.check_complete(self.finish(self.create_run(mode, settings=types)))

    def test_trials_reuse_the_instances_of_earlier_ones(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pools: dict[str, Mapping[str, str]] = {}
        search = Aws.search_training_jobs

        def look_at_pools(aws: Aws, sort_by: str, **properties: str) -> Iterator[list[Json]]:
            for page in search(aws, sort_by, **properties):
                pools.update(
                    {
                        job["TrainingJobName"]: job["WarmPoolStatus"]
                        for job in page
                        if "WarmPoolStatus" in job
                    }
                )
                yield page

        monkeypatch.setattr(Aws, "search_training_jobs", look_at_pools)
        limits = {"max_trials": 3, "parallel_trials": 1}
        run = self.create_run("driven", settings={"keep_alive": "10m"}, limits=limits)
        assert self.finish(run).state == "completed"
        *earlier, last = pools.values()
        assert [pool["Status"] for pool in earlier] == ["Reused", "Reused"]
        assert [pool["ReusedByJob"] for pool in earlier] == list(pools)[1:]
        assert last["Status"] in {"InUse", "Available"}

    @BOTH_MODES
    def test_inputs_whose_names_begin_alike_are_not_mixed(self, mode: Mode) -> None:
        for name in ("train", "train_extra"):
            (self.folder / name).mkdir()
            (self.folder / name / "name.txt").write_text(name)
        script = """
            import os
            from cloudtune.trial import inputs, report
            for name, folder in inputs().items():
                assert os.listdir(folder) == ["name.txt"], os.listdir(folder)
                assert open(os.path.join(folder, "name.txt")).read() == name
            report(accuracy=1.0)
        """
        inputs = {"train": "train", "train_extra": "train_extra"}
        trial = {"script": "train.py", "source": "code", "inputs": inputs}
        run = self.create_run(mode, script, limits={"max_trials": 1}, trial=trial)
        (result,) = self.finish(run).trials
        assert result.state == "completed", result.reason

    def test_a_trial_restores_only_its_own_checkpoints(self) -> None:
        script = """
            import os
            from cloudtune.trial import checkpoint_dir, params, report, trial_id
            number = trial_id().split("-")[2]
            names = os.listdir(checkpoint_dir())
            if trial_id().count("-") == 2:
                assert names == [], names
                open(os.path.join(checkpoint_dir(), number), "w").close()
            else:
                assert names == ["1"], names
            report(accuracy=1.0 if number == "1" else 0.0)
        """
        run = self.create_run(
            "driven",
            script,
            strategy={"name": "hyperband", "resource": "epochs", "min": 1, "max": 11, "eta": 11},
            limits={"max_trials": 11, "parallel_trials": 4},
        )
        result = self.finish(run)
        assert [trial.reason for trial in result.trials if trial.state == "failed"] == []
        assert len(result.trials) == 11
        assert len(self.run_jobs(run)) == 12

    def test_a_training_job_without_a_metric_fails(self) -> None:
        faults = "faults: [{operation: trial, call: 2, effect: no_metric}]"
        result = self.finish(self.create_run("driven", faults=faults, limits={"max_trials": 2}))
        failed = [trial for trial in result.trials if trial.state == "failed"]
        assert len(failed) == 1
        assert "accuracy" in failed[0].reason

    @BOTH_MODES
    def test_a_spot_machine_that_was_taken_away_is_told(self, mode: Mode) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
        run = self.create_run(
            mode,
            self.taken_script(3),
            faults=faults,
            limits={"max_trials": 1},
            settings={"spot": True},
        )
        (trial,) = self.finish(run).trials
        assert trial.state == "completed", trial.reason
        assert trial.word == "Completed (Interrupted once)"
        assert STEPS < len(trial.measurements) < 2 * STEPS
