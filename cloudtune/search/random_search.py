"""Strategy `random`: each trial independent of all others."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cloudtune.errors import MissingExtraError
from cloudtune.results.events import Event
from cloudtune.search.axes import Axis
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import complete_assignment, trial_rng
from cloudtune.study.search_space import Value, is_active


class RandomSearch:
    """Method `uniform`: every draw from its own random numbers."""

    def __init__(self, axes: Sequence[Axis], seed: int) -> None:
        self._axes = axes
        self._seed = seed

    def tell(self, event: Event) -> None:
        """Do nothing: no trial depends on another."""

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        return Suggestion(complete_assignment(self._axes, {}, trial_rng(self._seed, draw)))

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""


class SobolSearch:
    """Method `sobol`: the points of a scrambled Sobol sequence, which fill the space evenly.

    Draw n is the sequence's point n in a cube with one axis a parameter; the axes of inactive
    parameters are ignored.
    """

    def __init__(self, axes: Sequence[Axis], seed: int) -> None:
        """Prepare the sequence.

        Raises:
            MissingExtraError: If SciPy is not installed.
        """
        if not find_spec("scipy"):
            raise MissingExtraError("strategy.method sobol", "samplers")
        self._axes = axes
        self._seed = seed
        self._begin()

    def tell(self, event: Event) -> None:
        """Do nothing: no trial depends on another."""

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        shares = iter(self._point(draw))
        known: dict[str, Value] = {}
        for axis in self._axes:
            value = axis.value(0) if axis.fixed else axis.at(next(shares))
            if is_active(axis.node, known):
                known[axis.node.name] = value
        return Suggestion(known)

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""

    def _begin(self) -> None:
        self._engine: Any = None
        self._next = 0

    def _point(self, draw: int) -> list[float]:
        if draw < self._next:
            self._begin()
        if self._engine is None:
            qmc: Any = import_module("scipy.stats.qmc")
            dimensions = sum(not axis.fixed for axis in self._axes)
            self._engine = qmc.Sobol(dimensions, rng=self._seed)
        if draw > self._next:
            self._engine.fast_forward(draw - self._next)
        self._next = draw + 1
        return [float(share) for share in self._engine.random(1)[0]]
