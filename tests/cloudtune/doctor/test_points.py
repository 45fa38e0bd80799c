"""The doctor starts a script only with assignments that keep the constraints."""

from __future__ import annotations

from cloudtune.doctor.points import point
from cloudtune.study.loader import load
from cloudtune.study.search_space import Space


def test_a_corner_that_breaks_a_constraint_is_replaced() -> None:
    unit = {"type": "float", "min": 0, "max": 1}
    study = load({"parameters": {"a": unit, "b": unit}, "constraints": ["0.1 < a", "a < b"]})
    space = Space.from_study(study)
    for fraction in (0.0, 0.5, 1.0):
        corner = point(space, fraction)
        assert 0.1 < float(corner["a"]) < float(corner["b"])
        assert point(space, fraction) == corner
    free = Space(space.nodes)
    assert [point(free, fraction)["a"] for fraction in (0.0, 1.0)] == [0.0, 1.0]
