"""A run whose best trials are repeated with new seeds, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.confirmation.analysis import analyze
from cloudtune.planning import planner
from cloudtune.results.model import StudyResult
from cloudtune.runs import lifecycle
from cloudtune.runs.confirm import ConfirmOptions, plan_confirmation
from cloudtune.study.study import Study
from cloudtune.testing.provider_contract import stop_emulators
from tests.e2e.test_wrong_values import WAYS

SCRIPT = """\
import argparse, os
from cloudtune.trial import report
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--seed", type=int)
args = parser.parse_args()
assert os.environ["CLOUDTUNE_SEED"] == str(args.seed)
report(loss=args.x)
if os.environ.get("CLOUDTUNE_CONFIRM") == "1":
    report(held_out=args.x + args.seed)
"""
STUDY: dict[str, Any] = {
    "name": "repeated",
    "objective": {"metric": "loss", "goal": "minimize"},
    "parameters": {"x": {"type": "float", "min": 1, "max": 3}},
    "strategy": {"name": "random", "seed": 5},
    "limits": {"max_trials": 3, "parallel_trials": 2},
    "trial": {"script": "train.py", "seed_argument": "seed"},
    "confirm": "held_out",
}


@pytest.fixture(autouse=True)
def _isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def check(on: str, settings: Mapping[str, Any], folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT)
    study = Study.model_validate({**STUDY, "providers": {on: settings}})
    first = run([planner.plan(study, on, base=folder, emulated=on != "local")])
    (folder / "train.py").write_text("raise SystemExit('not this code')")
    plans = plan_confirmation(first.run, ConfirmOptions(top=2, seeds=2))
    assert plans[0].facts.emulated == (on != "local")
    second = run(plans)
    stop_emulators(folder / "state")
    assert second.run == f"{first.run}-confirm"
    assert second.state == "completed", second.reason
    assert second.source_hash == first.source_hash
    plan = second.confirmation
    assert plan is not None
    assert len(plan.candidates) == 2
    repeated = {(t.parameters["x"], t.seed) for t in second.trials}
    assert repeated == {(c.parameters["x"], s) for c in plan.candidates for s in plan.seeds}
    for trial in second.trials:
        assert trial.seed is not None
        assert trial.objective == pytest.approx((float(trial.parameters["x"]) + trial.seed,))
        assert trial.metrics["loss"] == pytest.approx(trial.parameters["x"])
    found = analyze(second)
    assert found is not None
    assert found.taken is not None
    assert found.taken.search_mean == pytest.approx(found.taken.parameters["x"])


def run(plans: Any) -> StudyResult:
    started = lifecycle.create(plans).id
    lifecycle.execute(started)
    (result,) = lifecycle.results(started)
    assert {trial.state for trial in result.trials} == {"completed"}, [
        each.reason + each.log_tail for each in result.trials
    ]
    return result


def test_here(tmp_path: Path) -> None:
    check("local", {}, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("on", "settings"), [w for w in WAYS if w[1] != {"backend": "wmla"}])
def test_at_a_service(tmp_path: Path, on: str, settings: Mapping[str, Any]) -> None:
    if on == "ray":
        settings = {**settings, "storage": str(tmp_path / "shared")}
    check(on, settings, tmp_path)
