"""What a warm start does is what the plan says that it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cloudtune.planning.preflight import check_engine
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.methods import METHODS
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study

CASES = [(name, method) for name, methods in METHODS.items() for method in (methods or ("",))]
SPACE = {"x": {"type": "int", "min": 0, "max": 7}, "y": {"type": "bool"}}


@dataclass(frozen=True)
class Earlier:
    parameters: Mapping[str, Value]
    objective: tuple[float, ...]


PRIOR = [Earlier({"x": x, "y": x % 2 == 0}, (float(abs(x - 5)),)) for x in range(8)] * 4


def study(study_of: Callable[..., Study], name: str, method: str, kind: str) -> Study:
    strategy: dict[str, Any] = {"name": name} | ({"method": method} if method else {})
    return study_of(
        parameters=SPACE,
        strategy=strategy | ({"max": 9} if name == "hyperband" else {}),
        warm_start={"from": ["earlier"], "kind": kind},
        initial_trials=[{"x": 1, "y": True}] if name == "list" else [],
    )


def measure(given: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": abs(given["x"] - 5)}]


def asked(of: Study, prior: list[Earlier]) -> list[Any]:
    strategy = make_strategy(of, 4, prior)
    found = [strategy.ask(draw) for draw in range(8)]
    return [dict(s.parameters) if isinstance(s, Suggestion) else s for s in found]


@pytest.mark.parametrize("kind", ["same", "transfer"])
@pytest.mark.parametrize(("name", "method"), CASES)
def test_it_is_dropped_where_it_has_no_effect_and_nowhere_else(
    name: str, method: str, kind: str, study_of: Callable[..., Study], job: Any
) -> None:
    of = study(study_of, name, method, kind)
    said = [finding.path for finding in check_engine(of) if finding.kind == "dropped"]
    with_it, without = (
        job(of, measure, max_trials=15, prior=prior).run().asked for prior in (PRIOR, [])
    )
    assert said == (["warm_start"] if with_it == without else [])


@pytest.mark.parametrize("name", ["grid", "list"])
def test_a_fixed_order_stays_as_it_is(name: str, study_of: Callable[..., Study]) -> None:
    of = study(study_of, name, "", "transfer")
    first = {"grid": {"x": 0, "y": False}, "list": {"x": 1, "y": True}}
    assert asked(of, PRIOR)[0] == first[name]
    (finding,) = check_engine(of)
    assert "keeps its own order" in finding.reason


def test_cmaes_begins_with_the_best_again(study_of: Callable[..., Study]) -> None:
    of = study(study_of, "bayesian", "cmaes", "transfer")
    assert [given["x"] for given in asked(of, PRIOR)[:5]] == [5, 4, 6, 3, 7]
