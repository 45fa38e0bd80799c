"""A confirmation that is killed half-way, and resumed: the same seeds, trials and verdict."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import LONGEST, Home, wait_for

SCRIPT = """\
import os, random, time
from cloudtune.trial import params, report
x, seed = params()["x"], os.environ["CLOUDTUNE_SEED"]
if os.environ.get("CLOUDTUNE_CONFIRM"):
    folder = os.environ["FOLDER"]
    with open(os.path.join(folder, "starts"), "a") as file:
        file.write("x\\n")
    while len(open(os.path.join(folder, "starts")).readlines()) >= HELD:
        if os.path.exists(os.path.join(folder, "go")):
            break
        time.sleep(0.02)
report(score=0.1 * x + random.Random(f"{x} {seed}").gauss(0, 1))
"""
HELD = 9
"""The start of a confirming trial from which on trials wait; two seeds of each are done by then."""
STUDY = """\
objective: {metric: score, goal: maximize}
parameters: {x: {type: float, min: 0, max: 1}}
strategy: {name: random, seed: 3}
limits: {max_trials: 3, parallel_trials: 2}
trial: {script: train.py, env: {FOLDER: %s}}
"""


def confirmed(home: Home) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Return what a confirmation has run and found, without names and the last digits."""
    repeated = [
        (each["parameters"]["x"], each["seed"], each["objective"])
        for each in home.results()
        if each["state"] == "completed"
    ]
    printed = home.call("report", "--as", "json").stdout
    report = json.loads(printed, parse_float=lambda text: round(float(text), 9))
    (found,) = report["confirmations"]
    named = {"run", "confirms", "source_hash"}
    return sorted(repeated), {key: value for key, value in found.items() if key not in named}


def search(home: Home) -> None:
    (home.path / "train.py").write_text(SCRIPT.replace("HELD", str(HELD)), "utf-8")
    (home.path / "study.yaml").write_text(STUDY % home.path, "utf-8")
    home.call("run", "study.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_confirmation_goes_on_to_the_same_verdict(
    home: Home, tmp_path: Path, how: signal.Signals
) -> None:
    search(home)
    starts = home.path / "starts"
    killed = home.begin("confirm")
    assert wait_for(lambda: starts.exists() and len(starts.read_text().splitlines()) >= HELD)
    killed.send_signal(how)
    shown = killed.communicate(timeout=LONGEST)[0]
    if how == signal.SIGINT:
        assert "Incomplete: The confirmation has not ended as planned (interrupted)" in shown
    assert killed.returncode == (130 if how == signal.SIGINT else -how)
    assert wait_for(home.is_quiet)
    (home.path / "go").touch()
    assert "\nTake: trial " in home.call("resume").stdout
    undisturbed = Home(tmp_path / "undisturbed")
    undisturbed.path.joinpath("go").touch()
    search(undisturbed)
    undisturbed.call("confirm")
    assert confirmed(home) == confirmed(undisturbed)
    assert "\nTake: trial " in undisturbed.call("watch").stdout
