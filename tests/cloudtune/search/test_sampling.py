"""The distribution of random values by kind and scale, and what randomness depends on."""

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
def sample_values(study_of: Callable[..., Study]) -> Callable[..., list[Any]]:
    def sample_values(method: str = "uniform", /, **parameter: Any) -> list[Any]:
        study = study_of(parameters={"x": parameter}, strategy={"name": "random", "method": method})
        strategy = make_strategy(study, 3)
        values: list[Any] = []
        for index in range(N):
            suggestion = strategy.ask(index)
            assert not isinstance(suggestion, str)
            values.append(suggestion.parameters["x"])
        return values

    return sample_values


def is_uniform(fractions: Any, parts: int = 8) -> bool:
    """Return whether numbers from 0 to 1 are uniform over equal parts."""
    counts = Counter(min(int(fraction * parts), parts - 1) for fraction in fractions)
    expected = N / parts
    return all(abs(counts[part] - expected) < 5 * math.sqrt(expected) for part in range(parts))


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_floats_are_uniform_on_their_scale(
    method: str, sample_values: Callable[..., list[float]]
) -> None:
    linear = sample_values(method, type="float", min=-2, max=6)
    assert is_uniform((x + 2) / 8 for x in linear)
    log = sample_values(method, type="float", min=1e-6, max=1, scale="log")
    assert is_uniform(1 + math.log10(x) / 6 for x in log)
    auto = sample_values(method, type="float", min=1e-6, max=1, scale="auto")
    assert auto == log
    mirrored = sample_values(method, type="float", min=0.001, max=1, scale="reverse_log")
    assert is_uniform(-math.log10(1.001 - x) / 3 for x in mirrored)


def test_reverse_log_accepts_bounds_without_logarithm(
    sample_values: Callable[..., list[float]],
) -> None:
    momentum = sample_values(type="float", min=0, max=0.999, scale="reverse_log")
    assert min(momentum) >= 0
    assert max(momentum) <= 0.999
    assert is_uniform(-math.log10(0.999 - x + 0.000999) / math.log10(1001) for x in momentum)


@pytest.mark.parametrize("method", ["uniform", "sobol"])
def test_integers_are_uniform_including_the_bounds(
    method: str, sample_values: Callable[..., list[int]]
) -> None:
    values = sample_values(method, type="int", min=-3, max=4)
    assert set(values) == set(range(-3, 5))
    assert is_uniform((n + 3.5) / 8 for n in values)
    stepped = sample_values(method, type="float", min=0.1, max=0.85, step=0.1)
    assert set(stepped) == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
    assert is_uniform(x - 0.05 for x in [x / 0.8 * 1.0 for x in stepped])


def test_large_integers_use_all_digits(sample_values: Callable[..., list[int]]) -> None:
    values = sample_values(type="int", min=0, max=10**18)
    assert is_uniform(n / 10**18 for n in values)
    assert is_uniform((n % 8 + 0.5) / 8 for n in values)


def test_integers_on_a_log_scale_are_log_uniform(
    sample_values: Callable[..., list[int]],
) -> None:
    counts = Counter(sample_values(type="int", min=1, max=8, scale="log"))
    whole = math.log(8.5 / 0.5)
    for n in range(1, 9):
        expected = N * math.log((n + 0.5) / (n - 0.5)) / whole
        assert abs(counts[n] - expected) < 5 * math.sqrt(expected)
    huge = sample_values(type="int", min=1, max=10**12, scale="log")
    assert is_uniform((math.log(2 * n) / math.log(2e12 + 1) for n in huge), parts=4)


def test_a_log_scale_with_steps_prefers_low_values(sample_values: Callable[..., list[int]]) -> None:
    counts = Counter(sample_values(type="int", min=10, max=80, step=10, scale="log"))
    assert set(counts) == set(range(10, 90, 10))
    whole = math.log(8.5 / 0.5)
    for n in range(1, 9):
        expected = N * math.log((n + 0.5) / (n - 0.5)) / whole
        assert abs(counts[10 * n] - expected) < 5 * math.sqrt(expected)
    mirror = Counter(sample_values(type="int", min=10, max=80, step=10, scale="reverse_log"))
    assert all(mirror[90 - n] == counts[n] for n in counts)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_listed_values_are_equally_likely(
    scale: str, sample_values: Callable[..., list[float]]
) -> None:
    counts = Counter(sample_values(type="discrete", values=[1, 2, 1000, 5000], scale=scale))
    assert all(abs(counts[n] - N / 4) < 5 * math.sqrt(N / 4) for n in [1, 2, 1000, 5000])


def test_a_sobol_sequence_is_more_even_than_random_samples(
    sample_values: Callable[..., list[float]],
) -> None:
    values = sample_values("sobol", type="float", min=0, max=1)
    counts = Counter(int(x * 100) for x in values)
    assert max(counts.values()) - min(counts.values()) <= 4


def test_another_seed_gives_other_trials(study_of: Callable[..., Study]) -> None:
    for method in ["uniform", "sobol"]:
        study = study_of(
            parameters={"x": {"type": "float", "min": 0, "max": 1}},
            strategy={"name": "random", "method": method},
        )
        assert make_strategy(study, 1).ask(5) == make_strategy(study, 1).ask(5)
        assert make_strategy(study, 1).ask(5) != make_strategy(study, 2).ask(5)


def test_fixed_values_do_not_change_sampled_ones(study_of: Callable[..., Study]) -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    space = Space.from_study(study_of(parameters={"a": unit, "b": unit}))
    axes = build_axes(space)
    free: dict[str, Value] = complete_assignment(axes, space, {}, Random(1))
    assert complete_assignment(axes, space, {"a": 1}, Random(1)) == {"a": 1.0, "b": free["b"]}


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
for index in range(16):
    suggestion = strategy.ask(index)
    print(dict(suggestion.parameters))
    strategy.tell(Started(index + 1, 0.0, suggestion.parameters, memory=suggestion.memory))
    strategy.tell(Measured(index + 1, 0.0, 1, {"loss": suggestion.parameters["z"]}))
    strategy.tell(Ended(index + 1, 0.0, "completed"))
"""


@pytest.mark.slow
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
