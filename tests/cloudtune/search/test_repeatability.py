"""With several trials at a time, a seed repeats the strategies that the documentation names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cloudtune.study.study import Study

SPACE = {"x": {"type": "int", "min": 0, "max": 40}, "y": {"type": "bool"}}


def measure(params: Mapping[str, Any], resource: int | None) -> list[dict[str, float]]:
    return [{"loss": abs(params["x"] - 5)}]


@pytest.mark.parametrize(
    ("name", "method"),
    [("grid", ""), ("list", ""), ("random", ""), ("random", "uniform"), ("random", "sobol")],
)
def test_the_order_in_which_trials_end_does_not_matter(
    name: str, method: str, study_of: Callable[..., Study], job: Any
) -> None:
    of = study_of(
        parameters=SPACE,
        strategy={"name": name} | ({"method": method} if method else {}),
        initial_trials=[{"x": x, "y": True} for x in range(20)] if name == "list" else [],
    )
    durations: list[Callable[[int], float]] = [
        lambda number: 1.0 + number % 3,
        lambda number: 10.0 / number,
    ]
    first, second = (
        job(of, measure, parallel=4, max_trials=20, duration=duration).run().suggestions
        for duration in durations
    )
    assert len(first) == 20
    assert first == second
