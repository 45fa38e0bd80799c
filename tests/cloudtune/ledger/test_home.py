"""Other users cannot read state folders, whichever command creates them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from cloudtune.emulation.process import EmulationOptions, save_options
from cloudtune.ledger.home import create_private_folder, create_state_folder, open_folder_note
from tests.providers import TUNERS

STUDY = """
objective: {metric: score, goal: maximize}
parameters: {x: {type: int, min: 1, max: 9}}
strategy: random
limits: {max_trials: 1}
trial: {script: train.py, metrics: {score: 'score: (.*)'}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "new" / "state"))
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.py").write_text("print('score: 1')")
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def cloudtune(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloudtune", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_a_run_creates_a_private_folder(folder: Path) -> None:
    done = cloudtune("run", "study.yaml")
    assert mode(folder / "new") == mode(folder / "new" / "state") == 0o700
    assert "other users" not in done.stderr


@pytest.mark.parametrize("provider", TUNERS)
def test_an_emulator_creates_a_private_folder(folder: Path, provider: str) -> None:
    command = [sys.executable, "-m", "cloudtune", "emulate", provider, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emulator:
        assert emulator.stdout is not None
        assert "url" in json.loads(emulator.stdout.readline())
        emulator.send_signal(signal.SIGINT)
    state = folder / "new" / "state"
    assert mode(folder / "new") == mode(state) == mode(state / "emulators" / provider) == 0o700
    assert (state / ".gitignore").read_text() == "*\n"


def test_the_options_of_an_emulator_are_private(folder: Path) -> None:
    save_options("sagemaker", EmulationOptions(), folder / "a" / "b")
    assert mode(folder / "a") == mode(folder / "a" / "b") == 0o700


def test_an_existing_open_folder_is_reported_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = folder / "it's open"
    state.mkdir(mode=0o755)
    monkeypatch.setenv("CLOUDTUNE_HOME", str(state))
    done = cloudtune("run", "study.yaml")
    assert done.stderr.count("other users of this machine have access") == 1
    repair = next(line for line in done.stderr.splitlines() if "chmod" in line).partition(": chmod")
    subprocess.run(["sh", "-c", f"chmod{repair[2]}"], check=True)
    assert mode(state) == 0o700
    assert open_folder_note(state) is None
    assert "other users" not in cloudtune("run", "study.yaml").stderr


def test_what_is_no_folder_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(FileExistsError):
        create_private_folder(folder / "file")
    with pytest.raises(NotADirectoryError):
        create_state_folder(folder / "file" / "state")
