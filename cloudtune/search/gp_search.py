"""Chooses trials by the expected improvement under a Gaussian process of the trials so far.

The first trials are drawn by chance, evenly over the space. After that a process is fitted to what
was measured, and the next trial is the assignment that promises the largest improvement on the best
one: many are drawn by chance or near the best ones, and the most promising are then improved in
smaller and smaller steps. An assignment that was tried is not proposed again while others are left.

Trials that still run count as measured with what the process expects of them, failed ones with the
worst value, so that both keep the next ones away. A shape that was found for a trial is its memory,
and where the search for the next shape starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.random import Generator
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

from cloudtune.results.events import Event, Measured
from cloudtune.search.axes import Axis
from cloudtune.search.encoding import Encoding, Rows
from cloudtune.search.gaussian_process import (
    FloatArray,
    KernelFitter,
    Posterior,
    log_expected_improvement,
)
from cloudtune.search.history import History, finished
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import (
    PriorTrial,
    complete_assignment,
    filter_prior_trials,
    trial_rng,
)
from cloudtune.search.subsample import Subsample
from cloudtune.study.search_space import Assignment, Space, Value, is_active
from cloudtune.study.study import Study

_BY_CHANCE = 8
"""How many trials are drawn by chance, evenly over the space, before a process is fitted."""
_LEAST_VALUES = 3
"""How many must have been measured then, where many run at a time."""
_FIRST_STEPS, _STEPS = 30, 8
"""How far the search for the shape goes without and with an earlier one."""
_SAME_SHAPE, _LONGEST_SAME = 40, 8
"""With so many trials the shape is found anew for every second one, with twice as many for every
third, and so on, up to every eighth."""
_DRAWN = 256
_BEST, _NEAR, _DISTANCES = 5, 25, (0.2, 0.05)
_ROUNDS, _KEPT, _AROUND = 4, 8, 16
_FIRST_DISTANCE, _SHRINKS = 0.1, 0.4
_TRIES = 50
_PART = 50
"""How many of the best trials, of the last and of a sample count in a long study."""
_FAILURES = 50
_LISTED = 1_000
"""Up to how many assignments all of them are looked at."""
_OF_ALL = 0.05
"""How much the sum of several objectives counts beside the worst of them."""
_NORMAL = NormalDist()


class GPSearch:
    """Method `gp` of the strategy `bayesian`."""

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        prior: Sequence[PriorTrial] = (),
    ) -> None:
        self._axes = axes
        self._seed = seed
        self._signs = [-1.0 if o.goal == "maximize" else 1.0 for o in study.objectives]
        self._encoding = Encoding(axes)
        self._categories = [column.categories for column in self._encoding.columns]
        self._shape = KernelFitter(self._categories)
        self._history = History(study)
        self._rows: dict[int, Rows] = {}
        self._scores: dict[int, list[float]] = {}
        self._open: set[int] = set()
        self._failed: set[int] = set()
        self._tried: set[bytes] = set()
        self._recall = Subsample(seed, len(self._signs), _PART)
        self._space = Space([axis.node for axis in axes])
        self._size = self._space.size
        earlier = filter_prior_trials(self._space, len(self._signs), prior)
        for place, (parameters, values) in enumerate(earlier):
            self._learn(-1 - place, parameters, values)

    def tell(self, event: Event) -> None:
        """Take note of a start or an end; single measurements do not matter."""
        past = self._history.tell(event)
        if past is None or isinstance(event, Measured):
            return
        self._open.discard(past.draw)
        self._failed.discard(past.draw)
        if past.draw not in self._rows:
            self._remember(past.draw, past.parameters)
        values = self._history.objective(past) if finished(past) else None
        if values is not None:
            self._learn(past.draw, past.parameters, values)
        elif past.state in {"running", "pending"}:
            self._open.add(past.draw)
        elif past.state != "cancelled":
            self._failed.add(past.draw)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        known = len(self._scores)
        told = known + len(self._failed) + len(self._open)
        early = known < _LEAST_VALUES or told < _BY_CHANCE
        if early or not self._encoding.columns:
            return Suggestion(self.by_chance(draw))
        with self._threads.limit(limits=1, user_api="blas"):
            return self._by_process(draw)

    def _by_process(self, draw: int) -> Suggestion:
        """Return the trial that promises most."""
        random = np.random.default_rng([self._seed, draw])
        rows, values = self._known(random)
        shape, memory = self._shape_for(draw, rows, values)
        posterior = Posterior(self._categories, shape, rows, values)
        best = float(np.min(posterior.at_rows))
        leaders = rows[np.argsort(posterior.at_rows, kind="stable")[:_BEST]]
        if self._open:
            posterior.believe(np.array([self._rows[draw] for draw in sorted(self._open)]))

        def promise(rows: Rows) -> FloatArray:
            return log_expected_improvement(best, *posterior.expected(rows))

        row = self._most_promising(random, leaders, promise)
        chosen = self.by_chance(draw) if row is None else self._encoding.assignment(row)
        return Suggestion(chosen, memory=memory)

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""

    def by_chance(self, draw: int) -> dict[str, Value]:
        """Return an assignment by chance that was not tried, if one is found soon."""
        random = trial_rng(self._seed, draw)
        if draw < _BY_CHANCE:
            spread = self._spread_evenly(draw, random)
            if not self.repeats(spread):
                return spread
        for _ in range(_TRIES):
            drawn = complete_assignment(self._axes, {}, random)
            if not self.repeats(drawn):
                return drawn
        if self._all_rows is not None:
            return self._encoding.assignment(random.choice(self._untried(self._all_rows)))
        return complete_assignment(self._axes, {}, random)

    @property
    def values(self) -> int:
        """How many trials count with what they measured."""
        return len(self._scores)

    def repeats(self, assignment: Assignment) -> bool:
        """Tell whether an assignment was tried while others are left."""
        tried = self._encoding.row(assignment).tobytes() in self._tried
        return tried and not self._exhausted

    @cached_property
    def _threads(self) -> Any:
        """Limits the threads of matrix products.

        Where trials keep all processors busy, a second thread is one to wait for, and takes a
        hundred times as long. With one thread the sums are also the same on every machine.
        """
        return ThreadpoolController()

    @property
    def _exhausted(self) -> bool:
        return self._size is not None and len(self._tried) >= self._size

    @cached_property
    def _all_rows(self) -> Rows | None:
        """Every row there is, where they are few enough to look at."""
        if self._size is None or self._size > _LISTED:
            return None
        return np.stack([self._encoding.row(assignment) for assignment in self._space.grid()])

    def _known(self, random: Generator) -> tuple[Rows, FloatArray]:
        """Return the rows that count and their values, in units of their spread."""
        draws = self._recall.draws()
        scores = np.array([self._scores[draw] for draw in draws])
        values = _warp(scores[:, 0]) if len(self._signs) == 1 else _scalarize(random, scores)
        failed = sorted(self._failed)[-_FAILURES:]
        worst = np.full(len(failed), np.max(values))
        rows = np.array([self._rows[draw] for draw in (*draws, *failed)])
        return rows, np.concatenate([values, worst])

    def _shape_for(
        self, draw: int, rows: Rows, values: FloatArray
    ) -> tuple[FloatArray, dict[str, list[float]]]:
        """Return the shape for a draw, and what to remember if it was found for this one."""
        last = self._last_shape(draw)
        if last is None:
            start, steps = self._shape.typical, _FIRST_STEPS
        else:
            found, start = last
            told = len(self._scores) + len(self._failed)
            if draw - found < min(1 + told // _SAME_SHAPE, _LONGEST_SAME):
                return start, {}
            steps = _STEPS
        shape = self._shape.fitted(rows, values, start, steps)
        return shape, {"shape": shape.tolist()}

    def _last_shape(self, draw: int) -> tuple[int, FloatArray] | None:
        """Return the last draw for which a shape was found, and that shape."""
        for past in reversed(self._history.trials[:draw]):
            shape = past.memory.get("shape")
            if shape and len(shape) == len(self._shape.typical):
                return past.draw, np.array(shape)
        return None

    def _spread_evenly(self, draw: int, random: Random) -> dict[str, Value]:
        """Return one of the first assignments: of each parameter they share out the whole range."""
        known: dict[str, Value] = {}
        for axis in self._axes:
            places = list(range(_BY_CHANCE))
            Random(f"{self._seed}:{axis.node.key}").shuffle(places)
            share = (places[draw] + random.random()) / _BY_CHANCE
            if is_active(axis.node, known):
                known[axis.node.name] = axis.at(share)
        return known

    def _most_promising(
        self, random: Generator, leaders: Rows, promise: Callable[[Rows], FloatArray]
    ) -> Rows | None:
        """Return the best row that was not tried, or None if none was found."""
        if self._all_rows is not None:
            rows = self._untried(self._all_rows)
            best: Rows = rows[np.argmax(promise(rows))]
            return best
        near = [
            self._encoding.near(random, np.repeat(leaders, _NEAR, axis=0), distance)
            for distance in _DISTANCES
        ]
        rows = self._untried(np.concatenate([self._encoding.draw(random, _DRAWN), *near]))
        promises = promise(rows)
        distance = _FIRST_DISTANCE
        for _ in range(_ROUNDS):
            kept = np.argsort(-promises, kind="stable")[:_KEPT]
            rows, promises = rows[kept], promises[kept]
            around = self._encoding.near(random, np.repeat(rows, _AROUND, axis=0), distance)
            around = self._untried(around)
            rows = np.concatenate([rows, around])
            promises = np.concatenate([promises, promise(around)])
            distance *= _SHRINKS
        return rows[np.argmax(promises)] if len(rows) else None

    def _untried(self, rows: Rows) -> Rows:
        if self._exhausted:
            return rows
        return rows[[row.tobytes() not in self._tried for row in rows]]

    def _remember(self, draw: int, assignment: Assignment) -> None:
        row = self._encoding.row(assignment)
        self._rows[draw] = row
        self._tried.add(row.tobytes())

    def _learn(self, draw: int, assignment: Assignment, values: Sequence[float]) -> None:
        if draw not in self._rows:
            self._remember(draw, assignment)
        scores = [sign * value for sign, value in zip(self._signs, values, strict=True)]
        self._scores[draw] = scores
        self._recall.add(draw, scores)


def _scalarize(random: Generator, scores: FloatArray) -> FloatArray:
    """Return one value a trial for several objectives, by weights that chance gives to each.

    Its minimum is a trial that no other surpasses, and each of those is the minimum of some weights
    (Knowles, IEEE Transactions on Evolutionary Computation 2006,
    <https://doi.org/10.1109/TEVC.2005.851274>).
    """
    tamed = np.stack([_warp(column) for column in scores.T], axis=1)
    weighed = random.dirichlet(np.ones(scores.shape[1])) * (tamed - np.min(tamed, axis=0))
    return _warp(np.max(weighed, axis=1) + _OF_ALL * weighed.sum(axis=1))


def _warp(values: FloatArray) -> FloatArray:
    """Return values in units of their spread, of the worse half only their order.

    The worse ones are spread like those of a normal distribution, so that trials which went astray
    do not make all others look alike (as Vizier does: Song and others, 2024,
    <https://arxiv.org/abs/2408.11527>).
    """
    values = values / (float(np.max(np.abs(values))) or 1.0)
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return np.zeros(len(values))
    middle = max(float(np.quantile(values, 0.5)), float(distinct[1]))
    better = (np.minimum(values, middle) - middle) / (middle - float(distinct[0]))
    scale = math.sqrt(float(np.mean(better[values <= middle] ** 2)))
    ranks = (np.cumsum(counts) - counts / 2) / len(values)
    beyond = np.array([max(0.0, _NORMAL.inv_cdf(rank)) for rank in ranks])[place]
    found = np.where(values > middle, scale * beyond, better)
    return np.asarray((found - found.mean()) / found.std(), np.float64)
