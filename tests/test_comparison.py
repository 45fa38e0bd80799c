"""The benchmark harness: lookups between trained knots, ranks, and runs that repeat."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import trained_tasks
from benchmarks.compare import search
from benchmarks.comparison_results import rank
from benchmarks.quality_tasks import Params, Task, assignment_key
from benchmarks.trained_tasks import Table

PARAMETERS = {
    "kernel": {"type": "categorical", "values": ["linear", "rbf"]},
    "C": {"type": "float", "min": 0.01, "max": 100, "scale": "log"},
    "gamma": {"type": "float", "min": 0, "max": 1, "when": {"kernel": "rbf"}},
}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Return a table of ten test cases."""
    errors = {
        assignment_key({"kernel": "linear", "C": 0.01}): 0.8,
        assignment_key({"kernel": "linear", "C": 1.0}): 0.4,
        assignment_key({"kernel": "linear", "C": 100.0}): 0.2,
        assignment_key({"kernel": "rbf", "C": 0.01, "gamma": 0.0}): 0.6,
        assignment_key({"kernel": "rbf", "C": 1.0, "gamma": 0.0}): 0.4,
        assignment_key({"kernel": "rbf", "C": 100.0, "gamma": 0.0}): 0.4,
        assignment_key({"kernel": "rbf", "C": 0.01, "gamma": 1.0}): 0.6,
        assignment_key({"kernel": "rbf", "C": 1.0, "gamma": 1.0}): 0.0,
        assignment_key({"kernel": "rbf", "C": 100.0, "gamma": 1.0}): 0.2,
    }
    text = json.dumps({"cases": 10, "errors": errors})
    (tmp_path / "trained-small.json").write_text(text, "utf-8")
    monkeypatch.setattr(trained_tasks, "CACHE", tmp_path)
    knots = {"C": [0.01, 1.0, 100.0], "gamma": [0.0, 1.0]}
    return Table("small", "digits", PARAMETERS, knots, lambda data, params: 1.0)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"kernel": "linear", "C": 1.0}, 0.4),
        ({"kernel": "linear", "C": 0.1}, 0.6),
        ({"kernel": "linear", "C": 0.11}, 0.6),
        ({"kernel": "linear", "C": 100.0}, 0.2),
        ({"kernel": "rbf", "C": 10.0, "gamma": 0.5}, 0.2),
    ],
)
def test_errors_between_knots_are_interpolated_and_rounded_to_whole_cases(
    table: Table, params: Params, error: float
) -> None:
    assert table.error(params) == pytest.approx(error, abs=1e-12)


def test_the_best_value_is_that_of_the_best_knot(table: Table) -> None:
    task = table.task()
    assert task.best == 0
    assert task.regret({"kernel": "rbf", "C": 1.0, "gamma": 1.0}) == 0
    assert task.measure({"kernel": "rbf", "C": 1.0, "gamma": 0.0}, Random(0)) == 0.4


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_search_repeats_with_its_seed(parallel: int) -> None:
    task = Task(
        "bowl",
        {"x": {"type": "float", "min": -1, "max": 1}},
        measure=lambda params, random: params["x"] ** 2 + random.gauss(0, 0.01),
        true_value=lambda params: params["x"] ** 2,
        best=0.0,
        typical=0.25,
    )
    curves = [search("cloudtune-random", task, 3, 20, parallel)[0] for _ in range(2)]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 20


def test_equal_values_share_a_rank() -> None:
    means = np.array([[0.2], [0.0], [0.2], [0.5]])
    assert rank(means)[:, 0].tolist() == [2.5, 1, 2.5, 4]
