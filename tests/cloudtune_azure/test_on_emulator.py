"""Complete runs on the emulator, including errors and crashes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.results.model import Trial
from cloudtune.study.schema import Mode
from tests.emulated_commands import CHECKPOINTS, EmulatedCommands


@pytest.mark.slow
class TestAzureOnEmulator(EmulatedCommands):
    name = "azure"
    create_operations: Mapping[Mode, str] = {"driven": "PutJob", "managed": "PutJob"}
    timeout_word = "Cancel"
    keeps_last_reports = False
    settings: Mapping[str, Any] = {"visible_secrets": True, "instance_type": "Standard_DS3_v2"}

    def check_trial(self, trial: Trial) -> None:
        assert trial.machine == "Standard_DS3_v2"

    def test_a_job_whose_node_is_taken_away_continues_from_its_checkpoint(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: interrupt, after: 4}]"
        (trial,) = self.run_one(CHECKPOINTS, faults=faults).trials
        assert trial.state == "completed", trial.reason
        assert "begins with 4" in Path(str(trial.log)).read_text()
        assert [m.step for m in trial.measurements] == list(range(1, 9))
        assert trial.objective == (8.0,)

    def test_inputs_are_uploaded_and_mounted(self) -> None:
        (self.folder / "rows").mkdir()
        (self.folder / "rows" / "a.csv").write_text("1")
        (self.folder / "one.csv").write_text("22")
        script = """
            import os
            from cloudtune.trial import inputs, report
            folder, file = inputs()["rows"], inputs()["one"]
            report(accuracy=len(open(os.path.join(folder, "a.csv")).read() + open(file).read()))
        """
        inputs = {"rows": "rows", "one": "one.csv"}
        trial = {"script": "train.py", "source": "code", "inputs": inputs}
        (done,) = self.run_one(script, trial=trial).trials
        assert done.objective == (3.0,), done.reason

    def test_an_expression_in_a_value_stays_a_text(self) -> None:
        script = """
            from cloudtune.trial import params, report
            report(accuracy=len(params()["text"]))
        """
        parameters = {"text": {"type": "categorical", "values": ["a ${{outputs.trial}} 'b' $c"]}}
        (done,) = self.run_one(script, parameters=parameters).trials
        assert done.objective == (27.0,), done.reason

    def test_a_service_error_is_told_from_a_failing_script(self) -> None:
        faults = "faults: [{operation: trial, call: 1, effect: fail}]"
        script = "from cloudtune.trial import report; report(accuracy=1)"
        lost, done = self.run_one(script, faults=faults).trials
        assert (lost.state, done.state) == ("cancelled", "completed")
        assert "node of the job failed" in lost.reason
