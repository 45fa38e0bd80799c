"""What a confirmation compares, and with which seeds and goal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.errors import UsageError
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation
from cloudtune.study.confirmation import Confirmation

SCRIPT = """\
from cloudtune.trial import params, report
x = params()["x"]
report(m=-x, size=10 * x)
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def search(script: str = SCRIPT, **blocks: Any) -> str:
    """Run a study to its end and return the run."""
    Path("train.py").write_text(script, "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "minimize"},
        "parameters": {"x": {"type": "discrete", "values": [1, 2, 3]}},
        "strategy": "grid",
        "trial": {"script": "train.py"},
    }
    return api.run(study | blocks, show=False).id


def call(*words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    return ended.value.code


def planned(run: str, **options: Any) -> Confirmation:
    confirmation = plan_confirmation(run, ConfirmOptions(**options))[0].facts.confirmation
    assert confirmation is not None
    return confirmation


def test_the_first_trial_is_the_baseline_if_it_breaks_a_constraint_on_a_metric() -> None:
    run = search(constraints=["size >= 20"])
    found = planned(run, baseline=True)
    last = found.candidates[-1]
    assert (last.label, last.number, dict(last.parameters)) == ("first trial", 1, {"x": 1})
    assert [each.label for each in planned(run, ablate=True).candidates] == [
        "trial 3",
        "x back at 1",
    ]


def test_why_nothing_is_repeated_names_what_could_not_go_back() -> None:
    parameters = {
        "x": {"type": "discrete", "values": [1, 2, 3]},
        "y": {"type": "int", "min": 3, "max": 3},
    }
    run = search(parameters=parameters, constraints=["x >= y"])
    with pytest.raises(UsageError, match=r"only one setting .* x does not go back to 1: with the"):
        plan_confirmation(run, ConfirmOptions(ablate=True))


def test_an_ablation_whose_repetitions_are_bit_equal_lists_what_each_change_costs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    assert call("confirm", run, "--ablate") == 0
    assert "Changes: x back at 1 costs 2." in capsys.readouterr().out
    assert call("confirm", run) == 0
    assert "The winner holds." in capsys.readouterr().out
    # the prefix of a run names it, and not its confirmations
    assert call("results", run[:-1], "--best", "--as", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"x": 3}


def test_a_baseline_with_values_of_the_first_trial_says_so() -> None:
    values = {"type": "discrete", "values": [1, 2]}
    script = SCRIPT.replace("x = params()", 'x = {"y": 2, **params()}')
    found = planned(search(script, parameters={"x": values, "y": values}), baseline=True)
    assert found.baseline is not None
    baseline = found.candidates[found.baseline]
    assert baseline.label.endswith("(script's known defaults)")
    assert baseline.parameters == {"x": 1, "y": 2}
    assert found.notes == (
        "The baseline has the values of the first trial where no default is known: x.",
    )


def test_an_ablation_has_no_seeds_of_a_confirmation() -> None:
    run = search()
    seeds = [planned(run, ablate=ablate).seeds for ablate in (False, True)]
    api.run(plan_confirmation(run, ConfirmOptions(seeds=2))[0], show=False)
    seeds += [planned(run, ablate=ablate).seeds for ablate in (False, True)]
    assert seeds[1] == seeds[3]
    assert len({each for group in seeds for each in group}) == 30


@pytest.mark.parametrize(
    ("confirm", "noted"),
    [
        ("test_acc", True),
        ({"metric": "test_acc", "goal": "maximize"}, False),
        ("test_m", False),
    ],
)
def test_a_goal_that_is_taken_from_another_measure_is_named(
    confirm: object, capsys: pytest.CaptureFixture[str], *, noted: bool
) -> None:
    notes = planned(search(confirm=confirm)).notes
    wanted = "confirm.goal is not set, so a lower test_acc counts as better, as for m."
    assert notes == ((wanted,) if noted else ())
    study = {"objective": {"metric": "m", "goal": "minimize"}, "confirm": confirm}
    study |= {
        "parameters": {"x": {"type": "int", "min": 1, "max": 9}},
        "trial": {"script": "train.py"},
    }
    Path("study.json").write_text(json.dumps(study | {"limits": {"max_trials": 2}}), "utf-8")
    assert call("check", "study.json") == 0
    assert ("set confirm.goal to maximize" in capsys.readouterr().err) == noted


def test_a_search_that_has_found_a_better_trial_since_is_not_decided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parameters = {"x": {"type": "discrete", "values": [1, 2, 3, 4]}}
    strategy = {"name": "random", "seed": 0}
    run = search(parameters=parameters, strategy=strategy, limits={"max_trials": 2})
    assert all(trial.parameters != {"x": 4} for trial in api.find_run(run).results().trials)
    api.run(plan_confirmation(run, ConfirmOptions(seeds=2))[0], show=False)
    assert call("results", run, "--best", "--as", "json") == 0
    assert f"run {run}-confirm repeated the best trials" in capsys.readouterr().err
    assert call("resume", run, "--set", "limits.max_trials=20") == 0
    capsys.readouterr()
    assert call("results", run, "--best", "--as", "json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"x": 4}
    assert f"the search has found it since run {run}-confirm" in printed.err
    assert call("report", run, "--as", "markdown") == 0
    report = capsys.readouterr().out
    assert "m -4" in next(line for line in report.splitlines() if "**Best" in line)
    assert "which was not repeated, so this does not decide." in report
    assert call("confirm", run) == 0
    capsys.readouterr()
    assert call("results", run, "--best", "--as", "json") == 0
    assert f"run {run}-confirm-2 repeated the best trials" in capsys.readouterr().err
