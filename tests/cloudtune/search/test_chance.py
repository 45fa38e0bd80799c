"""How likely values are, by kind and scale, and what chance depends on."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from cloudtune.search.axes import build_axes
from cloudtune.search.factory import make_strategy
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space, Value
from cloudtune.study.study import Study

N = 4000


@pytest.fixture
def drawn(study_of: Callable[..., Study]) -> Callable[..., list[Any]]:
    def drawn(method: str = "uniform", /, **parameter: Any) -> list[Any]:
        study = study_of(parameters={"x": parameter}, strategy={"name": "random", "method": method})
        strategy = make_strategy(study, 3)
        found: list[Any] = []
        for draw in range(N):
            suggestion = strategy.ask(draw)
            assert not isinstance(suggestion, str)
            found.append(suggestion.parameters["x"])
        return found

    return drawn


def evenly(shares: Any, parts: int = 8) -> bool:
    """Tell whether numbers between 0 and 1 fill equal parts alike, as chance would."""
    counts = Counter(min(int(share * parts), parts - 1) for share in shares)
    expected = N / parts
    return all(abs(counts[part] - expected) < 5 * math.sqrt(expected) for part in range(parts))


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_floats_are_uniform_on_their_scale(method: str, drawn: Callable[..., list[float]]) -> None:
    linear = drawn(method, type="float", min=-2, max=6)
    assert evenly((x + 2) / 8 for x in linear)
    log = drawn(method, type="float", min=1e-6, max=1, scale="log")
    assert evenly(1 + math.log10(x) / 6 for x in log)
    auto = drawn(method, type="float", min=1e-6, max=1, scale="auto")
    assert auto == log
    mirrored = drawn(method, type="float", min=0.001, max=1, scale="reverse_log")
    assert evenly(-math.log10(1.001 - x) / 3 for x in mirrored)


def test_reverse_log_takes_bounds_that_have_no_logarithm(drawn: Callable[..., list[float]]) -> None:
    momentum = drawn(type="float", min=0, max=0.999, scale="reverse_log")
    assert min(momentum) >= 0
    assert max(momentum) <= 0.999
    assert evenly(-math.log10(0.999 - x + 0.000999) / math.log10(1001) for x in momentum)


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_whole_numbers_are_alike_bounds_included(
    method: str, drawn: Callable[..., list[int]]
) -> None:
    found = drawn(method, type="int", min=-3, max=4)
    assert set(found) == set(range(-3, 5))
    assert evenly((n + 3.5) / 8 for n in found)
    stepped = drawn(method, type="float", min=0.1, max=0.85, step=0.1)
    assert set(stepped) == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
    assert evenly(x - 0.05 for x in [x / 0.8 * 1.0 for x in stepped])


def test_large_whole_numbers_use_all_their_digits(drawn: Callable[..., list[int]]) -> None:
    found = drawn(type="int", min=0, max=10**18)
    assert evenly(n / 10**18 for n in found)
    assert evenly((n % 8 + 0.5) / 8 for n in found)


def test_whole_numbers_on_a_log_scale_follow_their_logarithm(
    drawn: Callable[..., list[int]],
) -> None:
    counts = Counter(drawn(type="int", min=1, max=8, scale="log"))
    whole = math.log(8.5 / 0.5)
    for n in range(1, 9):
        expected = N * math.log((n + 0.5) / (n - 0.5)) / whole
        assert abs(counts[n] - expected) < 5 * math.sqrt(expected)
    huge = drawn(type="int", min=1, max=10**12, scale="log")
    assert evenly((math.log(2 * n) / math.log(2e12 + 1) for n in huge), parts=4)


def test_a_stepped_log_scale_prefers_the_low_values(drawn: Callable[..., list[int]]) -> None:
    counts = Counter(drawn(type="int", min=10, max=80, step=10, scale="log"))
    assert set(counts) == set(range(10, 90, 10))
    whole = math.log(8.5 / 0.5)
    for n in range(1, 9):
        expected = N * math.log((n + 0.5) / (n - 0.5)) / whole
        assert abs(counts[10 * n] - expected) < 5 * math.sqrt(expected)
    mirror = Counter(drawn(type="int", min=10, max=80, step=10, scale="reverse_log"))
    assert all(mirror[90 - n] == counts[n] for n in counts)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_listed_values_are_alike(scale: str, drawn: Callable[..., list[float]]) -> None:
    counts = Counter(drawn(type="discrete", values=[1, 2, 1000, 5000], scale=scale))
    assert all(abs(counts[n] - N / 4) < 5 * math.sqrt(N / 4) for n in [1, 2, 1000, 5000])


def test_a_sobol_sequence_is_more_even_than_chance(drawn: Callable[..., list[float]]) -> None:
    found = drawn("sobol", type="float", min=0, max=1)
    counts = Counter(int(x * 100) for x in found)
    assert max(counts.values()) - min(counts.values()) <= 4


def test_another_seed_gives_other_trials(study_of: Callable[..., Study]) -> None:
    for method in ["uniform", "sobol"]:
        study = study_of(
            parameters={"x": {"type": "float", "min": 0, "max": 1}},
            strategy={"name": "random", "method": method},
        )
        assert make_strategy(study, 1).ask(5) == make_strategy(study, 1).ask(5)
        assert make_strategy(study, 1).ask(5) != make_strategy(study, 2).ask(5)


def test_what_is_given_does_not_change_what_is_drawn(study_of: Callable[..., Study]) -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    axes = build_axes(Space.from_study(study_of(parameters={"a": unit, "b": unit})))
    free: dict[str, Value] = complete_assignment(axes, {}, Random(1))
    assert complete_assignment(axes, {"a": 1}, Random(1)) == {"a": 1.0, "b": free["b"]}


PROGRAM = """
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.study.study import Study
unit = {"type": "float", "min": 0, "max": 1}
study = Study.model_validate({
    "objective": {"metric": "loss", "goal": "minimize"},
    "strategy": {"name": "bayesian", "method": "tpe"},
    "parameters": {"k": {"type": "categorical", "values": ["a", "b"]},
        **{n: unit | {"when": {"k": "a"}} for n in ("u", "v")},
        **{n: unit | {"when": {"k": "b"}} for n in ("w", "x", "y")}, "z": unit}},
    context={"parts_only": True})
strategy = make_strategy(study, 5)
for draw in range(16):
    found = strategy.ask(draw)
    print(dict(found.parameters))
    strategy.tell(Started(draw + 1, 0.0, found.parameters, memory=found.memory))
    strategy.tell(Measured(draw + 1, 0.0, 1, {"loss": found.parameters["z"]}))
    strategy.tell(Ended(draw + 1, 0.0, "completed"))
"""


def test_another_process_proposes_the_same() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 16
