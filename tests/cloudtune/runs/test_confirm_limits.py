"""The limits of a study also end its confirmations, which is said before and afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune import api
from cloudtune.cli import main
from cloudtune.confirmation.analysis import analyze
from cloudtune.confirmation.choice import decisive
from cloudtune.reporting.confirmation import describe_confirmation
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation

SCRIPT = """\
import os
from cloudtune.trial import params, report
report(m=params()["x"] + int(os.environ["CLOUDTUNE_SEED"]) % 7 / 10)
"""


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
    assert "limits: max_cost 900 USD, timeout 2h, max_failed_trials 2" in capsys.readouterr().err
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
    for seeds, title in ((3, "Limit"), (2, "Limit"), (1, "Incomplete")):
        found = analyze(replace(job, trials=job.trials[: 3 * seeds]))
        assert found is not None
        assert bool(decisive([found])) == (title == "Limit")
        first = describe_confirmation(found)[0]
        assert first[0] == title
        assert "(the cost reached 1 USD)" in first[1]
