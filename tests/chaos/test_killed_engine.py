"""kill -9 of cloudtune at random moments, and resume: nothing lost, doubled or left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.holding import holder
from cloudtune.ledger import Ledger

SCRIPT = """\
import time
from cloudtune.trial import params, report
p = params()
for step in range(1, 4):
    report(score=p["x"] * step, step=step)
    time.sleep(0.03)
"""
STUDY = """\
objective: {metric: score, goal: maximize}
parameters:
  x: {type: float, min: 0, max: 1}
  k: {type: categorical, values: [a, b, c]}
strategy: {name: %s, seed: 3}
limits: {max_trials: 24, parallel_trials: %d}
trial: {script: train.py}
"""


def begin(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cloudtune", *words],
        cwd=folder,
        env={**os.environ, "CLOUDTUNE_HOME": str(folder / ".cloudtune")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def results(folder: Path) -> list[dict[str, Any]]:
    shown = subprocess.run(
        [sys.executable, "-m", "cloudtune", "results", "--format", "jsonl"],
        cwd=folder,
        env={**os.environ, "CLOUDTUNE_HOME": str(folder / ".cloudtune")},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in shown.stdout.splitlines()]


def nothing_left_behind(run: str) -> bool:
    return not left_behind(run)


def left_behind(run: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLOUDTUNE_RUN", "").startswith(f"{run}."):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Any, seconds: float = 20.0) -> bool:
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("strategy", "parallel"), [("random", 2), ("bayesian", 1)])
def test_ten_kills_and_resumes_lose_and_double_nothing(
    tmp_path: Path, strategy: str, parallel: int
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY % (strategy, parallel), "utf-8")
    rng = random.Random(strategy)
    seen = 0
    kept: dict[int, dict[str, Any]] = {}
    engines: list[subprocess.Popen[bytes]] = []
    assert begin(tmp_path, "run", "study.yaml", "--detach").wait() == 0
    run = the_run(tmp_path)
    folder = tmp_path / ".cloudtune" / "runs" / run
    for kill in range(10):
        time.sleep(rng.uniform(0.0, 0.5))
        engine = holder(folder)
        if engine and engine.process:
            running = left_behind(run)
            while kill == 9 and not seen + len(running):  # slow machines start no trial so soon
                running = left_behind(run)
            seen += len(running)
            os.kill(engine.process, signal.SIGKILL)
        assert wait_for(partial(nothing_left_behind, run)), f"kill {kill} left processes"
        for trial in results(tmp_path):
            before = kept.get(trial["number"])
            if before and before["state"] == "completed":
                assert trial == before
            kept[trial["number"]] = trial
        engines.append(begin(tmp_path, "resume"))
        assert wait_for(lambda: holder(folder) is not None or engines[-1].poll() is not None)
    for each in engines:
        each.wait(timeout=60)
    assert seen, "no kill met a running trial"
    assert begin(tmp_path, "resume").wait(timeout=60) == 0
    trials = results(tmp_path)
    completed = [trial for trial in trials if trial["state"] == "completed"]
    assert len(completed) == 24
    assert len({trial["number"] for trial in trials}) == len(trials)
    assert {trial["state"] for trial in trials} <= {"completed", "cancelled"}
    for trial in completed:
        assert [m["step"] for m in trial["measurements"]] == [1, 2, 3]
    for trial in trials:
        if trial["state"] == "cancelled":
            again = [t for t in trials if t.get("replaces") == trial["number"]]
            assert [t["parameters"] for t in again] == [trial["parameters"]]
    assert not left_behind(run)
    whole = tmp_path / "whole"
    whole.mkdir()
    for name in ("train.py", "study.yaml"):
        (whole / name).write_text((tmp_path / name).read_text("utf-8"), "utf-8")
    assert begin(whole, "run", "study.yaml").wait(timeout=60) == 0
    asked = [trial["parameters"] for trial in results(whole)]
    if parallel == 1:
        assert [trial["parameters"] for trial in completed] == asked
    else:
        assert {json.dumps(p) for p in asked} == {json.dumps(t["parameters"]) for t in completed}


def the_run(folder: Path) -> str:
    with Ledger(folder / ".cloudtune") as ledger:
        return ledger.run().id


def test_ctrl_c_ends_gracefully_and_says_how_to_resume(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "study.yaml").write_text(STUDY % ("random", 2), "utf-8")
    engine = subprocess.Popen(
        [sys.executable, "-m", "cloudtune", "run", "study.yaml"],
        cwd=tmp_path,
        env={**os.environ, "CLOUDTUNE_HOME": str(tmp_path / ".cloudtune")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert engine.stderr is not None
    for line in engine.stderr:
        if line.startswith("[1/24]"):
            break
    engine.send_signal(signal.SIGINT)
    _, told = engine.communicate(timeout=30)
    assert engine.returncode == 130
    run = the_run(tmp_path)
    assert f"cloudtune resume {run}" in told
    assert not left_behind(run)
    assert begin(tmp_path, "resume").wait(timeout=60) == 0
    assert sum(trial["state"] == "completed" for trial in results(tmp_path)) == 24
