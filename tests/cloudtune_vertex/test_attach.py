"""Tuning jobs that Google's SDK started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest
import requests

from tests.attach_contract import AttachContract, Command, Told, hold

CLIENT = Path(__file__).parent / "sdk" / "begin.py"
WARM = """\
name: warm
objective: {metric: acc, goal: maximize}
parameters:
  lr: {type: float, min: 0.001, max: 0.1}
  layers: {type: int, min: 1, max: 6}
  opt: {type: categorical, values: [sgd, adam]}
limits: {max_trials: 2, parallel_trials: 1}
strategy: {name: bayesian, seed: 1}
warm_start: {from: [RUN], kind: transfer}
trial: {script: train.py}
providers: {vertex: {mode: driven}}
"""
SCRIPT = """\
from cloudtune.trial import params, report
report(acc=1 - (params()["lr"] - 0.01) ** 2 - params()["layers"] / 100)
"""


@pytest.mark.slow
class TestAttach(AttachContract):
    name: ClassVar[str] = "vertex"
    operation: ClassVar[str] = "GetHyperparameterTuningJob"
    denial = ("123", "GetHyperparameterTuningJob: Permission")
    running = frozenset({"JOB_STATE_PENDING", "JOB_STATE_QUEUED", "JOB_STATE_RUNNING"})
    stopped = frozenset({"JOB_STATE_CANCELLED"})

    def sdk(self, *words: str) -> str:
        env = {**self.env, "TEST_URL": self.address.url, "TEST_KEY": self.address.key}
        done = subprocess.run(
            [sys.executable, str(CLIENT), *words],
            cwd=mkdtemp(),
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def begin(self, trials: int, gate: Path | None = None) -> str:
        return self.sdk(str(trials), hold(gate))

    def read(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sdk("read", job))
        return found

    def word(self, job: str) -> str:
        headers = {"Authorization": f"Bearer {self.address.key}"}
        answer = requests.get(f"{self.address.url}/v1/{job}", headers=headers, timeout=200)
        return str(answer.json()["state"])

    def told(self, job: str) -> Mapping[int, Told]:
        return {
            int(number): Told(
                {
                    **trial["parameters"],
                    "batch": int(trial["parameters"]["batch"]),
                },
                trial["score"][0],
            )
            for number, trial in self.read(job)["trials"].items()
        }

    def missing(self) -> Mapping[str, tuple[int, str]]:
        place = "projects/team/locations/us-central1"
        return {
            "12": (3, "no tuning job 12 in us-central1 of the project emulated"),
            "gone": (1, "'gone' is no tuning job"),
            f"{place}/hyperparameterTuningJobs/7": (3, "in us-central1 of the project team"),
            f"{place}/customJobs/1": (1, "only hyperparameterTuningJobs can be attached"),
        }

    def test_trials_of_sagemaker_start_a_search_on_vertex(
        self, command: Command, tmp_path: Path
    ) -> None:
        from tests.cloudtune_sagemaker.test_attach import TestAttach as OnSageMaker

        with OnSageMaker.serve(tmp_path / "sagemaker"):
            job = OnSageMaker().begin(4)
            there = Command(command.folder, {**OnSageMaker.env})
            there("attach", f"sagemaker:{job}")
        best = max(command.trials(), key=lambda trial: trial["objective"])
        study = command.folder / "warm.yaml"
        study.write_text(WARM.replace("RUN", command.job()["run"]), "utf-8")
        (command.folder / "train.py").write_text(SCRIPT, "utf-8")
        plan = command("plan", "warm.yaml", "--on", "vertex")
        assert "4 of 4 earlier trials fit this space" in plan
        command("run", "warm.yaml", "--on", "vertex")
        first = command.trials()[0]
        assert first["parameters"] == best["parameters"]
        assert first["provider"] == "vertex"
        other = WARM.replace("RUN", command.job()["run"]).replace("layers", "depth")
        study.write_text(other.replace("kind: transfer", "kind: same"), "utf-8")
        output = command("plan", "warm.yaml", "--on", "vertex")
        none = "0 of 2 earlier trials fit this space; the search learns from none: "
        assert f"{none}only they have layers; they lack depth" in output
