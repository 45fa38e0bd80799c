"""What the status and the live display say of trials that wait for a machine."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from cloudtune import api
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning import planner
from cloudtune.reporting.console.live import LiveProgress
from cloudtune.reporting.console.status_page import format_status
from cloudtune.results.events import Ended, Event, Running, Started, Waiting
from cloudtune.runs.lifecycle import create
from cloudtune.runs.status import read_status
from cloudtune.study.loader import load
from tests.cloudtune.ledger.test_damage import to_version_2

STUDY = """
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: {name: random, seed: 1}
limits: {max_trials: 4}
trial: {source: ., script: train.py}
"""
EVENTS: list[Event] = [
    *(Started(number, 1000.0, {"x": 0.5}) for number in (1, 2, 3, 4)),
    *(Waiting(number, 1001.0, "PENDING (Resources)") for number in (1, 2, 3)),
    *(Running(2, 1005.0), Running(4, 1005.0)),
    *(Waiting(3, 1010.0, "PENDING (Priority)"), Ended(4, 1020.0, "failed", "exit code 1")),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def record() -> str:
    plan = planner.plan(load(Path("study.yaml")), "local", seed=5)
    run = create([plan]).id
    with Ledger() as ledger:
        ledger.append(run, "local", *EVENTS)
    return run


def test_the_status_says_which_trials_wait_and_for_what() -> None:
    run = record()
    (row,) = read_status(run)
    assert row["trials"] == {"waiting": 2, "running": 1, "failed": 1}
    assert row["jobs"][0]["waiting"] == [
        {"trial": 1, "reason": "PENDING (Resources)"},
        {"trial": 3, "reason": "PENDING (Priority)"},
    ]
    (result,) = api.find_run(run).results()
    lines = format_status("running", result)
    assert "1 of 4 trials ended" in lines[0]
    assert "waiting: trial 1: PENDING (Resources)" in lines
    assert "waiting: trial 3: PENDING (Priority)" in lines


def test_the_live_display_says_what_trials_wait_for() -> None:
    plan = planner.plan(load(Path("study.yaml")), "local", seed=5)
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=True, color_system=None)
    progress = LiveProgress(console, ["local"])
    progress.begin(plan, [])
    progress.events("local", EVENTS)
    progress.close()  # draws it for the last time
    lines = [line.strip() for line in file.getvalue().splitlines()]
    assert any(line.startswith("trial 1  waiting for ") for line in lines)
    assert any(": PENDING (Priority)" in line for line in lines)
    assert any(line.startswith("trial 2  ") and "waiting" not in line for line in lines)


def test_a_ledger_of_an_older_version_is_read(home: Path) -> None:
    run = record()
    with closing(sqlite3.connect(home / "state" / "ledger.db")) as db:
        db.execute("DELETE FROM events WHERE kind IN ('waiting', 'running')")
        db.commit()
    to_version_2(home / "state" / "ledger.db")
    with Ledger() as ledger:
        assert ledger.run(run).id == run
    assert (home / "state" / "ledger-version-2.db").exists()
