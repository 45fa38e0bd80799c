"""Strategy `genetic`: each trial is bred from two of the best ones before.

There are no generations: whenever a trial ends, it takes its place among the parents if it is
better than one of them; who they are does not depend on the order in which trials end. A child has
each parameter from one parent or the other, and about one of them moved a little. An assignment
that was tried, or still runs, is not chosen again while others are left. The first trials are a
Latin hypercube, which fills each parameter's range evenly. So a hundred trials bring far more than
in generations of twenty or fifty, of which a hundred trials are only a few.

With several objectives the parents are the first fronts of all trials. The methods differ in whom
they keep of the last front: `nsga2` (the default) those in thinly populated places, `nsga3` those
nearest to evenly spread directions, which is made for four objectives and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.random import Generator

from cloudtune.results.events import Event, Measured
from cloudtune.search.axes import Axis
from cloudtune.search.encoding import Encoding, Flags, Rows
from cloudtune.search.history import History, finished
from cloudtune.search.pareto import ParetoFronts
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import PriorTrial, filter_prior_trials, trial_seed
from cloudtune.study.search_space import Assignment, Space, Value
from cloudtune.study.study import Study

_FIRST = 10
"""How many trials are spread evenly; initial trials and earlier runs count among them."""
_PARENTS, _PARENTS_OF_SEVERAL = 8, 20
"""How many parents there are with one objective and with several."""
_DRAWN = 3
"""Of how many drawn ones the best becomes a parent."""
_MIXED = 0.9
"""The share of children that have two parents."""
_MOVED = 1.3
"""How many parameters of a child are moved on average."""
_DISTANCE, _SPREAD = 0.15, 0.5
"""How far a parameter is moved: typically, in shares of its range, and how much that varies."""
_TRIES = 60
"""Of how many children, and of how many trials by chance, the first one that was not tried runs."""
_LISTED = 1_000
"""Up to how many assignments those left are looked for one by one."""


class GeneticSearch:
    """Methods `nsga2` and `nsga3`, for one or several objectives."""

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        method: str = "nsga2",
        prior: Sequence[PriorTrial] = (),
    ) -> None:
        self._seed = seed
        self._encoding = Encoding(axes)
        self._signs = [-1.0 if o.goal == "maximize" else 1.0 for o in study.objectives]
        count = len(study.objectives)
        parents = _PARENTS if count == 1 else _PARENTS_OF_SEVERAL
        self._fronts = ParetoFronts(parents, count, by_niche=method == "nsga3")
        self._history = History(study)
        self._rows: dict[int, Rows] = {}
        self._tried: set[bytes] = set()
        self._space = Space([axis.node for axis in axes])
        earlier = filter_prior_trials(self._space, len(study.objectives), prior)
        for place, (parameters, values) in enumerate(earlier):
            self._remember(-1 - place, parameters)
            self._learn(-1 - place, values)
        self._spread_out = max(0, _FIRST - len(earlier))

    def tell(self, event: Event) -> None:
        """Take note of a start or an end; single measurements do not matter."""
        past = self._history.tell(event)
        if past is None or isinstance(event, Measured):
            return
        if past.draw not in self._rows:
            self._remember(past.draw, past.parameters)
        values = self._history.objective(past) if finished(past) else None
        if values is not None:
            self._learn(past.draw, values)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        return Suggestion(self._chosen(draw))

    def stop_reason(self, number: int) -> None:
        """Stop no trial."""

    def _remember(self, draw: int, assignment: Assignment) -> None:
        row = self._encoding.row(assignment)
        self._rows[draw] = row
        self._tried.add(row.tobytes())

    def _learn(self, draw: int, values: Sequence[float]) -> None:
        scores = [sign * value for sign, value in zip(self._signs, values, strict=True)]
        self._fronts.add(draw, scores)

    def _chosen(self, draw: int) -> dict[str, Value]:
        random = np.random.default_rng(trial_seed(self._seed, draw))
        parents = self._parents()
        by_chance = self._encoding.draw(random, _TRIES)
        if draw < self._spread_out:
            rows = np.concatenate([self._spread(draw), by_chance])
        elif len(parents) < 2:
            rows = by_chance
        else:
            rows = np.concatenate([self._children(parents, random), by_chance])
        untried = self._untried(rows)
        if not len(untried) and self._all_rows is not None:
            untried = random.permutation(self._untried(self._all_rows))
        return self._encoding.assignment(untried[0] if len(untried) else rows[0])

    def _untried(self, rows: Rows) -> Rows:
        return rows[[row.tobytes() not in self._tried for row in rows]]

    @cached_property
    def _all_rows(self) -> Rows | None:
        """Every row there is, where they are few enough to look at."""
        if self._space.size is None or self._space.size > _LISTED:
            return None
        return np.array([self._encoding.row(assignment) for assignment in self._space.grid()])

    def _spread(self, draw: int) -> Rows:
        """Return the row of a draw in a Latin hypercube."""
        random = np.random.default_rng(trial_seed(self._seed, -1))
        width = len(self._encoding.columns)
        places = np.tile(np.arange(_FIRST), (width, 1))
        shares = (random.permuted(places, axis=1).T + random.random((_FIRST, width))) / _FIRST
        return self._encoding.activated(self._encoding.drawn(shares))[draw : draw + 1]

    def _parents(self) -> Rows:
        """Return the best trials, best first."""
        return np.array([self._rows[draw] for draw in self._fronts.best()])

    def _children(self, parents: Rows, random: Generator) -> Rows:
        """Return rows bred from the parents, the later the more of their values moved."""
        mothers = self._filled(_drawn(parents, random), random)
        fathers = _drawn(parents, random)
        shape = mothers.shape
        from_father = (random.random(shape) < 0.5) & (random.random((shape[0], 1)) < _MIXED)
        rows = np.where(from_father & ~np.isnan(fathers), fathers, mothers)
        active = ~np.isnan(self._encoding.activated(rows.copy()))
        more = 1 + np.array([[place / 5] for place in range(shape[0])])
        likely = _MOVED * more / np.maximum(active.sum(axis=1), 1)[:, None]
        return self._encoding.activated(self._moved(rows, random.random(shape) < likely, random))

    def _filled(self, rows: Rows, random: Generator) -> Rows:
        return np.where(np.isnan(rows), self._encoding.filled(random, len(rows)), rows)

    def _moved(self, rows: Rows, where: Flags, random: Generator) -> Rows:
        """Return rows with some values moved a little, categories exchanged by chance."""
        fresh = self._encoding.filled(random, len(rows))
        distances = _DISTANCE * np.exp(_SPREAD * random.standard_normal((len(rows), 1)))
        steps = distances * random.standard_normal(rows.shape)
        for i, column in enumerate(self._encoding.columns):
            if column.categories:
                found = fresh[:, i]
            else:
                step = steps[:, i]
                if column.levels is not None:
                    # At least to the next value.
                    least = 1 / (len(column.levels) - 1)
                    step = np.where(np.abs(step) < 0.6 * least, np.copysign(least, step), step)
                # Beyond an end it turns round, so that the ends are not preferred.
                found = 1 - np.abs(1 - np.abs(rows[:, i] + step))
                found = column.snapped(np.clip(found, 0.0, 1.0))
            rows[:, i] = np.where(where[:, i], found, rows[:, i])
        return rows


def _drawn(parents: Rows, random: Generator) -> Rows:
    places = random.integers(0, len(parents), (_TRIES, _DRAWN)).min(axis=1)
    return np.asarray(parents[places], np.float64)
