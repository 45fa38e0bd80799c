"""Processes of cloudtune in a folder whose files have the names of modules that they import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.emulation import process

SHADOW = "raise SystemExit('a file of the user was imported')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has such files."""
    for name in ("queue", "json", "sqlite3"):
        (tmp_path / f"{name}.py").write_text(SHADOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_emulator_imports_no_file_of_the_current_folder(folder: Path) -> None:
    address = process.start("slurm", "cloudtune_slurm.emulator", folder / "emulator")
    try:
        program = folder / "emulator" / "bin" / "squeue"
        done = subprocess.run([program, "-h"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    finally:
        process.stop(address)


def test_a_detached_run_imports_no_file_of_the_current_folder(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text(
        "from cloudtune.trial import report\nreport(score=1)\n"
    )
    (folder / "study.yaml").write_text(
        "objective: {metric: score, goal: maximize}\n"
        "parameters: {x: {type: float, min: 0, max: 1}}\n"
        "limits: {max_trials: 1}\n"
        "trial: {source: code, script: train.py}\n"
    )
    command = [sys.executable, "-P", "-m", "cloudtune"]
    env = {**os.environ, "CLOUDTUNE_HOME": str(folder / "state")}
    for words in (["run", "study.yaml", "--detach"], ["watch"]):
        done = subprocess.run(
            [*command, *words], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
