"""Importance on functions whose effects are known."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from cloudtune.comparison.comparison import compare
from cloudtune.comparison.forest import fit_forest
from cloudtune.comparison.groups import group_jobs
from cloudtune.comparison.importance import Importance, parameter_importance
from cloudtune.reporting.documents.tables import importance_table
from cloudtune.results.model import StudyResult
from cloudtune.study.search_space import Value
from tests.cloudtune.comparison.factories import job, make_study, trial

NUMBER = {"type": "float", "min": 0, "max": 1}
FLAT = {"a": NUMBER, "b": NUMBER, "c": NUMBER}
TREE = {
    "m": {"type": "categorical", "values": ["x", "y"]},
    "p": {**NUMBER, "when": {"m": "x"}},
    "q": {**NUMBER, "when": {"m": "y"}},
}
Draw = Callable[[Random], dict[str, Value]]
Score = Callable[[dict[str, Any]], float]


def flat(chance: Random) -> dict[str, Value]:
    return {name: chance.random() for name in FLAT}


def tree(chance: Random) -> dict[str, Value]:
    branch = chance.choice("xy")
    return {"m": branch, "p" if branch == "x" else "q": chance.random()}


def searched(parameters: dict[str, Any], draw: Draw, score: Score, count: int) -> StudyResult:
    chance = Random(1)
    drawn = [draw(chance) for _ in range(count)]
    trials = [
        trial(number, score(values), parameters=values)
        for number, values in enumerate(drawn, start=1)
    ]
    return job("p", trials, study=make_study(parameters=parameters))


def importance(parameters: dict[str, Any], draw: Draw, score: Score, count: int) -> Importance:
    job_ = searched(parameters, draw, score, count)
    return parameter_importance(group_jobs([job_])[0], 0)


def weighted(values: dict[str, Any]) -> float:
    return float(3 * values["a"] + 2 * values["b"] + values["c"])


def cubed(values: dict[str, Any]) -> float:
    return float(values["b"] ** 3)


def branch(values: dict[str, Any]) -> float:
    return float(values["m"] == "x")


def child(values: dict[str, Any]) -> float:
    return float(values.get("p", 0.5))


@pytest.mark.parametrize("count", [100, 1_000])
@pytest.mark.parametrize(
    ("parameters", "draw", "score", "shares"),
    [
        # The total effects of a sum are proportional to the squared weights.
        (FLAT, flat, weighted, {"a": 9, "b": 4, "c": 1}),
        (FLAT, flat, cubed, {"a": 0, "b": 1, "c": 0}),
        (TREE, tree, branch, {"m": 1, "p": 0, "q": 0}),
        # p counts in half of the space, and a change of m replaces it by a constant.
        (TREE, tree, child, {"m": 1, "p": 2, "q": 0}),
    ],
)
def test_the_shares_of_known_functions(
    parameters: dict[str, Any],
    draw: Draw,
    score: Score,
    shares: dict[str, float],
    count: int,
) -> None:
    found = importance(parameters, draw, score, count)
    assert found.shares is not None
    total = sum(shares.values())
    for name, share in shares.items():
        assert found.shares[name] == pytest.approx(share / total, abs=0.06)
    assert found.explained is not None
    assert found.explained > 0.7


def test_weak_effects_interactions_and_irrelevant_parameters_keep_their_shares() -> None:
    """The expected shares are those of the ranks of the functions, by Monte Carlo."""
    names = "abcdefgh"
    found = importance(
        dict.fromkeys(names, NUMBER),
        lambda chance: {name: chance.random() for name in names},
        lambda p: float(4 * p["a"] + 3 * p["b"] + 2 * p["c"] + p["d"]),
        300,
    )
    assert found.shares is not None
    for name, share in zip(names, (0.55, 0.29, 0.13, 0.03, 0, 0, 0, 0), strict=True):
        assert found.shares[name] == pytest.approx(share, abs=0.06)
    found = importance(
        FLAT, flat, lambda p: float((p["a"] - 0.5) * (p["b"] - 0.5) * 4 + p["c"] / 2), 300
    )
    assert found.shares is not None
    for name, share in {"a": 0.45, "b": 0.44, "c": 0.11}.items():
        assert found.shares[name] == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("count", [20, 60, 300])
def test_noise_has_no_importance(count: int) -> None:
    noise = Random(2)
    found = importance(FLAT, flat, lambda _: noise.random(), count)
    assert found.shares is None
    assert found.explained is not None


def test_a_few_very_bad_trials_do_not_determine_it() -> None:
    found = importance(FLAT, flat, lambda p: p["a"] - 1e9 * (p["c"] > 0.98), 200)
    assert found.shares is not None
    assert found.shares["a"] > 0.9


def test_the_same_trials_have_the_same_importance() -> None:
    runs = [importance(FLAT, flat, lambda p: p["a"] + p["b"], 50) for _ in range(2)]
    assert runs[0] == runs[1]


def test_equal_values_and_one_parameter() -> None:
    assert importance(FLAT, flat, lambda _: 1.0, 30).shares is None
    alone = importance({"a": NUMBER}, lambda r: {"a": r.random()}, lambda p: p["a"], 30)
    assert alone.shares == {"a": 1.0}


def test_the_note_says_what_matters_and_how_far_to_trust_it() -> None:
    many = searched(FLAT, flat, lambda p: 3 * p["a"] + 2 * p["b"], 100)
    note = importance_table(compare([many], {})).note
    assert note.startswith("a (")
    assert "matters most, then b (" in note
    noise = Random(2)
    nothing = searched(FLAT, flat, lambda _: noise.random(), 100)
    assert not importance_table(compare([nothing], {})).rows


def test_a_forest_predicts_rows_it_has_not_seen() -> None:
    rng = np.random.default_rng(1)
    rows = rng.random((300, 4))
    forest = fit_forest(rows[:200], rows[:200, 1], rng)
    errors = forest.predict(rows[200:]) - rows[200:, 1]
    assert float(np.sqrt(np.mean(errors**2))) < 0.1
    assert forest.explained > 0.9
