"""What `cloudtune confirm` repeats, and what follows from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune import api
from cloudtune.cli import main
from cloudtune.confirmation.analysis import ConfirmationResult
from cloudtune.errors import UsageError
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation, why_needless
from cloudtune.runs.confirmations import confirmations_of

NOISY = """\
import os, random
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
luck = 5 if (x, seed) == (2, 0) else 0
report(m=x + luck + random.Random(f"{x} {seed}").gauss(0, 0.1))
"""


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def search(script: str = NOISY, **blocks: Any) -> str:
    """Run a study to its end and return the run."""
    Path("train.py").write_text(script, "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "maximize"},
        "parameters": {"x": {"type": "discrete", "values": [1, 2, 3]}},
        "strategy": {"name": "grid", "seed": 0},  # those of confirmations follow
        "limits": {"parallel_trials": 2},
        "trial": {"script": "train.py"},
    }
    return api.run(study | blocks, show=False).id


def confirm(run: str, **options: Any) -> ConfirmationResult:
    """Confirm a run and return what that found."""
    plans = plan_confirmation(run, ConfirmOptions(**options))
    api.run(plans[0], show=False)
    return confirmations_of([run])[-1]


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_a_lucky_winner_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = search()
    assert call("confirm", run, "--baseline", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in found["candidates"][:2]] == ["trial 2", "trial 3"]
    assert found["take"] == 1
    assert found["settled"]
    assert found["luck"] == pytest.approx(5, abs=0.5)
    assert found["lead"] == pytest.approx(4, abs=0.5)
    assert found["confirmed_lead"]["mean"] == pytest.approx(-1, abs=0.3)
    assert call("results", run, "--best", "--as", "json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"x": 3}
    assert f"run {run}-confirm repeated the best trials" in printed.err
    assert call("results", "--best", "--as", "json") == 0  # the latest run is the confirmation
    assert json.loads(capsys.readouterr().out) == {"x": 3}
    assert call("fetch", "--best", "-o", str(tmp_path / "best"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["trial"] == 3
    assert call("report", "--as", "markdown") == 0
    text = capsys.readouterr().out
    assert f"Run {run}-confirm repeats run {run}" in text
    assert "The winner does not hold." in text
    assert "| Noise floor |" in text or "Noise floor" in text


def test_trials_that_break_a_constraint_are_no_candidates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = """
import os
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
report(m=x + seed % 3, size=10 * x + int(os.environ.get("CLOUDTUNE_CONFIRM", 0)))
"""
    run = search(script, constraints=["size <= 20"])
    found = confirm(run, seeds=4)
    assert [each.number for each in found.candidates] == [2, 1]
    assert found.candidates[0].broken == found.candidates[0].seeds == 2  # then it is out
    assert found.taken is not None
    assert found.taken.number == 1
    assert call("confirm", run) == 1
    printed = capsys.readouterr().err
    assert "has only one setting to repeat" in printed
    assert f"Trial 2 is not repeated, since it breaks a constraint in run {run}-confirm" in printed
    assert call("status", f"{run}-confirm") == 0
    printed = capsys.readouterr().out
    assert "Take: trial 1: m" in printed
    assert "Not taken, since they break a constraint when repeated: trial 2." in printed
    assert "The winner does not hold: it breaks a constraint in 2 of 2 repetitions." in printed
    assert call("results", run, "--best", "--as", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"x": 1}


@pytest.mark.parametrize("fixed", [False, True])
def test_none_is_taken_if_all_break_a_constraint_when_repeated(
    fixed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
import os
from cloudtune.trial import params, report
seed = int(os.environ["CLOUDTUNE_SEED"])
report(m=params()["x"] + seed % 3, size=20 + int(os.environ.get("CLOUDTUNE_CONFIRM", 0)))
"""
    run = search(script, constraints=["size <= 20"])
    confirming = ["confirm", run, "--seeds", "3", *(["--fixed"] if fixed else [])]
    assert call(*confirming) == 4
    found = confirmations_of([run])[-1]
    assert found.take is None
    assert not found.settled
    shown = capsys.readouterr().out
    assert "Take: None: each candidate breaks a constraint when it is repeated (trial 3 in" in shown
    for words in (["results", run, "--best"], ["results", run, "--best", "--as", "json"]):
        assert call(*words) == 1
        assert "each breaks a constraint with some seed" in capsys.readouterr().err
    assert call("fetch", run, "--best") == 1
    assert "each breaks a constraint with some seed" in capsys.readouterr().err
    assert call("report", "--as", "markdown") == 0


def test_the_html_report_draws_it(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    run = search()
    confirm(run, top=2)
    page = tmp_path / "report.html"
    api.report(api.find_run(run).results(), page)
    text = page.read_text("utf-8")
    assert f'id="chart-{run}-confirm"' in text
    assert f'"chart-{run}-confirm": {{' in text


def test_all_candidates_get_the_same_seeds_which_are_new() -> None:
    run = search()
    first = api.find_run(confirm(run, top=2, seeds=3, fixed=True).run).results().trials
    second = api.find_run(confirm(run, top=2, seeds=3, fixed=True).run).results().trials
    seeds = [{trial.seed for trial in trials} for trials in (first, second)]
    assert [len(each) for each in seeds] == [3, 3]
    assert not seeds[0] & seeds[1]
    assert 0 not in seeds[0]
    by_value = [{t.seed for t in first if t.parameters["x"] == x} for x in (2, 3)]
    assert by_value == [seeds[0], seeds[0]]


def test_a_saved_confirmation_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    from cloudtune.runs.lifecycle import create

    run = search()
    created = create(plan_confirmation(run, ConfirmOptions(top=2, seeds=2)))
    assert call("resume", created.id) == 0
    capsys.readouterr()
    (found,) = confirmations_of([run])
    assert found.complete
    assert found.trials == 4


def test_repetitions_that_are_bit_equal_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    run = search("from cloudtune.trial import params, report\nreport(m=params()['x'])\n")
    assert call("confirm", run) == 0
    assert "All repetitions are bit-equal" in capsys.readouterr().out
    assert confirmations_of([run])[0].trials == 6


QUIET = NOISY.replace("luck = 5 if (x, seed) == (2, 0) else 0", "luck = 0")


def test_a_large_lead_needs_no_confirmation(capsys: pytest.CaptureFixture[str]) -> None:
    confirm(search(QUIET), baseline=True)
    run = search(QUIET)
    assert call("confirm", run) == 0
    assert f"confirming run {run} is not needed" in capsys.readouterr().out
    assert confirmations_of([run]) == []
    assert call("confirm", run, "--fixed", "--seeds", "2") == 0
    assert len(confirmations_of([run])) == 1


@pytest.mark.parametrize(
    ("change", "needless"),
    [
        ([], True),
        (["limits.max_trials=2", "name=other"], True),
        (["constants.samples=2"], False),
        (["parameters.x.values=[1, 2, 5]"], False),
        (["objective.goal=minimize"], False),
    ],
)
def test_a_study_beside_its_script_is_compared_with_one_that_was_confirmed(
    change: list[str], needless: bool
) -> None:
    Path("train.py").write_text(QUIET, "utf-8")
    Path("study.yaml").write_text(
        "objective: {metric: m, goal: maximize}\nstrategy: grid\nconstants: {samples: 1}\n"
        "parameters: {x: {type: discrete, values: [1, 2, 3]}}\ntrial: {script: train.py}\n",
        "utf-8",
    )
    assert call("run", "study.yaml") == 0
    assert call("confirm", "--baseline") == 0
    options = [word for each in change for word in ("--set", each)]
    assert call("run", "study.yaml", *options) == 0
    (plan,) = plan_confirmation(None, ConfirmOptions())
    assert ("is not needed" in why_needless(plan)) == needless


def test_less_is_better_for_a_loss() -> None:
    script = NOISY.replace("report(m=x + luck", "report(m=-x - luck")
    found = confirm(search(script, objective={"metric": "m", "goal": "minimize"}))
    assert found.taken is not None
    assert found.taken.parameters == {"x": 3}
    assert found.luck == pytest.approx(5, abs=0.5)
    confirmed = found.taken.confirmed
    assert confirmed is not None
    assert confirmed.mean == pytest.approx(-3, abs=0.3)
    assert confirmed.low is None or confirmed.low < -3 < (confirmed.high or 0)


def test_hyperband_is_confirmed_with_all_of_its_resource() -> None:
    script = "from cloudtune.trial import params, report\np = params()\n"
    script += "for step in range(p['epochs']): report(m=p['x'], step=step + 1)\n"
    strategy = {"name": "hyperband", "resource": "epochs", "max": 4, "eta": 2, "seed": 1}
    run = search(script, strategy=strategy, limits={"max_trials": 8})
    result = api.find_run(confirm(run, top=2, seeds=2, baseline=True).run).results().jobs[0]
    assert result.study.constants == {"epochs": 4}
    assert {len(trial.measurements) for trial in result.trials} == {4}


CONDITIONAL = {
    "kind": {"type": "categorical", "values": ["plain", "deep"]},
    "layers": {"type": "int", "min": 1, "max": 4, "when": {"kind": "deep"}},
    "width": {"type": "int", "min": 1, "max": 4},
}
DEFAULTS = """\
from cloudtune.trial import params, report
p = {"width": 2, "kind": "plain", "layers": 1, **params()}
report(m=p["width"] + 10 * (p["kind"] == "deep") + p["layers"])
"""


def test_an_ablation_changes_one_parameter_at_a_time() -> None:
    more = {"parameters": CONDITIONAL, "constraints": ["layers + width != 6"]}
    run = search(DEFAULTS, **more)
    found = confirm(run, ablate=True, seeds=2)
    changes = {each.label: each.parameters for each in found.candidates[1:]}
    assert found.winner.parameters == {"kind": "deep", "layers": 4, "width": 4}
    assert changes == {
        "kind back at plain": {"kind": "plain", "width": 4},
        "layers back at 1": {"kind": "deep", "layers": 1, "width": 4},
    }
    assert found.is_ablation
    costs = {each.label: each.worse.mean for each in found.candidates[1:] if each.worse}
    assert costs == {"kind back at plain": 13, "layers back at 1": 3}


def test_the_baseline_is_the_scripts_defaults() -> None:
    found = confirm(search(DEFAULTS, parameters=CONDITIONAL), baseline=True, top=1, seeds=2)
    labels = [each.label for each in found.candidates]
    assert labels == [found.winner.label, "trial 2 (script's defaults)"]
    assert found.candidates[1].parameters == {"kind": "plain", "width": 2}


def test_what_does_not_go_back_to_its_default_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = DEFAULTS.replace('"width": 2', '"width": 9')
    run = search(script, parameters=CONDITIONAL, constraints=["layers + width != 5"])
    found = confirm(run, ablate=True, seeds=2)
    assert [each.label for each in found.candidates[1:]] == ["kind back at plain"]
    assert found.notes == (
        "layers does not go back to 1: with the other values of the winner, that breaks a "
        "constraint.",
        "The script's default of width, 9, is not in the search space: it goes to 1.",
        "width does not go back to 1: with the other values of the winner, that breaks a "
        "constraint.",
    )
    assert call("status", found.run) == 0
    assert f"Note: {found.notes[0]}" in capsys.readouterr().out
    found = confirm(run, baseline=True, top=1, seeds=2)
    assert found.candidates[1].label == "trial 1 (first trial)"
    assert "the baseline is the first trial" in found.notes[0]


def test_defaults_that_are_among_the_best_are_the_baseline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = NOISY.replace('params()["x"]', '{"x": 3, **params()}["x"]')
    run = search(script)
    assert call("confirm", run, "--baseline") == 0
    printed = capsys.readouterr().out
    assert "trial 3 (script's defaults)" in printed
    assert "Gain: None: no trial is better than trial 3 (script's defaults)" in printed
    found = confirmations_of([run])[0]
    assert found.baseline is not None
    assert [each.role for each in found.candidates] == ["candidate"] * 3


@pytest.mark.parametrize("is_trial", [True, False])
def test_a_baseline_that_is_a_trial_can_be_taken_and_other_defaults_are_said_to_be_better(
    capsys: pytest.CaptureFixture[str], *, is_trial: bool
) -> None:
    script = NOISY.replace("m=x + luck + ", "test=10 - x + 0.01 * random.random(), m=x + ")
    default, tried = (None, [1, 2, 3, 4]) if is_trial else (1, [2, 3, 4])
    if default:
        script = script.replace('params()["x"]', '{"x": 1, **params()}["x"]')
    run = search(
        script,
        parameters={"x": {"type": "discrete", "values": [1, 2, 3, 4]}},
        strategy={"name": "list", "seed": 0},
        initial_trials=[{"x": x} for x in tried],
        confirm="test",
    )
    assert call("confirm", run, "--baseline", "--top", "2") == 0
    printed = capsys.readouterr().out
    assert call("results", run, "--best", "--json") == 0
    best = capsys.readouterr()
    (taken,) = json.loads(best.out)[0]["trials"]
    found = confirmations_of([run])[0]
    assert found.taken
    assert taken["number"] == found.taken.number
    if is_trial:
        assert found.taken.parameters == {"x": 1}
        assert "Take: trial 1 (first trial): test 9.0" in printed
        assert "Gain: None: no trial is better than trial 1 (first trial)" in printed
        assert "better by" not in printed + best.err
    else:
        assert found.taken.parameters == {"x": 3}
        assert re.search(
            r"Take: trial 2: .* than the other trials, .* But the script's defaults were better by",
            printed,
        )
        assert "of them: test 7.0" in best.err
        assert re.search(r"; but the script's defaults were better by [0-9.]+$", best.err.strip())


@pytest.mark.slow
def test_the_defaults_of_a_function_are_known() -> None:
    def train(x: float, layers: int = 2) -> float:
        return x * layers

    parameters = {"x": {"type": "float", "min": 0, "max": 1}}
    parameters |= {"layers": {"type": "int", "min": 1, "max": 4}}
    run = cloudtune.tune(
        train, parameters, "maximize m", strategy="random", max_trials=6, show=False
    )
    changed = confirm(run.id, ablate=True, seeds=2).candidates[1:]
    assert "layers back at 2" in [each.label for each in changed]


def test_the_confirmation_with_the_most_seeds_decides(capsys: pytest.CaptureFixture[str]) -> None:
    run = search()
    confirm(run, top=1, baseline=True, seeds=8, fixed=True)
    first = confirm(run, seeds=5, fixed=True)
    confirm(run, seeds=2, fixed=True)
    assert call("results", run, "--best", "--as", "json") == 0
    note = capsys.readouterr().err
    assert f"run {first.run} repeated the best trials" in note
    assert "over 5 seeds" in note
    assert call("report", run, "--as", "markdown") == 0
    report = capsys.readouterr().out
    assert "**Best: trial 3, m 2.9" in report
    assert f"(run {first.run})" in report
    assert f"cloudtune confirm {run}" not in report


def test_repetitions_that_fail_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    script = NOISY + "if seed % 3 == 0 and x == 3 and seed: raise SystemExit('out of luck')\n"
    run = search(script)
    assert call("confirm", run, "--fixed", "--seeds", "8") == 0
    assert "of its 8 repetitions failed, so a run with" in capsys.readouterr().out
    call("results", run, "--best")
    assert "of its 8 repetitions failed" in capsys.readouterr().err


def test_a_winner_of_which_all_repetitions_fail_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search(NOISY + "if x == 2 and seed: raise SystemExit('out of luck')\n")
    assert call("confirm", run) == 0
    assert re.search(
        r"Winner: trial 2 won the search with m [67]\S+ All 2 repetitions of it failed",
        capsys.readouterr().out,
    )


def test_a_held_out_metric_that_the_search_reports_is_named() -> None:
    script = "from cloudtune.trial import params, report\nreport(m=params()['x'], test=1)\n"
    found = confirm(search(script, confirm="test"), seeds=2)
    assert "The trials of the search have reported test, too" in found.notes[0]


def test_a_cost_that_is_no_amount_is_refused() -> None:
    run = search()
    with pytest.raises(UsageError, match="--max-cost: invalid amount of money 'abc'"):
        plan_confirmation(run, ConfirmOptions(max_cost="abc"))


TWO = [{"metric": "m", "goal": "maximize"}, {"metric": "n", "goal": "minimize"}]


@pytest.mark.parametrize(
    ("script", "blocks", "problem"),
    [
        ("report(m=1, n=1)", {"objective": TWO}, "has several objectives"),
        ("raise SystemExit(1)", {"limits": {"max_failed_trials": 9}}, "has no completed trial"),
        ("report(m=1)", {"limits": {"max_trials": 1}}, "has only one setting to repeat"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(
    script: str, blocks: dict[str, Any], problem: str
) -> None:
    run = search(f"from cloudtune.trial import report\n{script}\n", **blocks)
    with pytest.raises(UsageError, match=problem):
        plan_confirmation(run, ConfirmOptions())
