"""kill -9 of everything at random moments, and resume: nothing is lost, duplicated or left behind.

What is killed and when is drawn anew each time; a failure prints the seed that brings it back.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cloudtune.ledger.reader import read_results
from cloudtune.results.model import Trial

if TYPE_CHECKING:
    from .conftest import Home

TRIALS = 24
LONGEST = 30.0
"""Seconds of killing, however slow the machine is."""
HELD = """
import os
from cloudtune.trial import trial_id
while int(trial_id().rpartition("-")[2]) > 12 and not os.path.exists({met!r}):
    time.sleep(0.02)
"""
"""Later trials wait until the client was killed while trials ran."""


def wait_for(condition: Any, seconds: float = 200) -> bool:
    due = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > due:
            return False
        time.sleep(0.02)
    return True


def kill(process: psutil.Process | int) -> None:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        if isinstance(process, int):
            os.kill(process, signal.SIGKILL)
        else:
            process.kill()


class Killer:
    """Kills parts of a run, and looks each time at what that leaves."""

    def __init__(self, home: Home, rng: random.Random) -> None:
        self.home = home
        self.rng = rng
        self.completed: dict[int, Trial] = {}
        self.trials_killed = 0
        self.met = 0
        """How often the client was killed while trials ran."""

    def engine(self) -> int | None:
        """Return the client, started again if need be, or None once the run has come to its end."""
        if (engine := self.home.engine()) is None:
            process = self.home.begin("resume")
            wait_for(lambda: self.home.engine() or process.poll() is not None)
            engine = self.home.engine()
        return engine

    def kill(self, target: str) -> None:
        engine = self.engine()
        if not self.met or self.rng.random() < 0.5:
            wait_for(lambda: self.home.trials() or self.home.engine() != engine)
        time.sleep(self.rng.uniform(0.0, 0.3))
        if target == "trial":
            if running := self.home.trials():
                kill(self.rng.choice(running))
                self.trials_killed += 1
            return
        reapers = self.home.reapers()
        if "reaper" in target:
            for each in reapers:
                kill(each)
        if "client" in target and engine is not None:
            running = self.home.trials()
            kill(engine)
            if running:
                self.met += 1
                (self.home.path / "met").touch()
            unharmed = reapers and all(map(psutil.Process.is_running, reapers))
            if "reaper" not in target and unharmed:
                assert wait_for(self.home.is_quiet), "the reaper left something"
            else:
                self.engine()
                assert wait_for(lambda: not any(p in running for p in self.home.trials()))
        self.check()

    def check(self) -> None:
        """Check that no completed trial has changed."""
        ((_, trials),) = (
            (job, list(trials)) for job, trials in read_results(None, self.home.state)
        )
        for trial in trials:
            before = self.completed.get(trial.number)
            assert before in (None, trial) or before.state == "running"
            self.completed[trial.number] = trial


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "parallel", "targets"),
    [
        ("random", 2, ["client", "client", "reaper", "client and reaper", "trial", "trial"]),
        ("bayesian", 1, ["client", "client", "reaper", "client and reaper"]),
    ],
)
def test_random_kills_lose_and_duplicate_nothing_and_leave_no_process(
    home: Home, rng: random.Random, strategy: str, parallel: int, targets: list[str]
) -> None:
    study = home.path / "study.yaml"
    script = home.path / "train.py"
    text = script.read_text("utf-8").replace("0.03", "0.1")
    script.write_text(text + HELD.format(met=str(home.path / "met")), "utf-8")
    text = study.read_text("utf-8")
    text = text.replace("name: random", f"name: {strategy}")
    study.write_text(text.replace("parallel_trials: 2", f"parallel_trials: {parallel}"), "utf-8")
    home.call("run", "study.yaml", "--detach")
    killer = Killer(home, rng)
    drawn = [*targets, *rng.choices(targets, k=8 - len(targets))]
    rng.shuffle(drawn)
    due = time.monotonic() + LONGEST  # short: no more kills after it
    for target in drawn:
        if time.monotonic() < due or not killer.met:
            killer.kill(target)
    while not killer.met:
        killer.kill("client")
    assert wait_for(lambda: home.engine() is None)
    home.call("resume")
    killer.check()
    assert wait_for(home.is_quiet), "something is left"
    assert_nothing_lost_or_doubled(home.results(), killer.trials_killed)
    with closing(sqlite3.connect(home.state / "ledger.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    whole = type(home)(home.path / "whole")
    (whole.path / "study.yaml").write_text(study.read_text("utf-8"), "utf-8")
    whole.call("run", "study.yaml")
    asked = [trial["parameters"] for trial in whole.results()]
    done = [t["parameters"] for t in home.results() if t["state"] != "cancelled"]
    if parallel == 1:
        assert done == asked
    assert sorted(map(json.dumps, done)) == sorted(map(json.dumps, asked))


def assert_nothing_lost_or_doubled(trials: list[dict[str, Any]], killed: int) -> None:
    by_state: dict[str, list[dict[str, Any]]] = {}
    for trial in trials:
        by_state.setdefault(trial["state"], []).append(trial)
    completed, failed = by_state.pop("completed"), by_state.pop("failed", [])
    cancelled = by_state.pop("cancelled", [])
    assert by_state == {}
    assert [trial["number"] for trial in trials] == list(range(1, len(trials) + 1))
    assert len(completed) + len(failed) == TRIALS
    assert len(failed) <= killed
    assert {trial["reason"] for trial in failed} <= {"killed by SIGKILL"}
    for trial in completed:
        assert [m["step"] for m in trial["measurements"]] == [1, 2, 3]
    for trial in cancelled:
        again = [t for t in trials if t.get("replaces") == trial["number"]]
        assert [t["parameters"] for t in again] == [trial["parameters"]]


@pytest.mark.slow
def test_ctrl_c_ends_gracefully_and_prints_how_to_resume(home: Home) -> None:
    script, go = home.path / "train.py", home.path / "go"
    waits = f"""
import os
from cloudtune.trial import trial_id
while not trial_id().endswith("-1") and not os.path.exists({str(go)!r}):
    time.sleep(0.01)
"""
    script.write_text(script.read_text("utf-8") + waits, "utf-8")
    engine = home.begin("run", "study.yaml")
    assert engine.stderr is not None
    for line in engine.stderr:
        if line.startswith("[1/24]"):
            break
    engine.send_signal(signal.SIGINT)
    go.touch()
    _, err = engine.communicate(timeout=200)
    assert engine.returncode == 130
    assert f"cloudtune resume {home.run}" in err
    assert home.is_quiet()
    home.call("resume")
    assert sum(trial["state"] == "completed" for trial in home.results()) == TRIALS


def test_ctrl_c_during_the_summary_still_prints_how_to_resume(home: Home) -> None:
    engine = home.begin("run", "study.yaml", "--set", "limits.max_trials=1000")
    assert engine.stderr is not None
    assert engine.stdout is not None
    full = fcntl.fcntl(engine.stdout, fcntl.F_SETPIPE_SZ, 4096)
    Path(f"/proc/{engine.pid}/fd/1").write_bytes(b"." * full)  # so that the summary has to wait
    for line in engine.stderr:
        if line.startswith("[1/1000]"):
            engine.send_signal(signal.SIGINT)
            break
    assert wait_for(lambda: home.engine() is None)
    assert engine.poll() is None
    while engine.poll() is None:  # Python ignores an interrupt in a callback, as those of imports
        engine.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            engine.wait(timeout=30)  # short: it is interrupted again
    assert engine.returncode == 130
    assert f"cloudtune resume {home.run}" in engine.stderr.read()
