"""kill -9 at each step of a run's beginning and end; `resume` at once completes the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cloudtune.emulation.process import find_running
from cloudtune.ledger.home import EMULATOR_FOLDER
from cloudtune.planning import planner
from cloudtune.runs import lifecycle
from cloudtune.study.loader import load
from cloudtune.testing import kill_at_call
from tests.read_here import read_here

from .conftest import LONGEST

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Home

TRIALS = 2
ENGINE = [
    ("cloudtune.ledger.ledger:Ledger.begin_job", "after"),
    ("cloudtune.engine.job:job_context", "after"),
    ("cloudtune.ledger.ledger:Ledger.end_job", "before"),
    ("cloudtune.engine.job:_end_job", "after"),
    ("cloudtune.ledger.lock:RunLock.__exit__", "before"),
]
"""The steps of a run on any provider."""
EMULATOR = [
    ("cloudtune.emulation.process:subprocess.Popen", "after"),
    ("cloudtune.engine.job_emulator:stop", "before"),
    ("cloudtune.emulation.process:_request_end", "after"),
    ("cloudtune.engine.job_emulator:stop", "after"),
]
"""The steps of an emulated run only."""


def create_run(home: Home, monkeypatch: pytest.MonkeyPatch, provider: str, mode: str) -> str:
    """Create a run that no process executes, and return its id."""
    monkeypatch.setenv("CLOUDTUNE_HOME", str(home.state))
    overrides = [f"limits.max_trials={TRIALS}"]
    if provider != "local":
        overrides.append(f"providers.{provider}.mode={mode}")
    study = load(str(home.path / "study.yaml"), overrides=overrides)
    plan = planner.plan(study, provider, base=home.path, emulated=provider != "local")
    return lifecycle.create([plan], overrides=overrides).id


def kill_at(home: Home, run: str, call: str, when: str) -> None:
    words = [sys.executable, "-m", kill_at_call.__name__, run, call, "1", when]
    done = subprocess.run(
        words,
        env=home.env,
        cwd=home.path,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def job_status(home: Home) -> dict[str, Any]:
    code, output = read_here(home.path, home.state, "status", "--json")
    assert code == 0, output
    ((job,),) = [run["jobs"] for run in json.loads(output)]
    status: dict[str, Any] = job
    return status


def is_recorded(call: str, when: str) -> bool:
    """Return whether the run's end is in the ledger after a kill at this step."""
    ends = ("end_job", "RunLock", "job_emulator:stop", "_request_end")
    return any(each in call for each in ends) and (call, when) != ENGINE[2]


@pytest.mark.slow
@pytest.mark.parametrize(("call", "when"), ENGINE)
def test_a_local_run_killed_at_a_step_is_completed_by_resume(
    home: Home, monkeypatch: pytest.MonkeyPatch, call: str, when: str
) -> None:
    run = create_run(home, monkeypatch, "local", "driven")
    kill_at(home, run, call, when)
    expected = "completed" if is_recorded(call, when) else "interrupted"
    assert job_status(home)["state"] == expected
    home.call("resume", run)
    assert job_status(home)["state"] == "completed"
    assert [trial["state"] for trial in home.results()] == ["completed"] * TRIALS


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["managed", "driven"])
@pytest.mark.parametrize(("call", "when"), [*ENGINE, *EMULATOR])
def test_an_emulated_run_killed_at_a_step_is_completed_by_resume(
    home: Home, monkeypatch: pytest.MonkeyPatch, call: str, when: str, mode: str
) -> None:
    run = create_run(home, monkeypatch, "sagemaker", mode)
    folder = home.state / "runs" / run / "sagemaker" / EMULATOR_FOLDER
    try:
        kill_at(home, run, call, when)
        expected = "completed" if is_recorded(call, when) else "interrupted"
        assert job_status(home)["state"] == expected
        home.call("resume", run)
        status = job_status(home)
        assert (status["state"], status["trials"]) == ("completed", {"completed": TRIALS})
        assert find_running(folder) is None, "its emulator still runs"
    finally:
        end_emulator(folder)


def end_emulator(folder: Path) -> None:
    if address := find_running(folder):
        os.kill(address.pid, signal.SIGKILL)
