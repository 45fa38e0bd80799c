"""A trial that breaks a constraint in any confirmation is not the one to take in another."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation
from cloudtune.runs.confirmations import describe_broken
from cloudtune.runs.lifecycle import create

SCRIPT = """\
import os, random
from pathlib import Path
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
luck = 1.5 if (x, seed) == (1, 0) else 0
size = int(str(x) in Path({bad!r}).read_text())
report(m=x + luck + random.Random(f"{{x}} {{seed}}").gauss(0, 0.01), size=size)
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def break_in(trials: str) -> None:
    """Let trials with these values break the constraint from now on."""
    Path("bad").write_text(trials, "utf-8")


def search() -> str:
    """Run a study whose best trials are 3, 1 by luck, and 2, and return the run."""
    break_in("")
    Path("train.py").write_text(SCRIPT.format(bad=str(Path("bad").resolve())), "utf-8")
    study: dict[str, Any] = {
        "objective": {"metric": "m", "goal": "maximize"},
        "parameters": {"x": {"type": "discrete", "values": [1, 2, 3]}},
        "strategy": {"name": "grid", "seed": 0},
        "constraints": ["size <= 0"],
        "limits": {"parallel_trials": 2},
        "trial": {"script": "train.py"},
    }
    return api.run(study, show=False).id


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    code = ended.value.code
    assert isinstance(code, int)
    return code


ALL = "--top 3 --seeds 4 --fixed"
TWO = "--top 2 --seeds 2 --fixed"


@pytest.mark.parametrize(
    ("confirmations", "best", "note"),
    [
        pytest.param([("3", TWO), ("", ALL)], 2, "took trial 1, which is worse", id="before"),
        pytest.param([("", ALL), ("3", TWO)], 2, "took trial 1, which is worse", id="afterwards"),
        pytest.param([("31", TWO), ("", ALL)], 2, "had no trial to take", id="all"),
        pytest.param([("1", TWO), ("3", TWO), ("", ALL)], 2, "had no trial to", id="in two"),
        pytest.param([("", ALL), ("3", "--ablate --seeds 2")], 2, "trial 3 is not", id="ablation"),
        pytest.param([("3", "--ablate --seeds 2")], None, "it breaks", id="only an ablation"),
        pytest.param([("31", TWO), ("2", TWO)], None, "each breaks", id="none is left"),
        pytest.param([("", ALL), ("", ALL)], 3, "with as many seeds", id="none breaks any"),
    ],
)
def test_the_next_best_trial_is_taken(
    confirmations: list[tuple[str, str]],
    best: int | None,
    note: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    for bad, options in confirmations:
        break_in(bad)
        call("confirm", run, *options.split())
    capsys.readouterr()
    assert call("results", run, "--best", "--as", "json") == (0 if best else 1)
    printed = capsys.readouterr()
    assert note in printed.err
    assert call("report", run, "--as", "markdown") == 0
    report = capsys.readouterr().out
    assert ("those that were repeated break a constraint" in printed.err) == (best is None)
    assert "kept the constraints" not in printed.err
    assert re.search(r"The search had m [\d.]+ in trial 3\.", report)
    assert "which breaks a constraint" not in report
    if best:
        assert json.loads(printed.out) == {"x": best}
        assert f"**Best: trial {best}, m" in report
    else:
        assert "**Best: none" in report
        assert (
            "to find a trial to take, since those that were repeated break a constraint" in report
        )


@pytest.mark.parametrize(
    ("bad", "best", "note"),
    [
        ("3", 1, "trial 3 is not taken, since it breaks a constraint in run"),
        ("31", 2, "trials 1 and 3 are not taken, since they break a constraint in run"),
        ("312", None, "each breaks a constraint"),
    ],
)
def test_what_breaks_a_constraint_in_an_incomplete_confirmation_is_not_taken(
    bad: str, best: int | None, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = search()
    break_in(bad)
    create(plan_confirmation(run, ConfirmOptions(top=3, seeds=4, fixed=True)))
    call("resume", f"{run}-confirm", "--set", "limits.max_trials=3")
    capsys.readouterr()
    code = 0 if best else 1
    assert call("results", run, "--best", "--as", "json") == code
    printed = capsys.readouterr()
    assert note in printed.err
    assert not best or json.loads(printed.out) == {"x": best}
    assert call("fetch", run, "--best", "-o", "best") == code
    assert note in capsys.readouterr().err
    found = api.find_run(run).results().best
    assert (found and found.parameters["x"]) == best
    for command in ("status", "explain"):
        assert call(command, run) == 0
        printed = capsys.readouterr()
        assert note.lower() in " ".join(printed.out.split()).lower()
    assert call("report", run, "--as", "markdown") == 0
    report = capsys.readouterr().out
    if best:
        assert f"in trial {best} of 3.**" in report
        count = len(bad)
        assert f"do not count (a constraint in run {run}-confirm: {count})" in report
    else:
        assert f"**Best: none, since each trial of run {run}-confirm breaks a" in report


def test_many_trials_that_break_a_constraint_are_counted() -> None:
    text = describe_broken({number: f"r{number // 4}" for number in range(28)}, "taken")
    assert text == (
        "trials 0, 1, 2, 3, 4 and 23 others are not taken, since they break a constraint in runs "
        "r0, r1, r2, r3, r4 and 2 others"
    )


def test_a_single_trial_that_breaks_a_constraint_does_not_hold(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    break_in("3")
    call("confirm", run, "--top", "1", "--baseline", "--seeds", "2")
    printed = capsys.readouterr().out
    assert "The winner does not hold: it breaks a constraint in 2 of 2 repetitions." in printed
    assert re.search(
        r"Take: trial 1 \(first trial\): .* `cloudtune confirm .*` repeats the", printed
    )
    assert "Gain: None: no trial is better than trial 1 (first trial)" in printed


@pytest.mark.slow
def test_what_breaks_a_constraint_at_an_emulator_can_be_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    break_in("123")
    call("confirm", run, *TWO.split(), "--on", "slurm", "--emulate")
    assert "Take: None: each candidate breaks" in capsys.readouterr().out
    assert call("results", run, "--best", "--as", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"x": 3}
    assert call("report", run) == 0
    assert "Best: m 2.9898 in trial 3 of 3" in capsys.readouterr().out


def test_a_confirmation_names_what_broke_a_constraint_earlier(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    break_in("3")
    call("confirm", run, *TWO.split())
    break_in("")
    capsys.readouterr()
    assert call("confirm", run, "--seeds", "4") == 0
    printed = capsys.readouterr().out
    assert "Take: trial 2: m" in printed
    assert "Winner: trial 1 is the best of the search that is repeated, with m 2.5" in printed
    note = f"Trial 3 is not repeated, since it breaks a constraint in run {run}-confirm."
    assert note in printed
    confirmed = api.find_run(f"{run}-confirm-2").results().jobs[0]
    assert {trial.parameters["x"] for trial in confirmed.trials} == {1, 2}
    assert call("status", f"{run}-confirm-2") == 0
    assert "Take: trial 2: m" in capsys.readouterr().out


def test_an_ablation_does_not_pay_for_a_winner_that_breaks_a_constraint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    break_in("31")
    for name, number, code in (("ablate", 3, 4), ("ablate-2", 2, 0)):
        assert call("confirm", run, "--ablate", "--seeds", "2") == code
        confirmation = api.find_run(f"{run}-{name}").results().jobs[0].confirmation
        assert confirmation is not None
        assert confirmation.candidates[0].number == number
    note = f"Trial 3 is not repeated, since it breaks a constraint in run {run}-ablate."
    assert note in capsys.readouterr().out
    break_in("2")
    call("confirm", run, "--seeds", "2")
    for options in ([], ["--ablate"]):
        assert call("confirm", run, *options) == 1
        assert "each trial of run" in capsys.readouterr().err
