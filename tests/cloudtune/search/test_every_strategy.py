"""Properties of each strategy and method over arbitrary spaces."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloudtune.results.events import Started
from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space, Value, format_value, match_value
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study
from tests.cloudtune.search import test_axes, test_constraints
from tests.e2e import test_every_strategy_runs as every_run

PHASES = (Phase.explicit, Phase.generate)
quick = settings(
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SCALES = st.sampled_from(["linear", "log", "reverse_log", "auto"])
NAMES = ["lr", "n.trees", "lambda", "C", "2nd", "use-it", "x#2"]


@st.composite
def floats(draw: st.DrawFn) -> dict[str, Any]:
    scale = draw(SCALES)
    low = draw(st.sampled_from([1e-8, 0.001, 0.5, 1.0, 100.0]))
    if scale in {"linear", "reverse_log"}:
        low = draw(st.sampled_from([low, 0, 0.0, -3, -1e300]))
    high = low + draw(st.sampled_from([0.0, 0.25, 1.0, 1e3, 1e300]))
    created = {"type": "float", "min": low, "max": high, "scale": scale}
    if draw(st.booleans()) and high > low and high - low <= 1e3:
        created["step"] = (high - low) / draw(st.sampled_from([1, 2.5, 7]))
    return created


@st.composite
def ints(draw: st.DrawFn, most: int = 10**15) -> dict[str, Any]:
    scale = draw(SCALES)
    low = draw(st.sampled_from([1, 2, 50]))
    if scale in {"linear", "reverse_log"}:
        low = draw(st.sampled_from([low, 0, -7]))
    high = low + draw(st.sampled_from([0, 1, 3, 10, 1000, 10**15]).filter(lambda n: n <= most))
    created: dict[str, Any] = {"type": "int", "min": low, "max": high, "scale": scale}
    if draw(st.booleans()) and high - low >= 3:
        created["step"] = draw(st.sampled_from([1, 2, 3]))
    return created


FLIP: st.SearchStrategy[Any] = st.booleans()
LISTS: list[list[Any]] = [[4], [16, 32, 64], [0.1, 0.25, 10.0], [-1.5, 0.0, 2.0], [*range(20)]]
WORDS: list[Any] = ["a", "1", "True", "1e3", True, False, 0, 1, 2.5]


@st.composite
def listed(draw: st.DrawFn) -> Any:
    if draw(FLIP):
        scale = draw(st.sampled_from(["linear", "auto"]))
        return {"type": "discrete", "values": draw(st.sampled_from(LISTS)), "scale": scale}
    values = draw(st.permutations(WORDS))[: draw(st.integers(1, 4))]
    return draw(st.sampled_from([{"type": "bool"}, {"type": "categorical", "values": values}]))


def values_of(parameter: Mapping[str, Any]) -> list[Any]:
    if parameter["type"] == "bool":
        return [False, True]
    if parameter["type"] == "int":
        step = parameter.get("step", 1)
        return list(range(parameter["min"], parameter["max"] + 1, step))[:4]
    return list(parameter["values"])


@st.composite
def parameters(draw: st.DrawFn, *, countable: bool = False) -> dict[str, Any]:
    small = ints(most=10)
    kinds = small | listed()
    parents: dict[str, list[Any]] = {}
    created: dict[str, Any] = {}
    for name in draw(st.permutations(NAMES))[: draw(st.integers(1, 5))]:
        kind = kinds if countable else floats() | ints() | kinds
        first = dict(draw(kind))
        if parents and draw(FLIP):
            chosen = draw(st.lists(st.sampled_from(sorted(parents)), min_size=1, max_size=2))
            conditions = {
                parent: draw(st.lists(st.sampled_from(parents[parent]), min_size=1, max_size=2))
                for parent in chosen
            }
            first["when"] = conditions
            parent = chosen[0]
            rest = [
                value
                for value in parents[parent]
                if not any(format_value(value) == format_value(used) for used in conditions[parent])
            ]
            if rest and draw(FLIP):
                created[name] = [first, draw(kind) | {"when": {parent: rest[:1]}}]
                continue
        if first["type"] in {"bool", "categorical", "discrete"} or (
            first["type"] == "int" and first["max"] - first["min"] <= 10
        ):
            parents[name] = values_of(first)
        created[name] = [first]
    return created


def badness(given: Mapping[str, Any]) -> float:
    """A rough function of any assignment, the same on every machine."""
    total = 0.0
    for name, value in sorted(given.items()):
        number = len(value) if isinstance(value, str) else math.asinh(float(value))
        total += abs(number - len(name)) + 0.1 * math.sin(7 * number)
    return total


def answer(given: Mapping[str, Any], resource: int | None) -> list[dict[str, float]] | None:
    """Report three steps; some trials fail and some report no number at the end."""
    loss = badness(given)
    if math.modf(loss * 10)[0] > 0.9:
        return None
    last = math.nan if math.modf(loss * 10)[0] > 0.85 else loss
    steps = [loss + 2, loss + 1, last - (resource or 0) / 1000]
    return [{"loss": value, "size": -value / 2} for value in steps]


def check_assignment(study: Study, given: Mapping[str, Value]) -> None:
    """It has each active parameter and no other, each value in its domain and of its type."""
    space = Space.from_study(study)
    active = list(space.active_nodes(given))
    assert [node.name for node in active] == list(given)
    for node in active:
        value = given[node.name]
        own = match_value(node.parameter, value)
        assert own == value
        assert type(own) is type(value)
        if node.parameter.type == "float":
            assert type(value) is float
        elif node.parameter.type == "int":
            assert type(value) is int


CASES = [
    *(
        (name, method)
        for name, traits in STRATEGIES.items()
        for method in (traits.methods or ("",))
    ),
    ("bayesian", ""),
    ("hyperband", "named"),
]
TRIALS = {"genetic": 45, "hyperband": 30, "bayesian": 16}


def test_each_strategy_has_cases_in_the_other_tests_and_is_on_the_pages() -> None:
    searches = STRATEGIES.keys() - {"list", "external"}
    assert {each["name"] for each in test_constraints.CASES} == searches
    assert {each["name"] for each in test_axes.STRATEGIES} == searches - {"grid"}
    assert {each["name"] for each in every_run.STRATEGIES.values()} == searches
    for page in ("README.md", "docs/strategies.md"):
        text = (Path(__file__).parents[3] / page).read_text("utf-8")
        assert [name for name in STRATEGIES if f"`{name}`" not in text] == [], page


def case_study(
    study_of: Callable[..., Study], name: str, method: str, space: Any, initial: Any = ()
) -> Study:
    strategy: dict[str, Any] = {"name": name}
    if name == "hyperband":
        strategy |= {"max": 9}
        if method:
            strategy |= {"resource": "epochs"}
    elif method:
        strategy["method"] = method
    return study_of(parameters=space, strategy=strategy, initial_trials=list(initial))


def some_trials(study: Study, count: int) -> list[dict[str, Value]]:
    space = Space.from_study(study)
    axes = build_axes(space)
    return [complete_assignment(axes, space, {}, Random(number)) for number in range(count)]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_continues_identically_after_a_kill(
    name: str, method: str, study_of: Callable[..., Study], job: Any
) -> None:
    @settings(quick, max_examples=6 if name in TRIALS else 15)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        space = data.draw(parameters(countable=name == "grid"))
        study = case_study(study_of, name, method, space)
        seed = data.draw(st.integers(0, 2**32 - 1))
        trials = 30 if (name, method) == ("bayesian", "") else TRIALS.get(name, 12)
        whole = job(study, answer, seed, max_trials=trials).run()
        proposed = [(dict(s.parameters), s.resource) for s in whole.suggestions]
        for started in whole.starts:
            check_assignment(study, started.parameters)
        place = data.draw(st.integers(0, len(whole.events)))
        resumed = whole.resume_after(place)
        already = sum(isinstance(event, Started) for event in whole.events[:place])
        resumed.run()
        again = [(dict(s.parameters), s.resource) for s in resumed.suggestions]
        assert again == proposed[already:]
        assert repr(again) == repr(proposed[already:]), "the types differ"

    check()


FARTHEST = sys.float_info.max
EXTREME: list[tuple[float, float, str]] = [
    (5e-324, 1e308, "log"),
    (5e-324, FARTHEST, "auto"),
    (5e-324, 1e-322, "log"),
    (1.0, math.nextafter(1.0, 2.0), "log"),
    (1e300, math.nextafter(1e300, math.inf), "log"),
    (1e300, math.nextafter(1e300, math.inf), "reverse_log"),
    (1e308, 1.1e308, "reverse_log"),
    (0, 1e308, "reverse_log"),
    (-1e308, 0, "reverse_log"),
    (-FARTHEST, FARTHEST, "linear"),
    (0, 5e-324, "linear"),
    (2**62, 2**62 + 9, "log"),
    (1, 2**63 - 1, "log"),
    (-(2**63), 2**63 - 1, "reverse_log"),
    (-(2**63), 2**63 - 1, "linear"),
]


def by_y(given: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": given["y"]}]


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("bounds", EXTREME)
def test_the_widest_and_the_narrowest_ranges_can_be_searched(
    bounds: tuple[float, float, str], steps: bool, study_of: Callable[..., Study], job: Any
) -> None:
    low, high, scale = bounds
    kind = "int" if high in {2**62 + 9, 2**63 - 1} else "float"
    x: dict[str, Any] = {"type": kind, "min": low, "max": high, "scale": scale}
    if steps:
        x["step"] = max(high // 9 - low // 9, 1) if kind == "int" else high / 9 - low / 9
        if x["step"] < math.ulp(high):
            pytest.skip("there is no step so small")
    space = {"x": x, "y": {"type": "float", "min": 0, "max": 1}}
    Study.model_validate({"parameters": space})
    for name, method in CASES:
        if name == "random" or (name in {"bayesian", "genetic"} and not steps):
            study = case_study(study_of, name, method, space)
            run = job(study, by_y, max_trials=22).run()
            for started in run.starts:
                check_assignment(study, started.parameters)
