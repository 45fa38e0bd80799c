"""Every strategy on this machine, over all parameter kinds: domain, type, count and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cloudtune
from cloudtune.results.model import StudyResult, Trial
from cloudtune.study.search_space import Space, match_value
from cloudtune.study.study import Study

SCRIPT = """\
import math
from cloudtune.trial import params, report
p = params()
wanted = {"lr": float, "depth": int, "batch": int, "net": str, "wide": bool, "drop": float}
for name, value in p.items():
    assert name not in wanted or type(value) is wanted[name], (name, value)
score = -abs(math.log10(p["lr"]) + 2) - 0.1 * p.get("depth", 3)
for step in range(1, 1 + p.get("epochs", 3)):
    report({"score": score + step / 10, "loss": p.get("drop", 0.5)}, step=step)
"""
TREE: dict[str, Any] = {
    "lr": {"type": "float", "min": 1e-4, "max": 1, "scale": "log"},
    "depth": {"type": "int", "min": 2, "max": 8, "step": 2},
    "batch": {"type": "discrete", "values": [16, 32, 64]},
    "net": {"type": "categorical", "values": ["small", "1e3", "true"]},
    "wide": {"type": "bool", "when": {"net": "small"}},
    "drop": [
        {"type": "float", "min": 0.1, "max": 0.5, "step": 0.1, "when": {"net": "1e3"}},
        {"type": "float", "min": 0.5, "max": 0.9, "scale": "reverse_log", "when": {"net": "true"}},
    ],
    "one": {"type": "int", "min": 3, "max": 3},
}
GRID = {**TREE, "lr": {"type": "discrete", "values": [0.01, 0.1]}, "drop": TREE["drop"][:1]}
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {"name": "random"},
    "sobol": {"name": "random", "method": "sobol"},
    "bayesian": {"name": "bayesian"},
    "cmaes": {"name": "bayesian", "method": "cmaes"},
    "genetic": {"name": "genetic"},
    "nsga3": {"name": "genetic", "method": "nsga3"},
    "hyperband by resource": {"name": "hyperband", "resource": "epochs", "max": 9},
    "hyperband by step": {"name": "hyperband", "max": 3},
    "grid": {"name": "grid"},
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDTUNE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT, "utf-8")


def run(strategy: dict[str, Any], trials: int, **over: Any) -> StudyResult:
    study = Study.model_validate(
        {
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": GRID if strategy["name"] == "grid" else TREE,
            "strategy": {"seed": 5, **strategy},
            "limits": {"max_trials": trials},
            "trial": {"script": "train.py"},
            **over,
        }
    )
    (result,) = cloudtune.run(study, show=False).results()
    return result


def assert_in_domain(trial: Trial, space: Space) -> None:
    active = {node.name: node for node in space.active_nodes(trial.parameters)}
    assert list(trial.parameters) == list(active)
    for name, value in trial.parameters.items():
        own = match_value(active[name].parameter, value)
        assert own == value
        assert type(own) is type(value)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_keeps_domain_type_count_and_seed(name: str) -> None:
    pytest.importorskip("cmaes")
    first = run(STRATEGIES[name], 12)
    assert first.state == "completed", first.reason
    assert len(first.trials) == 12
    for trial in first.trials:
        assert trial.state in {"completed", "stopped_early"}, (trial.reason, trial.log_tail)
        assert_in_domain(trial, Space.from_study(first.study))
    again = run(STRATEGIES[name], 12)
    assert [t.parameters for t in again.trials] == [t.parameters for t in first.trials]
    assert first.best is not None


def test_another_seed_gives_other_trials() -> None:
    left, right = (run({"name": "random", "seed": seed}, 3) for seed in (1, 2))
    assert left.trials[0].parameters != right.trials[0].parameters


def test_a_grid_ends_at_its_end_and_is_complete() -> None:
    parameters = {name: GRID[name] for name in ("net", "wide", "drop")}
    script = "from cloudtune.trial import report\nreport(score=1)\n"
    Path("train.py").write_text(script, "utf-8")
    result = run({"name": "grid"}, 100, parameters=parameters)
    found = [tuple(t.parameters.items()) for t in result.trials]
    assert len(found) == len(set(found)) == 2 + 5 + 1


def test_a_list_runs_as_it_stands() -> None:
    listed = [{"lr": 0.1, "depth": 4, "extra": "x"}, {"lr": 0.2, "depth": 6}]
    parameters = {name: TREE[name] for name in ("lr", "depth")}
    result = run({"name": "list"}, 9, initial_trials=listed, parameters=parameters)
    assert [dict(t.parameters) for t in result.trials] == listed


def test_initial_trials_come_first_and_missing_values_are_drawn() -> None:
    result = run({"name": "random"}, 4, initial_trials=[{"lr": 0.5, "net": "small"}])
    first = result.trials[0].parameters
    assert (first["lr"], first["net"]) == (0.5, "small")
    assert "wide" in first
    assert_in_domain(result.trials[0], Space.from_study(result.study))


def test_several_objectives_give_a_pareto_set() -> None:
    objective = [
        {"metric": "score", "goal": "maximize"},
        {"metric": "loss", "goal": "minimize"},
    ]
    result = run({"name": "genetic"}, 20, objective=objective)
    assert result.best is None
    front = result.pareto
    assert front
    for trial in result.trials:
        assert trial.objective is not None
        score, loss = trial.objective
        better = [
            t for t in front if t.objective and t.objective[0] >= score and t.objective[1] <= loss
        ]
        assert better


def test_an_earlier_run_is_a_warm_start() -> None:
    before = run({"name": "random"}, 30)
    warm = run({"name": "bayesian", "seed": 8}, 1, warm_start={"from": [before.run]})
    cold = run({"name": "bayesian", "seed": 8}, 1)
    assert warm.trials[0].parameters != cold.trials[0].parameters


def test_the_best_of_an_earlier_run_run_again_where_the_script_has_changed() -> None:
    before = run({"name": "random"}, 10)
    ranked = sorted(before.trials, key=lambda t: -(t.objective or (0,))[0])
    warm_start = {"from": [before.run], "kind": "transfer"}
    after = run({"name": "bayesian"}, 5, warm_start=warm_start)
    assert [t.parameters for t in after.trials] == [t.parameters for t in ranked[:5]]


def test_early_stopping_stops_the_hopeless() -> None:
    Path("train.py").write_text(
        "import time\nfrom cloudtune.trial import params, report\n"
        "for step in range(1, 31):\n"
        "    report(score=params()['x'], step=step)\n"
        "    time.sleep(60 if params()['x'] == 0 and step == 5 else 0)\n",
        "utf-8",
    )
    result = run(
        {"name": "list"},
        9,
        parameters={"x": {"type": "int", "min": 0, "max": 9}},
        initial_trials=[{"x": x} for x in (7, 8, 9, 0)],
        early_stopping={"rule": "median", "min_trials": 3, "min_step": 2},
    )
    assert [t.state for t in result.trials] == ["completed"] * 3 + ["stopped_early"]
    assert len(result.trials[-1].measurements) < 30


def test_a_promoted_trial_goes_on_from_its_checkpoint() -> None:
    Path("train.py").write_text(
        "from pathlib import Path\n"
        "from cloudtune.trial import checkpoint_dir, params, report\n"
        "p = params()\n"
        "kept = Path(checkpoint_dir(), 'epochs')\n"
        "done = int(kept.read_text()) if kept.exists() else 0\n"
        "assert done in (0, p['epochs'] // 3), (done, p)\n"
        "for epoch in range(done + 1, p['epochs'] + 1):\n"
        "    report(score=p['x'] * epoch, step=epoch)\n"
        "kept.write_text(str(p['epochs']))\n",
        "utf-8",
    )
    result = run(
        {"name": "hyperband", "resource": "epochs", "max": 9},
        13,
        parameters={"x": {"type": "float", "min": 0, "max": 1}},
    )
    assert {t.state for t in result.trials} == {"completed", "stopped_early"}, result.trials
    for trial in result.trials:
        assert [m.step for m in trial.measurements] == list(range(1, (trial.resource or 0) + 1))
        assert (trial.state == "completed") == (trial.resource == 9)


def test_a_price_gives_costs_and_a_budget_ends_the_run() -> None:
    result = run(
        {"name": "random"},
        5_000,
        limits={"max_trials": 5_000, "max_cost": "1 EUR", "trial_timeout": "9m"},
        providers={"local": {"prices": {"hour": "1800 EUR"}}},
    )
    assert result.reason == "the cost reached 1 EUR"
    assert 0 < len(result.trials) < 5_000
    for trial in result.trials:
        assert trial.cost is not None
        assert trial.cost.currency == "EUR"
        assert trial.cost.amount == pytest.approx((trial.seconds or 0) * 0.5)
        assert Path(trial.log or "").is_file()


def test_limits_of_time_are_kept_by_real_scripts() -> None:
    Path("train.py").write_text(
        "import signal, time\n"
        "from cloudtune.trial import params, report\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "report(score=1)\n"
        "time.sleep(60 if params()['hang'] else 0)\n",
        "utf-8",
    )
    result = run(
        {"name": "list"},
        9,
        parameters={"hang": {"type": "bool"}},
        initial_trials=[{"hang": False}, {"hang": True}],  # the second one starts quickly
        limits={"trial_timeout": "10s"},
        providers={"local": {"grace": "0.2s"}},
    )
    assert [t.state for t in result.trials] == ["completed", "failed"]
    assert result.trials[1].reason == "its trial_timeout was reached"
    assert result.trials[1].metrics == {"score": 1.0}
