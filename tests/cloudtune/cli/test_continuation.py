"""What the commands say about going on with a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli import main
from cloudtune.cli.main_group import cloudtune

STUDY: dict[str, Any] = {
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 0, "max": 1}},
    "strategy": {"name": "random"},
    "limits": {"max_trials": 2},
    "trial": {"script": "train.py", "metrics": {"loss": r"loss=(\S+)"}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(script: str, **blocks: object) -> str:
    Path("train.py").write_text(script)
    Path("study.yaml").write_text(json.dumps({**STUDY, **blocks}))
    return call("run", "study.yaml")


def call(*words: str) -> str:
    return CliRunner().invoke(cloudtune, words, catch_exceptions=False).output


def test_a_complete_run() -> None:
    assert "to run more" not in start("print('loss=0.5')\n")
    hint = "to run more: cloudtune resume "
    assert f"local: all 2 trials have run\nlocal: {hint}" in call("resume")
    status = call("status", "--json")
    run = json.loads(status)[0]["run"]
    output = call("status", run)
    assert "local: completed, 2 of 2 trials ended\nbest: loss 0.5 in trial 1 " in output
    assert f"{hint}{run} --set limits.max_trials=4\nto build on it" in output
    more = call("resume", "--set", "limits.max_trials=4")
    assert "4 trials on local" in more
    assert hint not in more


def test_a_run_whose_limit_was_lowered_after_it_has_ended() -> None:
    start("print('loss=0.5')\n", limits={"max_trials": 5})
    run = json.loads(call("status", "--json"))[0]["run"]
    assert "cloudtune resume" not in call("set", run, "limits.max_trials=2")
    assert f"continue it with: cloudtune resume {run}" in call("set", run, "limits.max_trials=6")
    assert "cloudtune resume" not in call("set", run, "limits.max_trials=2")
    for words in (("status", run), ("resume", run)):
        output = call(*words)
        assert "5 of 2" not in output
        assert "its limits have changed" not in output
        assert f"to run more: cloudtune resume {run} --set limits.max_trials=10" in output
    assert "limits.max_trials=10" in call("report", run, "--as", "text")


def test_a_complete_grid() -> None:
    start(
        "print('loss=0.5')\n",
        strategy={"name": "grid"},
        parameters={"x": {"type": "int", "min": 1, "max": 3}},
        limits={},
    )
    output = call("resume")
    assert "all 3 assignments have run\n" in output
    assert "to build on it in a new run, set warm_start: " in output
    assert "--set" not in output


def test_a_run_whose_trials_fail_alike() -> None:
    limits = {"max_trials": 9}
    assert "--set limits.max_failed_trials=10" in start(
        "raise ValueError('no data')", limits=limits
    )
    assert "--set limits.max_failed_trials=10" in call("resume")
    run = json.loads(call("status", "--json"))[0]["run"]
    output = call("status", run)
    assert "local: failed, 3 of 9 trials ended: all 3 trials failed alike" in output
    assert "failed: 3 trials: exited with code 1: ValueError: no data\n" in output
    assert "9 trials on local" in call("resume", "--set", "limits.max_failed_trials=9")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("import absent_package", "No module named 'absent_package'"),
        ("absent_name", "NameError"),
        ("import argparse; argparse.ArgumentParser().parse_args()", "unrecognized arguments"),
        ("print('LOSS=3')", "no printed line matches"),
    ],
)
@pytest.mark.parametrize("trials", [2, 9])
def test_a_cause_is_printed_once_and_a_resume_only_if_it_can_help(
    script: str, cause: str, trials: int, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("train.py").write_text(script)
    fixed = {"strategy": {"name": "list"}, "initial_trials": [{"x": 0}] * trials}
    Path("study.yaml").write_text(json.dumps({**STUDY, **fixed, "limits": {}}))
    with pytest.raises(SystemExit):
        main(["run", "study.yaml"])
    summary, progress = capfd.readouterr()
    assert progress.count(cause) == summary.count(cause) == 1
    assert "failed in " in progress
    assert "as trial 1" in progress
    output = call("status", json.loads(call("status", "--json"))[0]["run"])
    assert output.count(cause) == 1
    is_elsewhere = cause.startswith("No module")
    for text in (progress, output):
        assert ("correct the script or the study, and start a new run" in text) != is_elsewhere
        can_resume = is_elsewhere and trials == 9
        assert ("remove it and go on: cloudtune resume " in text) == can_resume
        assert ("cloudtune resume" in text) == can_resume


@pytest.mark.parametrize(
    ("limits", "blocks", "hint"),
    [
        ({"patience": 1}, {}, "to go on: cloudtune resume RUN --set limits.patience=VALUE\n"),
        ({"timeout": "1s"}, {}, "to go on: cloudtune resume RUN --set limits.timeout=VALUE\n"),
        ({"max_trials": 9}, {"target": 1}, "trial 1 reached the target\nlocal: to build on it "),
    ],
)
def test_a_run_that_a_limit_ended(
    limits: dict[str, object], blocks: dict[str, object], hint: str
) -> None:
    wait = "import time; time.sleep(600)\n" if "timeout" in limits else ""
    start(f"{wait}print('loss=0.5')\n", limits=limits, objective={**STUDY["objective"], **blocks})
    run = json.loads(call("status", "--json"))[0]["run"]
    assert f"local: {hint.replace('RUN', run)}" in call("resume")


RUNGS = """\
import argparse, os
from cloudtune.trial import checkpoint_dir, report
p = argparse.ArgumentParser()
p.add_argument("--x")
p.add_argument("--epochs", type=int)
a = p.parse_args()
path = os.path.join(checkpoint_dir(), "epoch")
first = int(open(path).read()) if KEEPS and os.path.exists(path) else 0
for epoch in range(first, a.epochs):
    print("loss=%d" % (epoch + 1))
    report(reported=epoch + 1)
if KEEPS:
    open(path, "w").write(str(a.epochs))
"""


@pytest.mark.parametrize("keeps", [False, True])
def test_a_promoted_trial(keeps: bool) -> None:
    """Its steps count on only from a checkpoint, and its arguments have its resource."""
    strategy = {"name": "hyperband", "resource": "epochs", "min": 1, "max": 4, "eta": 2}
    start(RUNGS.replace("KEEPS", str(keeps)), strategy=strategy, limits={"max_trials": 4})
    (result,) = json.loads(call("results", "--json"))
    best = max(result["trials"], key=lambda trial: trial.get("resource", 0))
    for name in ("loss", "reported"):
        points = [(m["step"], m["metrics"].get(name)) for m in best["measurements"]]
        values = [(step, value) for step, value in points if value is not None]
        assert [step for step, _ in values] == [value for _, value in values]
        assert (len(values) == 4) is keeps
    assert call("results", "--best", "--as", "args").startswith("--epochs ")
    assert " resource " in call("results").splitlines()[0]
