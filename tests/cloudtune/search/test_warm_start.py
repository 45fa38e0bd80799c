"""A warm start has the effect that the plan states."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from cloudtune.planning.preflight import check_engine
from cloudtune.provider.facts import Parent
from cloudtune.results.events import Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study

CASES = [(name, method) for name, each in STRATEGIES.items() for method in (each.methods or ("",))]
SPACE = {"x": {"type": "int", "min": 0, "max": 7}, "y": {"type": "bool"}}


PRIOR = [Parent({"x": x, "y": x % 2 == 0}, (float(abs(x - 5)),)) for x in range(8)] * 4


def study(study_of: Callable[..., Study], name: str, method: str, kind: str) -> Study:
    strategy: dict[str, Any] = {"name": name} | ({"method": method} if method else {})
    return study_of(
        parameters=SPACE,
        strategy=strategy | ({"max": 9} if name == "hyperband" else {}),
        warm_start={"from": ["earlier"], "kind": kind},
        initial_trials=[{"x": 1, "y": True}] if name == "list" else [],
    )


def measure(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": abs(params["x"] - 5)}]


def suggested(
    of: Study, prior: list[Parent], proposed: Sequence[Mapping[str, Any]] = ()
) -> list[Any]:
    """Return the first assignments of a search, and in place of the second those proposed."""
    strategy, found, numbers = make_strategy(of, 4, prior), list[Any](), itertools.count(1)
    for index in range(8):
        suggestion = strategy.ask(index + (len(proposed) if index else 0))
        if not isinstance(suggestion, Suggestion):
            found.append(suggestion)
            continue
        found.append(dict(suggestion.parameters))
        strategy.tell(Started(next(numbers), 0.0, suggestion.parameters))
        for parameters in proposed if index == 0 else ():
            strategy.tell(Started(next(numbers), 0.0, parameters, proposal=str(parameters)))
    return found


@pytest.mark.parametrize("kind", ["same", "transfer"])
@pytest.mark.parametrize(("name", "method"), CASES)
def test_it_is_dropped_exactly_if_it_has_no_effect(
    name: str, method: str, kind: str, study_of: Callable[..., Study], job: Any
) -> None:
    of = study(study_of, name, method, kind)
    dropped = [finding.path for finding in check_engine(of) if finding.kind == "dropped"]
    with_it, without = (
        job(of, measure, max_trials=15, prior=prior).run().suggestions for prior in (PRIOR, [])
    )
    assert dropped == (["warm_start"] if with_it == without else [])


@pytest.mark.parametrize("name", ["grid", "list"])
def test_a_fixed_order_does_not_change(name: str, study_of: Callable[..., Study]) -> None:
    of = study(study_of, name, "", "transfer")
    first = {"grid": {"x": 0, "y": False}, "list": {"x": 1, "y": True}}
    assert suggested(of, PRIOR)[0] == first[name]
    (finding,) = check_engine(of)
    assert "keeps its own order" in finding.reason


def test_cmaes_starts_with_the_best_earlier_trials(study_of: Callable[..., Study]) -> None:
    of = study(study_of, "bayesian", "cmaes", "transfer")
    assert [params["x"] for params in suggested(of, PRIOR)[:5]] == [5, 4, 6, 3, 7]


def test_a_proposed_trial_of_those_is_not_repeated(study_of: Callable[..., Study]) -> None:
    of = study(study_of, "random", "", "transfer")
    proposed = [{"x": 6, "y": True}, {"x": 0, "y": False}]
    alone, others = suggested(of, PRIOR), suggested(of, PRIOR, proposed)
    assert [each["x"] for each in alone[:5]] == [5, 4, 6, 3, 7]
    assert others[:-1] == [each for each in alone if each != proposed[0]]
