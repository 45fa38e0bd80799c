"""Independent jobs: one service throttles, one loses an answer, one fails, one works."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudtune.emulation.process import read_fault_plans

if TYPE_CHECKING:
    from .conftest import Home

PAGE = Path(__file__).parents[2] / "docs" / "emulators.md"


def documented() -> tuple[list[str], str]:
    """Return the command and the faults file that the page shows."""
    text = PAGE.read_text("utf-8")
    section = text.partition("## Rehearse failures")[2].partition("\n## ")[0]
    command, faults = re.findall(r"```(?:sh|yaml)\n(.*?)```", section, re.DOTALL)
    return shlex.split(command), faults


@pytest.mark.slow
def test_each_job_ends_independently(home: Home) -> None:
    study = (home.path / "study.yaml").read_text("utf-8").replace("max_trials: 24", "max_trials: 6")
    study += "providers: {watson: {backend: wml}}\n"
    (home.path / "study.yaml").write_text(study, "utf-8")
    (cloudtune, *words), faults = documented()
    assert cloudtune == "cloudtune"
    (home.path / "faults.yaml").write_text(faults, "utf-8")
    done = home.call(*words, code=3)
    out, err = done.stdout, done.stderr
    (state,) = json.loads(home.call("status", "--json").stdout)
    jobs = {job["provider"]: job for job in state["jobs"]}
    assert {name: job["state"] for name, job in jobs.items()} == {
        "local": "completed",
        "sagemaker": "completed",
        "vertex": "failed",
        "watson": "completed",
    }
    for name in ("local", "sagemaker", "watson"):
        assert jobs[name]["trials"] == {"completed": 6}
    assert "the emulator has ended" in jobs["vertex"]["reason"]
    for text in (out, err):
        assert " ".join(jobs["vertex"]["reason"].split()) in " ".join(text.split())
    overview = {row.split()[0]: row.split() for row in out.splitlines()[-5:-1]}
    assert {name: "failed" in row for name, row in overview.items()} == {
        "local": False,
        "sagemaker": False,
        "vertex": True,
        "watson": False,
    }
    folder = home.state / "runs" / home.run
    assert "400" in (folder / "sagemaker" / "emulator" / "server.log").read_text("utf-8")
    report = home.call("report").stdout
    assert jobs["vertex"]["reason"] in " ".join(report.split())


def test_the_documented_faults_are_possible(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(documented()[1], "utf-8")
    plans = read_fault_plans(
        tmp_path / "faults.yaml", {"sagemaker": None, "vertex": None, "watson": "driven"}
    )
    assert {name: len(plan["faults"]) for name, plan in plans.items()} == {
        "sagemaker": 2,
        "vertex": 1,
        "watson": 1,
    }


def test_an_unknown_fault_ends_the_command_with_the_known_ones(home: Home) -> None:
    (home.path / "faults.yaml").write_text(
        "faults:\n- {provider: vertex, operation: CreateTraining, call: 1, effect: error}\n"
    )
    on = ("--on", "vertex", "--on", "watson", "--set", "providers.watson.backend=wml")
    done = home.call("run", "study.yaml", *on, "--emulate", "--faults", "faults.yaml", code=1)
    assert "faults.yaml:2: faults.0.operation: vertex: must be trial, * or one of" in done.stderr
    assert "CreateHyperparameterTuningJob" in done.stderr
    assert not home.state.exists()
