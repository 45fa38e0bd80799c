"""Strategies learn from all trials that they should, and from no others."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from statistics import fmean, median
from typing import Any

import pytest

from cloudtune.errors import MissingExtraError, StudyError
from cloudtune.provider.facts import Parent
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import filter_prior_trials
from cloudtune.study.search_space import Space, Value
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

UNIT: dict[str, Any] = {"type": "float", "min": 0, "max": 1}
MIXED: dict[str, Any] = {
    "lr": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
    "kind": {"type": "categorical", "values": ["a", "b", "c"]},
    "depth": {"type": "int", "min": 1, "max": 12, "when": {"kind": "b"}},
    "decay": {"type": "float", "min": 0, "max": 1, "when": {"kind": ["a", "c"]}},
}


def mixed(params: Mapping[str, Any], resource: int | None = None) -> list[dict[str, float]]:
    loss = (math.log10(params["lr"]) + 3) ** 2 + (0 if params["kind"] == "b" else 1)
    loss += abs(params.get("depth", 12) - 5) / 5 + params.get("decay", 0)
    return [{"loss": loss}]


def best_of(run: Any) -> float:
    values = [event.metrics["loss"] for event in run.events if isinstance(event, Measured)]
    return min(values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "trials"),
    [
        ("bayesian", "tpe", 50),
        ("bayesian", "gp", 30),
        ("bayesian", "cmaes", 80),
        ("genetic", "nsga2", 120),
    ],
)
def test_models_beat_random_search(
    name: str, method: str, trials: int, study_of: Callable[..., Study], job: Any
) -> None:
    def typical(strategy: Any) -> float:
        study = study_of(parameters=MIXED, strategy=strategy)
        return median(
            best_of(job(study, mixed, seed, max_trials=trials).run()) for seed in range(5)
        )

    assert typical({"name": name, "method": method}) < 0.6 * typical("random")


@pytest.mark.parametrize("method", STRATEGIES["genetic"].methods)
def test_children_inherit_from_earlier_trials_also_after_a_kill(
    method: str, study_of: Callable[..., Study], job: Any
) -> None:
    space = {f"x{i}": UNIT for i in range(8)}

    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": sum(params.values()), "other": -params["x0"]}]

    study = study_of(
        objective=[{"metric": m, "goal": "minimize"} for m in ("loss", "other")],
        parameters=space,
        strategy={"name": "genetic", "method": method},
    )
    whole = job(study, answer, max_trials=50).run()
    genes: set[float] = set()
    inherited = 0
    for place, started in enumerate(whole.starts[:40]):
        values = set(started.parameters.values())
        inherited += len(values & genes) if place >= 20 else 0
        genes |= values
    assert inherited > 0.7 * 8 * 20
    first_event_of_31 = whole.events.index(whole.starts[30])
    resumed = whole.resume_after(first_event_of_31).run()
    assert [s.parameters for s in resumed.suggestions] == [
        s.parameters for s in whole.suggestions[30:]
    ]


@pytest.mark.parametrize("method", [None, "gp"])
def test_several_objectives_converge_to_the_pareto_front(
    method: str | None, study_of: Callable[..., Study], job: Any
) -> None:
    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        return [{"a": params["x"] + params["waste"], "b": params["x"] - params["waste"]}]

    study = study_of(
        objective=[{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "maximize"}],
        parameters={"x": UNIT, "waste": UNIT},
        strategy={"name": "bayesian", "method": method},
    )
    run = job(study, answer, max_trials=40).run()
    wastes = [started.parameters["waste"] for started in run.starts]
    assert median(wastes[20:]) < 0.5 * median(wastes[:10])


@pytest.mark.parametrize("name", ["bayesian", "genetic"])
def test_earlier_trials_guide_the_search(
    name: str, study_of: Callable[..., Study], job: Any
) -> None:
    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy=name)
    places = [(x / 8, y / 8) for x in range(9) for y in range(9)]
    prior = [Parent({"x": x, "y": y}, (abs(x - 0.75) + abs(y - 0.25),)) for x, y in places]

    def distance(prior: Any) -> float:
        strategy = make_strategy(study, 4, prior)
        found: list[float] = []
        for index in range(15):
            suggestion = strategy.ask(index)
            assert isinstance(suggestion, Suggestion)
            params: Any = suggestion.parameters
            strategy.tell(Started(index + 1, 0.0, params, memory=suggestion.memory))
            found.append(abs(params["x"] - 0.75) + abs(params["y"] - 0.25))
        return fmean(sorted(found)[:7])

    assert distance(prior) < 0.7 * distance([])


def test_earlier_trials_outside_the_space_are_left_out(study_of: Callable[..., Study]) -> None:
    space = Space.from_study(study_of(parameters=MIXED))
    good: dict[str, Value] = {"lr": 1, "kind": "b", "depth": 3.0}
    assert filter_prior_trials(space, 1, [Parent(good, (0.5,))]) == [
        ({"lr": 1.0, "kind": "b", "depth": 3}, (0.5,))
    ]
    left_out: list[tuple[dict[str, Value], tuple[float, ...]]] = [
        ({"lr": 2.0, "kind": "b", "depth": 3}, (0.5,)),
        ({"lr": 1.0, "kind": "z", "depth": 3}, (0.5,)),
        ({"lr": 1.0, "kind": "b"}, (0.5,)),
        ({"lr": 1.0, "kind": "b", "depth": 3, "decay": 0.5}, (0.5,)),
        ({"lr": 1.0, "kind": "b", "depth": 3, "other": 0.5}, (0.5,)),
        ({"lr": 1.0, "kind": "b", "depth": 3.5}, (0.5,)),
        (good, (math.nan,)),
        (good, (0.5, 0.5)),
    ]
    assert filter_prior_trials(space, 1, [Parent(*trial) for trial in left_out]) == []


@pytest.mark.parametrize("name", ["bayesian", "genetic"])
def test_failed_and_cancelled_trials_do_not_count_and_stopped_ones_do(
    name: str, study_of: Callable[..., Study]
) -> None:
    study = study_of(parameters={"x": UNIT}, strategy=name)

    def after(state: Any, report: float = 0.5) -> Any:
        """Return what is asked after many trials near 0.9 that ended so and one that completed."""
        strategy = make_strategy(study, 1)
        for index in range(30):
            x = 0.9 + index / 1000
            strategy.tell(Started(index + 1, 0.0, {"x": x}))
            strategy.tell(Measured(index + 1, 0.0, 1, {"loss": report + x}))
            strategy.tell(Ended(index + 1, 0.0, state))
        return strategy.ask(30)

    assert after("failed") == after("cancelled") == after("failed", report=-7.0)
    assert after("completed", report=math.nan) == after("failed")
    assert after("stopped_early") == after("completed") != after("failed")


def test_parallel_trials_are_distinct(study_of: Callable[..., Study], job: Any) -> None:
    def answer(params: Mapping[str, float], resource: int | None) -> list[dict[str, float]]:
        return [{"loss": params["x"]}]

    study = study_of(parameters={"x": UNIT, "y": UNIT}, strategy="bayesian")
    run = job(study, answer, max_trials=30, parallel=4).run()
    assert len({tuple(started.parameters.values()) for started in run.starts}) == 30


def test_initial_trials_come_first_and_are_completed(study_of: Callable[..., Study]) -> None:
    initial = [{"kind": "b", "depth": 3}, {"lr": 1}, {"kind": "a", "decay": 0.5, "lr": 0.1}]

    def first_three(study: Study, seed: int) -> list[dict[str, Any]]:
        strategy, found = make_strategy(study, seed), list[dict[str, Any]]()
        for index in range(3):
            suggestion = strategy.ask(index)
            assert isinstance(suggestion, Suggestion)
            strategy.tell(Started(index + 1, 0.0, suggestion.parameters, memory=suggestion.memory))
            found.append(dict(suggestion.parameters))
        return found

    for name in ("random", "bayesian", "genetic"):
        study = study_of(parameters=MIXED, strategy=name, initial_trials=initial)
        params = first_three(study, 1)
        assert {"kind": "b", "depth": 3}.items() < params[0].items()
        assert set(params[0]) == {"lr", "kind", "depth"}
        assert params[1]["lr"] == 1.0
        assert type(params[1]["lr"]) is float
        assert params[2] == {"lr": 0.1, "kind": "a", "decay": 0.5}
        others = first_three(study, 2)
        assert others[0] != params[0]
        assert others[2] == params[2]


@pytest.mark.parametrize(
    ("strategy", "hidden", "extra"),
    [
        ({"name": "random", "method": "sobol"}, "scipy", "samplers"),
        ({"name": "bayesian", "method": "cmaes"}, "cmaes", "samplers"),
    ],
)
def test_a_missing_package_is_named(
    strategy: Any,
    hidden: str,
    extra: str,
    study_of: Callable[..., Study],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str) -> Any:
        return None if name == hidden else real(name)

    for module in ("random_search", "bayesian_search"):
        monkeypatch.setattr(f"cloudtune.search.{module}.find_spec", find_spec)
    with pytest.raises(MissingExtraError) as caught:
        make_strategy(study_of(parameters={"x": UNIT}, strategy=strategy), 0)
    assert caught.value.extra == extra


def test_cmaes_refuses_several_objectives(study_of: Callable[..., Study]) -> None:
    study = study_of(
        objective=[{"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "minimize"}],
        parameters={"x": UNIT},
        strategy={"name": "bayesian", "method": "cmaes"},
    )
    with pytest.raises(StudyError, match="cmaes supports exactly one objective"):
        make_strategy(study, 0)
