"""Strategy `random`: each trial is independent of all others."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from typing_extensions import override

from cloudtune.errors import MissingExtraError
from cloudtune.search.axes import Axis
from cloudtune.search.protocol import RANDOM, Strategy, Suggestion
from cloudtune.search.sampling import SearchInputs, complete_assignment, trial_rng
from cloudtune.study.search_space import Space, Value, is_active

_MAX_SKIPPED = 100
"""How many points in a row are skipped that break a constraint."""


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    search = SobolSearch if inputs.method == "sobol" else RandomSearch
    return search(inputs.initial.axes, inputs.initial.space, inputs.initial.seed)


class RandomSearch(Strategy):
    """Method `uniform`: independent random samples."""

    def __init__(self, axes: Sequence[Axis], space: Space, seed: int) -> None:
        self._axes = axes
        self._space = space
        self._seed = seed

    @override
    def ask(self, index: int) -> Suggestion:
        rng = trial_rng(self._seed, index)
        return Suggestion(complete_assignment(self._axes, self._space, {}, rng), origin=RANDOM)


class SobolSearch(Strategy):
    """Method `sobol`: a scrambled Sobol sequence, which covers the space evenly.

    Trial n is point n of the sequence in a unit cube with one dimension per parameter, or point n
    of those that keep the constraints. Dimensions of inactive parameters are ignored. Where very
    few points keep them, the trial is random.

    Raises:
        MissingExtraError: If SciPy is not installed.
    """

    def __init__(self, axes: Sequence[Axis], space: Space, seed: int) -> None:
        if not find_spec("scipy"):
            raise MissingExtraError("strategy.method sobol", "samplers")
        self._axes = axes
        self._space = space
        self._seed = seed
        self._engine: Any = None
        self._next = 0

    @override
    def ask(self, index: int) -> Suggestion:
        if self._engine is None or index < self._next:
            qmc: Any = import_module("scipy.stats.qmc")
            dimensions = sum(not axis.is_fixed for axis in self._axes)
            self._engine, self._next = qmc.Sobol(dimensions, rng=self._seed), 0
        if not self._space.constraints and index > self._next:
            self._engine.fast_forward(index - self._next)
            self._next = index
        assignment: dict[str, Value] | None = None
        while self._next <= index:
            assignment = self._next_allowed()
            self._next += 1
        if assignment is None:
            rng = trial_rng(self._seed, index)
            assignment = complete_assignment(self._axes, self._space, {}, rng)
            return Suggestion(assignment, origin=RANDOM)
        return Suggestion(assignment, origin="it is the next one of a Sobol sequence")

    def _next_allowed(self) -> dict[str, Value] | None:
        """Return the next point that keeps the constraints, if one of the next points does."""
        for _ in range(_MAX_SKIPPED):
            point = iter(self._engine.random(1)[0])
            assignment: dict[str, Value] = {}
            for axis in self._axes:
                value = axis.value(0) if axis.is_fixed else axis.from_uniform(float(next(point)))
                if is_active(axis.node, assignment):
                    assignment[axis.node.name] = value
            if self._space.allows(assignment):
                return assignment
        return None
