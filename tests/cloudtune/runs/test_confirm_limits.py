"""The limits of a study also end its confirmations, which is said before and afterwards."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.confirmation.analysis import analyze
from cloudtune.confirmation.choice import decisive
from cloudtune.reporting.confirmation import describe_confirmation
from cloudtune.results.events import RunJobState
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation
from cloudtune.runs.lifecycle import create

SCRIPT = """\
import os
from cloudtune.trial import params, report
x, seed = params()["x"], int(os.environ["CLOUDTUNE_SEED"])
report(m=x + seed * x % 7 / 2)
"""
FIXED = ConfirmOptions(seeds=3, fixed=True)


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def search(limits: dict[str, Any] | None = None) -> str:
    """Run a study on a machine with a price, and return the run."""
    Path("train.py").write_text(SCRIPT, "utf-8")
    study = {
        "objective": {"metric": "m", "goal": "maximize"},
        "parameters": {"x": {"type": "discrete", "values": [1, 2, 3]}},
        "strategy": "grid",
        "limits": limits or {},
        "trial": {"script": "train.py"},
        "providers": {"local": {"prices": {"hour": "360 USD"}}},
    }
    return api.run(study, show=False).id


def call(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0


def test_the_limits_of_the_study_are_kept_and_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = search({"max_cost": "900 USD", "timeout": "2h", "max_failed_trials": 2})
    call("confirm", run, "-o", str(tmp_path / "saved.json"))
    assert "limits: timeout 2h, max_cost 900 USD, max_failed_trials 2" in capsys.readouterr().err
    (plan,) = plan_confirmation(run, ConfirmOptions())
    kept = {"max_cost": "900 USD", "timeout": "2h", "max_failed_trials": 2, "max_trials": 30}
    assert plan.study.to_json()["limits"] == kept
    (plan,) = plan_confirmation(run, ConfirmOptions(max_cost="5 USD"))
    assert str(plan.study.limits.max_cost) == "5 USD"


def test_a_budget_that_does_not_count_elsewhere_is_named() -> None:
    run = search({"max_cost": "900 USD"})
    (plan,) = plan_confirmation(run, ConfirmOptions(), on=["ray"])
    assert plan.study.limits.max_cost is None
    confirmation = plan.facts.confirmation
    assert confirmation is not None
    wanted = "The study's max_cost of 900 USD does not limit this run: no price on ray."
    assert confirmation.notes == (wanted,)


def test_a_confirmation_that_its_budget_ends_decides_if_each_trial_has_two_seeds() -> None:
    run = search()
    api.run(plan_confirmation(run, ConfirmOptions(seeds=3, fixed=True))[0], show=False)
    (job,) = api.find_run(f"{run}-confirm").results().jobs
    job = replace(job, reason="the cost reached 1 USD")
    cases = [(3, "Limit"), (2, "Limit"), (1, "Incomplete")]
    states: tuple[RunJobState, ...] = ("completed", "failed")
    for (seeds, title), state in itertools.product(cases, states):
        found = analyze(replace(job, trials=job.trials[: 3 * seeds], state=state))
        assert found is not None
        assert bool(decisive([found])) == (title == "Limit")
        first = describe_confirmation(found)[0]
        assert first[0] == title
        assert "(the cost reached 1 USD)" in first[1]


@pytest.mark.parametrize(
    ("options", "most", "afterwards", "title"),
    [
        (FIXED, 3, 3, "Incomplete"),
        (FIXED, 3, 9, "Incomplete"),  # until it is resumed
        (FIXED, 5, 5, "Incomplete"),
        (FIXED, 6, 6, "Limit"),
        (FIXED, 8, 8, "Limit"),
        (FIXED, 9, 2, ""),
        (ConfirmOptions(seeds=3), 5, 5, "Incomplete"),
        (ConfirmOptions(seeds=3), 6, 6, ""),  # a third seed would not decide
        (ConfirmOptions(seeds=90), 6, 6, "Limit"),
    ],
)
def test_fewer_trials_than_planned_are_a_limit(
    options: ConfirmOptions,
    most: int,
    afterwards: int,
    title: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = search()
    create(plan_confirmation(run, options))
    call("resume", f"{run}-confirm", "--set", f"limits.max_trials={most}")
    call("set", f"{run}-confirm", f"limits.max_trials={afterwards}")
    capsys.readouterr()
    call("status", f"{run}-confirm")
    printed = capsys.readouterr().out
    assert [t for t in ("Incomplete", "Limit") if f"{t}: " in printed] == [title] * bool(title)
    named = "3 of 9 trials have run" if most < afterwards else "max_trials allowed"
    assert (named in printed) == bool(title)
    call("results", run, "--best")
    decides = f"run {run}-confirm repeated" in capsys.readouterr().err
    assert decides == (title != "Incomplete")
