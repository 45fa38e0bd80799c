"""Rows encode assignments without loss."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest

from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Encoding
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

SPACE: dict[str, Any] = {
    "kind": {"type": "categorical", "values": ["a", True, 1, "1"]},
    "rate": {"type": "float", "min": 1e-6, "max": 1, "scale": "log", "when": {"kind": ["a", 1]}},
    "depth": {"type": "int", "min": 1, "max": 300, "scale": "log"},
    "back": {"type": "int", "min": 1, "max": 64, "scale": "reverse_log"},
    "seed": {"type": "int", "min": 0, "max": 10**12, "when": {"flag": True}},
    "huge": {"type": "int", "min": 1, "max": 10**12, "scale": "log"},
    "flag": {"type": "bool"},
    "one": {"type": "int", "min": 3, "max": 3},
    "last": {"type": "discrete", "values": [0.5, 2, 16], "when": {"one": 3, "depth": [1, 2, 3]}},
    "step": {"type": "float", "min": 0.1, "max": 0.85, "step": 0.1},
    "twice": [
        {"type": "int", "min": 1, "max": 4, "when": {"flag": True}},
        {"type": "int", "min": 11, "max": 14, "when": {"flag": False}},
    ],
    "child": {"type": "bool", "when": {"twice": [2, 12]}},
}


@pytest.fixture
def encoding(study_of: Callable[..., Study]) -> Encoding:
    return Encoding(build_axes(Space.from_study(study_of(parameters=SPACE))))


def test_a_row_decodes_to_its_assignment(
    encoding: Encoding, study_of: Callable[..., Study]
) -> None:
    space = Space.from_study(study_of(parameters=SPACE))
    axes = build_axes(space)
    for number in range(300):
        params = complete_assignment(axes, space, {}, Random(number))
        again = encoding.decode(encoding.encode(params))
        assert [*again] == [*params]
        for name in params:
            if name in {"rate", "huge"}:
                assert again[name] == pytest.approx(params[name], rel=1e-9)
            else:
                assert repr(again[name]) == repr(params[name])


def test_sampled_and_perturbed_rows_are_those_of_their_assignments(encoding: Encoding) -> None:
    random = np.random.default_rng(1)
    drawn = encoding.sample(random, 400)
    near = encoding.perturb(random, drawn, 0.3)
    long = [column.axis.node.key in {"rate", "seed", "huge"} for column in encoding.columns]
    for row in (*drawn, *near):
        own = encoding.encode(encoding.decode(row))
        assert (np.isnan(own) == np.isnan(row)).all(), encoding.decode(row)
        assert (own == row)[~np.isnan(row) & ~np.array(long)].all()


def test_values_and_branches_are_sampled_uniformly(encoding: Encoding) -> None:
    rows = encoding.sample(np.random.default_rng(2), 4000)
    found = [encoding.decode(row) for row in rows]
    for kind in ("a", True, 1, "1"):
        share = sum(repr(params["kind"]) == repr(kind) for params in found) / 4000
        assert share == pytest.approx(0.25, abs=0.04)
    steps = [sum(params["step"] == k / 10 for params in found) / 4000 for k in range(1, 9)]
    assert steps == pytest.approx([1 / 8] * 8, abs=0.03)
    shallow = sum("last" in params for params in found) / 4000
    assert shallow == pytest.approx(np.log(3.5) / np.log(300), abs=0.04)
    assert all(("child" in params) == (params["twice"] in {2, 12}) for params in found)


def test_a_neighbor_is_near(encoding: Encoding) -> None:
    random = np.random.default_rng(3)
    rows = encoding.sample(random, 300)
    near = encoding.perturb(random, rows, 0.01)
    depth = next(i for i, c in enumerate(encoding.columns) if c.axis.node.key == "huge")
    moved = np.abs(near[:, depth] - rows[:, depth])
    assert 0 < np.median(moved[moved > 0]) < 0.02
    same_kind = (near[:, 0] == rows[:, 0]).mean()
    assert same_kind > 0.7
