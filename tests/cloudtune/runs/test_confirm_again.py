"""What several confirmations of one run say together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main

SCRIPT = """\
import os, random
from cloudtune.trial import params, report
x, seed = params()["x"] % 4, os.environ["CLOUDTUNE_SEED"]
is_search = os.environ.get("CLOUDTUNE_CONFIRM") != "1"
report(loss=x if is_search else -x + random.Random(f"{seed} {x}").gauss(0, 0.01))
"""
"""The search prefers 4, then 1, 2 and 3, and repeated they are better in reverse."""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def search(script: str = SCRIPT, **blocks: Any) -> str:
    Path("train.py").write_text(script, "utf-8")
    study: dict[str, Any] = {
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"type": "discrete", "values": [1, 2, 3, 4]}},
        "strategy": "grid",
        "limits": {"max_trials": 3},
        "trial": {"script": "train.py"},
        **blocks,
    }
    return api.run(study, show=False).id


def call(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0, words


def best(run: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the best x, and the note."""
    capsys.readouterr()
    call("results", run, "--best", "--as", "json")
    printed = capsys.readouterr()
    return json.loads(printed.out)["x"], printed.err


def test_a_smaller_confirmation_does_not_outweigh_one_that_refutes_its_trial(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    call("confirm", run, "--top", "2", "--seeds", "8", "--fixed")
    assert best(run, capsys)[0] == 2
    call("confirm", run, "--top", "3", "--seeds", "5", "--fixed")
    x, note = best(run, capsys)
    assert x == 3
    assert "1 other confirmation took trial 2, which is worse than trial 3 in run" in note


def test_runs_are_compared_by_the_trials_to_take(capsys: pytest.CaptureFixture[str]) -> None:
    run = search()
    other = search(parameters={"x": {"type": "discrete", "values": [2, 3]}})
    call("confirm", run, "--seeds", "4", "--fixed")
    capsys.readouterr()
    call("results", run, other, "--best", "--as", "json")
    assert json.loads(capsys.readouterr().out) == {"x": 2}
    call("results", run, f"{run}-confirm", "--best", "--format", "jsonl")
    assert len(capsys.readouterr().out.splitlines()) == 1
    call("report", run, other, "--json")
    report = json.loads(capsys.readouterr().out)
    best, first = (report["verdicts"][0][name] for name in ("best", "first"))
    assert best["leaders"] == first["leaders"] == ["study 2"]
    assert [each["values"] for each in best["standings"]] == [[2], [3]]
    assert [each["parameters"] for each in report["answers"]] == [{"x": 3}, {"x": 2}]
    call("report", run, other)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"study 1, run {run}: run {run}-confirm repeated the best trials, and trial 3" in printed


def test_bounds_are_those_of_the_trial_to_take(capsys: pytest.CaptureFixture[str]) -> None:
    values = [0.99, 0.98, 0.97, 0.5, 0.4]
    run = search(
        SCRIPT.replace("% 4", "").replace("-x +", "abs(x - 1) +").replace("loss=x", "loss=1 - x"),
        parameters={"x": {"type": "float", "min": 0, "max": 2}},
        strategy={"name": "random", "seed": 0},
        initial_trials=[{"x": 2 * value} for value in values],
        limits={"max_trials": 5},
    )
    call("report", run)
    assert "to search beyond the bounds of x" in capsys.readouterr().out
    call("confirm", run, "--seeds", "4", "--fixed")
    capsys.readouterr()
    call("report", run)
    printed = capsys.readouterr().out
    assert "Best: trial 4" in printed
    assert "bounds of x" not in printed
    assert "Bounds" not in printed
    call("explain", run)
    assert "At a bound" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_note_says_that_an_emulator_decides(capsys: pytest.CaptureFixture[str]) -> None:
    run = search()
    call("confirm", run, "--on", "slurm", "--emulate", "--seeds", "5", "--fixed")
    x, note = best(run, capsys)
    assert x == 3
    assert "repeated the best trials at an emulator, and trial 3 is" in note
    call("report", run)
    report = " ".join(capsys.readouterr().out.split())
    assert f"over 5 seeds (run {run}-confirm, at an emulator)" in report
    assert f"Run {run}-confirm repeats run {run} at an emulator" in report
    assert f"apart (run {run}-confirm, at an emulator)" in report


def test_the_trial_taken_so_far_is_repeated_beside_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    call("confirm", run, "--seeds", "4", "--fixed")
    call("confirm", run, "--top", "1", "--seeds", "2", "--fixed")
    printed = capsys.readouterr().out
    assert f"trial 3 on local, which run {run}-confirm takes, is repeated, too." in printed
    call("resume", run, "--set", "limits.max_trials=4")
    call("confirm", run, "--top", "2", "--seeds", "2", "--fixed")
    x, note = best(run, capsys)
    assert x == 3
    assert f"run {run}-confirm-3 repeated the best trials, and trial 3 is the best" in note


@pytest.mark.parametrize(
    ("value", "top"),
    [
        pytest.param("x if is_search else -x + own", "3", id="its winner did not hold"),
        pytest.param("x + own", "2", id="a single pair"),
        pytest.param("x + common", "3", id="constant differences"),
    ],
)
def test_what_an_earlier_confirmation_cannot_tell_is_confirmed(
    value: str, top: str, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = 'own, common = (random.Random(f"{seed} {s}").gauss(0, 0.01) for s in (x, ""))\n'
    script = SCRIPT[: SCRIPT.index("report(loss")] + noise + f"report(loss={value})\n"
    run = search(script)
    call("confirm", run, "--top", top, "--seeds", "6", "--fixed")
    again = search(script)
    for each in (run, again):
        call("confirm", each, "--top", "3", "--seeds", "2")
        assert "is not needed" not in capsys.readouterr().out
