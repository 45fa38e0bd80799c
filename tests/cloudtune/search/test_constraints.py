"""No strategy tries an assignment that breaks a constraint between parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.history import History
from cloudtune.study.study import Study
from cloudtune.study.validation.constraints import check_feasibility

quick = settings(
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

CASES: list[dict[str, Any]] = [
    {"name": "random"},
    {"name": "random", "method": "sobol"},
    {"name": "grid"},
    {"name": "bayesian"},
    {"name": "bayesian", "method": "gp"},
    {"name": "bayesian", "method": "tpe"},
    {"name": "bayesian", "method": "cmaes"},
    {"name": "genetic"},
    {"name": "genetic", "method": "nsga3"},
    {"name": "hyperband", "max": 9},
    {"name": "hyperband", "max": 9, "resource": "epochs"},
]
SPACE: dict[str, Any] = {
    "a": {"type": "float", "min": 0, "max": 1},
    "b": {"type": "float", "min": 0.001, "max": 1, "scale": "log"},
    "n": {"type": "int", "min": 1, "max": 12},
    "m": {"type": "discrete", "values": [1, 2, 4, 8, 16]},
    "kind": {"type": "categorical", "values": ["adam", "sgd"]},
    "deep": {"type": "bool"},
    "p": {"type": "float", "min": 0, "max": 1, "when": {"kind": "sgd"}},
}
COUNTABLE = {
    "a": {"type": "float", "min": 0, "max": 1, "step": 0.5},
    "n": {"type": "discrete", "values": [1, 3, 6, 7]},
    "b": {"type": "discrete", "values": [0.001, 0.1, 1.0]},
    "p": {"type": "float", "min": 0, "max": 1, "step": 0.5, "when": {"kind": "sgd"}},
}
CLAUSES = [
    "a < b",
    "a + b <= 0.7",
    "n * m <= 24",
    "n * m == 24",
    "n % 2 == 1",
    "n ** 2 + m ** 2 <= 50",
    "m // n >= 2",
    "1 / a < 3",
    "kind != 'sgd' or n > 6",
    "p > a",
    "p * n <= 4",
    "not deep or m >= 4",
    "deep == (kind == 'adam')",
    "min(a, b) > 0.2",
    "abs(n - m) <= 1",
    "a < b < 0.9",
]


def holds(clause: str, given: Mapping[str, Any]) -> bool:
    """Python's own opinion, for names that are all active."""
    names: dict[str, Any] = {"min": min, "max": max, "abs": abs, "__builtins__": {}}
    used = compile(clause, "", "eval").co_names
    if any(name not in given and name not in names for name in used):
        return True
    try:
        return bool(eval(clause, names, dict(given)))
    except ZeroDivisionError:
        return False


def loss(given: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    value = sum(v if not isinstance(v, str) else len(v) for v in given.values())
    return [{"loss": math.sin(value) + step} for step in (2, 1, 0)]


@pytest.mark.parametrize("strategy", CASES, ids=lambda each: "-".join(map(str, each.values())))
def test_no_trial_breaks_a_constraint(
    strategy: dict[str, Any], study_of: Callable[..., Study], job: Any
) -> None:
    is_slow = strategy["name"] in {"bayesian", "hyperband"}

    @settings(quick, max_examples=3 if is_slow else 8, derandomize=True)
    @given(st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=3, unique=True))
    def check(clauses: list[str]) -> None:
        space = SPACE | (COUNTABLE if strategy["name"] == "grid" else {})
        study = study_of(parameters=space, constraints=clauses, strategy=strategy)
        if list(check_feasibility(study)):
            return
        for started in job(study, loss, max_trials=14 if is_slow else 20).run().starts:
            assert {c: holds(c, started.parameters) for c in clauses} == dict.fromkeys(
                clauses, True
            ), started.parameters

    check()


def test_a_grid_has_exactly_the_assignments_that_keep_the_constraints(
    study_of: Callable[..., Study], job: Any
) -> None:
    whole = study_of(parameters=SPACE | COUNTABLE, strategy="grid")
    every = [dict(s.parameters) for s in job(whole, loss, max_trials=10**6).run().starts]
    for clause in CLAUSES:
        study = whole.model_copy(update={"constraints": [clause]})
        some = [dict(s.parameters) for s in job(study, loss, max_trials=10**6).run().starts]
        assert some == [each for each in every if holds(clause, each)], clause
        assert 0 < len(some) < len(every), clause


OUTCOME_SPACE: dict[str, Any] = {
    "x": {"type": "float", "min": 0, "max": 1},
    "y": {"type": "float", "min": 0, "max": 1},
    "kind": {"type": "categorical", "values": ["a", "b"]},
}


def costly(given: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
    """The loss falls with x + y, and so does the memory rise; what is far above fails."""
    total = given["x"] + given["y"]
    if total > 1.9:
        return None
    return [{"loss": 2 - total + (0.2 if given["kind"] == "a" else 0), "memory": 20 * total}]


OUTCOME_CASES = [
    *(case for case in CASES if case["name"] in {"bayesian", "genetic"}),
    {"name": "hyperband", "max": 3},
]


@pytest.mark.parametrize(
    "strategy", OUTCOME_CASES, ids=lambda each: "-".join(map(str, each.values()))
)
def test_the_search_learns_where_constraints_on_metrics_hold(
    strategy: dict[str, Any], study_of: Callable[..., Study], job: Any
) -> None:
    def kept(strategy: Any, constraints: list[str]) -> list[list[float]]:
        study = study_of(
            parameters=OUTCOME_SPACE,
            constraints=constraints,
            strategy=strategy,
            trial={"metrics": {"memory": {}}},
        )
        runs = [job(study, costly, seed, max_trials=40).run() for seed in range(3)]
        sums = [[s.parameters["x"] + s.parameters["y"] for s in run.starts] for run in runs]
        return [[total for total in run if 20 * total <= 10] for run in sums]

    learned, blind = kept(strategy, ["memory <= 10"]), kept(strategy, [])
    assert sum(map(len, learned)) > sum(map(len, blind))
    if strategy.get("method") != "cmaes":
        assert sum(map(len, learned)) >= 36, "far more than the one in eight of random search"


@pytest.mark.parametrize("method", ["gp", "tpe", None])
def test_the_search_learns_from_trials_that_ran_out_of_memory(
    method: str | None, study_of: Callable[..., Study], job: Any
) -> None:
    def dies(given: Mapping[str, Any], resource: int | None) -> Any:
        return costly(given, resource) if given["x"] + given["y"] <= 0.5 else None

    study = study_of(
        parameters=OUTCOME_SPACE,
        constraints=["memory <= 10"],
        strategy={"name": "bayesian", "method": method} if method else "bayesian",
        trial={"metrics": {"memory": {}}},
    )
    runs = [job(study, dies, seed, max_trials=40, out_of_memory=True).run() for seed in range(3)]
    kept = sum(dies(start.parameters, None) is not None for run in runs for start in run.starts)
    assert kept >= 30, "twice the one in eight of random search"


def test_a_trial_that_ran_out_of_memory_later_says_nothing_about_what_it_kept(
    study_of: Callable[..., Study],
) -> None:
    study = study_of(
        parameters=OUTCOME_SPACE, constraints=["memory <= 10", "delay <= 1"], strategy="random"
    )
    history = History(study)
    for number, metrics in enumerate(({"memory": 5.0}, {"memory": 5.0, "delay": 0.5}), start=1):
        history.tell(Started(number, 0.0, {"x": 0.5, "y": 0.5, "kind": "a"}))
        history.tell(Measured(number, 0.0, 1, metrics))
        history.tell(Ended(number, 0.0, "failed", out_of_memory=True))
    assert list(map(history.margins, history.trials)) == [(-5.0, math.inf), None]


@pytest.mark.slow
def test_models_find_where_constraints_hold_from_no_trial_that_keeps_them(
    study_of: Callable[..., Study], job: Any
) -> None:
    for objective in ("loss", ["loss", "memory"]):
        names = [objective] if isinstance(objective, str) else objective
        study = study_of(
            objective=[{"metric": name, "goal": "minimize"} for name in names],
            parameters=OUTCOME_SPACE,
            constraints=["memory <= 2", "loss <= 1.95"],
            strategy={"name": "bayesian", "method": "gp"},
        )
        starts = job(study, costly, 1, max_trials=40).run().starts
        sums = [
            s.parameters["x"] + s.parameters["y"] for s in starts if s.parameters["kind"] == "b"
        ]
        assert any(0.05 <= total <= 0.1 for total in sums), objective
