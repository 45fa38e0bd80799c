"""A run that is created only in part leaves nothing that cannot be removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cloudtune.errors import UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.planning import planner
from cloudtune.runs import lifecycle
from cloudtune.study.loader import load

STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: {name: random, seed: 1}
limits: {max_trials: 1}
trial: {script: train.py}
"""
SCRIPT = "from cloudtune.trial import params, report\nreport(score=params()['x'])\n"
KILLED = """\
import os, signal, sys
from cloudtune.runs import lifecycle
copy = lifecycle.copy_files
def copy_and_die(*arguments):
    copy(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
lifecycle.copy_files = copy_and_die
from cloudtune.cli import main
main(sys.argv[1:])
"""
"""cloudtune that is killed after it has copied the source."""
MAIN = (sys.executable, "-m", "cloudtune")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, "utf-8")
    return tmp_path


def call(
    *words: str, code: int = 0, main: Sequence[str] = MAIN
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*main, *words], capture_output=True, text=True, check=False, timeout=200, env=os.environ
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def kill_run(study: str) -> str:
    """Kill a run while it is created, and return the name of its folder."""
    call("run", study, code=-signal.SIGKILL, main=(sys.executable, "-c", KILLED))
    (left,) = Path("state/runs").iterdir()
    return left.name


@pytest.mark.slow
def test_what_a_kill_during_creation_leaves_can_be_removed(folder: Path) -> None:
    left = kill_run("study.yaml")
    note = f"not in the ledger: {left}; to remove them: cloudtune clean {left}"
    assert note in call("status").stderr
    assert json.loads(call("clean", "--yes", "--json").stdout) == [left]
    assert not (folder / "state" / "runs" / left).exists()
    assert call("status").stderr == ""


@pytest.mark.slow
def test_a_run_that_the_ledger_has_lost_is_removed_only_by_name(folder: Path) -> None:
    call("run", "study.yaml")
    with Ledger() as ledger:
        lost = ledger.find_run_id()
        ledger.remove_run(lost)
    assert "nothing to remove" in call("clean", "--yes").stdout
    assert (folder / "state" / "runs" / lost).exists()
    call("clean", lost, "--yes")
    assert not (folder / "state" / "runs" / lost).exists()


@pytest.mark.slow
def test_a_plan_whose_creation_was_killed_runs(folder: Path) -> None:
    call("plan", "study.yaml", "-o", "plan.json")
    left = kill_run("plan.json")
    call("run", "plan.json")
    assert [path.name for path in (folder / "state" / "runs").iterdir()] == [left]
    assert not (folder / "state" / "runs" / left / "incomplete").exists()


def test_a_failed_creation_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lifecycle, "copy_files", fail)
    plan = planner.plan(load("study.yaml"), "local", base=folder)
    with pytest.raises(OSError, match="No space"):
        lifecycle.create([plan])
    assert [*(folder / "state" / "runs").iterdir()] == []


def test_a_run_that_is_being_created_is_not_removed_or_created_again(folder: Path) -> None:
    plan = planner.plan(load("study.yaml"), "local", base=folder)
    with Ledger(create=True) as ledger:
        run_folder = ledger.run_folder(plan.facts.run_id)
    with RunLock(run_folder / "incomplete"):
        with pytest.raises(UsageError, match=r"is being created by process \d+"):
            lifecycle.create([plan])
        assert call("status").stderr == ""
        assert "nothing to remove" in call("clean", "--yes").stdout
        assert run_folder.exists()
    assert lifecycle.create([plan]).id == plan.facts.run_id
