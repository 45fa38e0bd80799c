"""Processes of cloudtune in a folder whose files have the names of modules that they import."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.emulation import process
from cloudtune.errors import ProviderError

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


SLOW = """
import fcntl, json, os, sys, time
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--folder") + 1])
print("greetings from the emulator", file=sys.stderr, flush=True)
(folder / "greeted").touch()
while "--never" in sys.argv:
    time.sleep(1)
lock = open(folder / "lock", "wb")
fcntl.flock(lock, fcntl.LOCK_EX)
address = {"pid": os.getpid(), "url": "http://127.0.0.1:9", "key": "k", "environment": {}}
(folder / "address.json").write_text(json.dumps(address))
time.sleep(600)
"""


def computing(folder: Path, once_greeted: float | None) -> Callable[[int, float], float]:
    """Return processor time that grows, until the emulator has greeted and it has a last value."""
    ticks = itertools.count(1)

    def cpu_seconds(_pid: int, before: float) -> float:
        greeted = (folder / "emulator" / "greeted").exists()
        if greeted and once_greeted is not None:
            return max(before, once_greeted)
        return next(ticks) / 1e9

    return cpu_seconds


@pytest.fixture
def slow_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of an emulator that takes longer to start than one may be idle."""
    (tmp_path / "slow_emulator.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "_TIMEOUT", 0.001)
    return "slow_emulator"


def test_an_emulator_that_computes_is_waited_for(
    tmp_path: Path, slow_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "cpu_seconds", computing(tmp_path, None))
    address = process.start("slurm", slow_emulator, tmp_path / "emulator")
    monkeypatch.setattr(process, "_TIMEOUT", 60.0)
    process.stop(address)


@pytest.mark.parametrize(
    ("once_greeted", "reason"),
    [
        pytest.param(0.0, ", none of it in the last 0 s, and did not listen", id="idle"),
        pytest.param(300.0, "it used 300.0 s of processor time, and did not listen", id="endless"),
    ],
)
def test_an_emulator_that_does_not_start_says_what_was_waited_for(
    tmp_path: Path,
    slow_emulator: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    once_greeted: float,
    reason: str,
) -> None:
    monkeypatch.setattr(process, "cpu_seconds", computing(tmp_path, once_greeted))
    with pytest.raises(ProviderError) as caught:
        process.start("slurm", slow_emulator, tmp_path / "emulator", ["--never"])
    first, *log = str(caught.value).splitlines()
    assert "its emulator did not start: in " in first
    assert reason in first
    assert log == ["greetings from the emulator"]


def test_the_processor_time_of_a_process_is_read() -> None:
    used = process.cpu_seconds(os.getpid(), 0.0)
    assert used > 0
    assert process.cpu_seconds(os.getpid(), 0.0) >= used
