"""What a confirmation compares, and with which seeds and goal."""

from __future__ import annotations

import json
import re
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
    assert last.role == "baseline"
    note = "Trial 1 (first trial) cannot be taken, since it broke a constraint in the search."
    assert found.notes == (note,)
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


LUCKY = """\
from cloudtune.trial import params, report
x = params()["x"]
noisy = (x - 15) ** 2 / 288 + 0.6 * (x * 7919 % 13 / 13 - 0.5)
report(m=-0.34 - 0.0002 * x if x in range(48, 61, 3) else noisy)
"""


@pytest.mark.slow
def test_what_the_model_would_take_is_repeated_beside_the_best() -> None:
    run = search(LUCKY, parameters={"x": {"type": "int", "min": 1, "max": 60}})
    found = planned(run)
    assert [each.number for each in found.candidates] == [60, 57, 54, 51, 13]
    assert found.notes == (
        "Trial 13, which the model would take, is repeated instead of trial 48.",
    )
    assert [each.number for each in planned(run, top=2).candidates] == [60, 57]
    assert [each.number for each in planned(run, top=6).candidates] == [60, 57, 54, 51, 48, 13]
    assert planned(run, top=6).notes == ()
    assert {each.number for each in planned(run, ablate=True).candidates} <= {60, None}


COARSE = """\
import os
from random import Random
from cloudtune.trial import params, report
p, seed = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1} | params(), os.environ["CLOUDTUNE_SEED"]
if p["e"] == 1 and "CLOUDTUNE_CONFIRM" in os.environ:
    raise SystemExit(1)
noise = Random(seed + str(p)).gauss(0, 1)
report(m=3 * p["a"] + p["e"] / 10 + {noise} * (p["c"] > 1 or p["d"] > 1), loss=noise)
"""


@pytest.mark.parametrize(
    ("noise", "seeds", "wanted"),
    [
        (
            "0",
            3,
            "a back at 1 costs 3; b back at 1 makes no difference; c back at 1 makes no "
            "difference; d back at 1 makes no difference, the same with each seed, so without an "
            "interval. Not measured: e back at 1.",
        ),
        ("noise", 2, "Too few seeds to tell, --fixed --seeds N gives more: [abcd] back at 1, .*"),
        (
            "0.01 * noise",
            9,
            r"a back at 1 costs [23][.\d]* \(2.9\d+ to 3.0\d+\). No clear difference: "
            r"[bcd] back at 1, .* and [bcd] back at 1; an effect is at most 0.0\d+, by its "
            r"interval. Not measured: e back at 1.",
        ),
    ],
)
def test_an_ablation_says_why_a_change_has_no_clear_effect(
    noise: str, seeds: int, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = {name: {"type": "discrete", "values": [1, 2]} for name in "abcde"}
    objective = {"metric": "m", "goal": "maximize"}
    initial = [dict.fromkeys("abcde", value) for value in (1, 2)]
    run = search(
        COARSE.replace("{noise}", noise),
        parameters=parameters,
        objective=objective,
        strategy="list",
        initial_trials=initial,
    )
    call("confirm", run, "--ablate", "--seeds", str(seeds), "--fixed")
    found = re.search("^Changes: (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert found
    assert re.fullmatch(wanted, found[1]), found[1]


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


def test_a_metric_that_the_script_does_not_measure_is_not_asked_of_it() -> None:
    found = planned(search(constraints=["seconds <= 1000"]), overrides=("confirm.metric=seconds",))
    assert not any("CLOUDTUNE_CONFIRM" in note for note in found.notes)


def test_parameters_that_an_ablation_cannot_change_are_named() -> None:
    script = "from cloudtune.trial import params, report\np = {'y': 2, **params()}\n"
    values = {"x": [1, 3], "y": [1, 2], "z": [1, 2]}
    parameters = {name: {"type": "discrete", "values": v} for name, v in values.items()}
    run = search(f"{script}report(m=p['z'] - p['x'] - p['y'])\n", parameters=parameters)
    found = planned(run, ablate=True)
    assert [each.label for each in found.candidates[1:]] == ["x back at 1"]
    why = "since the winner has what they would go back to"
    assert found.notes == (f"Not changed, {why}: y (2), z (1).",)


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


@pytest.mark.slow
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


HELD_OUT = """\
import os
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
report(m=-x + seed % 100 / 1000)
if os.environ.get("CLOUDTUNE_CONFIRM") == "1":
    report(test_m=x + seed % 10 / 1000)
    print(f"printed_m={x}")
"""
TYPO = "tset_m"


def best(run: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """Return the parameters of the best trial of a run, and the note of why."""
    capsys.readouterr()
    assert call("results", run, "--best", "--as", "json") == 0
    printed = capsys.readouterr()
    return json.loads(printed.out)["x"], printed.err


@pytest.mark.slow
@pytest.mark.parametrize("confirm", [{}, {"confirm": TYPO}])
def test_the_metric_that_decides_can_be_set_when_the_search_is_paid_for(
    confirm: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = search(HELD_OUT, **confirm)
    if confirm:
        assert call("confirm", run) == 4
        printed = capsys.readouterr()
        assert f"`cloudtune confirm {run} --set confirm.metric=NAME`" in printed.out
        assert f"cloudtune confirm {run} --set confirm.metric=NAME, and --set" in printed.err
        assert "start a new run" not in printed.err
        assert "it reported m, test_m" in printed.out
    assert best(run, capsys) == (3, "")
    assert call("confirm", run, "--set", "confirm.metric=test_m", "-o", "saved.json") == 0
    assert "decided by test_m (minimize)" in capsys.readouterr().err
    assert call("run", "saved.json") == 0
    x, note = best(run, capsys)
    assert x == 1
    assert f"run {run}-confirm" in note
    assert "do not count" not in note
    assert call("report", run, "--as", "markdown") == 0
    assert "**Best: trial 1, test\\_m 1." in capsys.readouterr().out
    expression = r"trial.metrics.printed_m=^printed_m=(\d+)"
    more = ["--set", "confirm.metric=printed_m", "--set", expression]
    assert call("confirm", run, *more, "--set", "confirm.goal=maximize", "--fixed") == 0
    assert best(run, capsys)[0] == 3
    # an ablation is for the confirmation that decides
    assert call("confirm", run, "--ablate") == 0
    printed = capsys.readouterr()
    assert "decided by printed_m (maximize)" in printed.err
    wanted = f"The metric is printed_m (maximize), as in run {run}-confirm-"
    assert wanted in printed.err
    assert wanted in printed.out
    assert "Changes: x back at 1 costs 2, the same" in printed.out
    assert call("confirm", run, "--ablate", "--set", "confirm.metric=test_m") == 0
    assert "decided by test_m (minimize)" in capsys.readouterr().err


def test_an_ablation_of_a_confirmation_by_the_metric_of_the_search_is_by_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search(HELD_OUT, confirm={"metric": "test_m", "goal": "maximize"})
    assert call("confirm", run, "--set", "confirm=null") == 0
    capsys.readouterr()
    assert call("confirm", run, "--ablate") == 0
    printed = capsys.readouterr()
    assert "decided by" not in printed.err
    assert f"The metric is m (minimize), as in run {run}-confirm;" in printed.out


@pytest.mark.slow
def test_confirmations_by_another_metric_do_not_outweigh_the_latest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search(HELD_OUT)
    by_test, note = ["--set", "confirm.metric=test_m"], ""
    for number, (options, taken) in enumerate(
        [
            (["--seeds", "6", "--fixed"], 3),
            ([*by_test, "--seeds", "2"], 1),
            ([*by_test, "--set", "confirm.goal=maximize", "--seeds", "2"], 3),
            ([*by_test, "--seeds", "3", "--fixed"], 1),
            (["--set", f"confirm.metric={TYPO}"], 1),  # it measures nothing
        ]
    ):
        assert call("confirm", run, *options) == (4 if number == 4 else 0)
        x, note = best(run, capsys)
        assert x == taken
        others = re.findall("others, decided by (.*), do not count", note)
        assert others == [[], ["m"], ["m and test_m"], ["m and test_m"], ["m and test_m"]][number]
    assert "1 other confirmation used fewer seeds" in note
    assert call("explain", run) == 0
    assert "Unknown" not in capsys.readouterr().out.partition("Noise floor")[2]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("strategy.seed=1", "only confirm and trial.metrics can be set"),
        ("confirm.metrc=a", "did you mean metric?"),
        ("confirm.metric=m", "m is the objective"),
    ],
)
def test_only_what_decides_can_be_set(
    override: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = search()
    assert call("confirm", run, "--set", override) == 1
    assert problem in capsys.readouterr().err
