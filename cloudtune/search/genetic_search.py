"""Strategy `genetic`: each trial is a child of two of the best trials so far.

The algorithm is steady-state, without generations: a trial that ends joins the parents if it is
better than one of them, independent of the order in which trials end. A child takes each parameter
from one of its parents, and about one parameter is mutated. An assignment that was tried or is
running is not repeated while untried ones remain. The first trials are a Latin hypercube, which
covers the range of each parameter evenly. A hundred trials therefore achieve far more than with
generations of twenty or fifty, of which they would be only a few.

With several objectives the parents are the first Pareto fronts of all trials. The methods differ
in which trials of the last front become parents: `nsga2` (the default) prefers large crowding
distances, `nsga3` those nearest to evenly spread reference directions, for four and more
objectives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from typing_extensions import override

from cloudtune.results.events import Measured, SearchEvent
from cloudtune.search.axes import Axis
from cloudtune.search.encoding import Encoding, Flags, Rows
from cloudtune.search.history import History
from cloudtune.search.pareto import ParetoFronts
from cloudtune.search.protocol import RANDOM, Strategy, Suggestion
from cloudtune.search.sampling import (
    PriorTrial,
    SearchInputs,
    complete_assignment,
    filter_prior_trials,
    trial_rng,
    trial_seed,
)
from cloudtune.search.tried_assignments import TriedAssignments
from cloudtune.study.search_space import Space
from cloudtune.study.study import Study

_INITIAL = 10
"""The size of the Latin hypercube; initial trials and those of earlier runs take its place."""
_PARENTS, _PARENTS_MULTI_OBJECTIVE = 8, 20
_TOURNAMENT_SIZE = 3
_CROSSOVER_RATE = 0.9
"""The share of children with two parents."""
_MUTATIONS = 1.3
"""The mean number of mutated parameters in the first candidate."""
_MUTATION_SCALE, _MUTATION_SPREAD = 0.15, 0.5
"""The typical mutation as a fraction of the range, and the spread of its logarithm."""
_CANDIDATES = 60
"""The number of children, and of random assignments; the first untried one is suggested."""
_EVEN = "it is one of the first trials, which cover the space evenly"
_CHILD = "it is a child of the best trials so far"


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study."""
    initial = inputs.initial
    return GeneticSearch(inputs.study, initial.axes, initial.seed, inputs.method, inputs.prior)


class GeneticSearch(Strategy):
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
        objectives = len(study.objectives)
        parents = _PARENTS if objectives == 1 else _PARENTS_MULTI_OBJECTIVE
        self._fronts = ParetoFronts(parents, objectives, by_niche=method == "nsga3")
        self._history = History(study)
        self._axes = axes
        self._space = space = Space.from_study(study)
        self._tried = TriedAssignments(self._encoding, space)
        matches = filter_prior_trials(space, objectives, prior)
        for i, (assignment, values) in enumerate(matches):
            self._tried.add(-1 - i, assignment)
            self._fronts.add(-1 - i, self._history.to_scores(values))
        self._initial = max(0, _INITIAL - len(matches))

    @override
    def tell(self, event: SearchEvent) -> None:
        trial = self._history.tell(event)
        if trial is None or isinstance(event, Measured):
            return
        self._tried.add(trial.index, trial.parameters)
        values = self._history.final_objective(trial)
        if values is not None:
            self._fronts.add(trial.index, self._history.rank(trial, values))

    @override
    def ask(self, index: int) -> Suggestion:
        rng = np.random.default_rng(trial_seed(self._seed, index))
        parents = np.array([self._tried.rows[best] for best in self._fronts.best()])
        rows = self._encoding.sample(rng, _CANDIDATES)
        first, origin = rows[:0], RANDOM
        if index < self._initial:
            first, origin = self._latin_hypercube_row(index), _EVEN
        elif len(parents) >= 2:
            first, origin = self._children(parents, rng), _CHILD
        rows = np.concatenate([first, rows])
        untried = self._tried.untried(rows)
        if not len(untried) and self._tried.all_rows is not None:
            untried = rng.permutation(self._tried.untried(self._tried.all_rows))
        if not len(untried) and self._space.constraints:
            assignment = complete_assignment(
                self._axes, self._space, {}, trial_rng(self._seed, index)
            )
            return Suggestion(assignment, origin=RANDOM)
        row = untried[0] if len(untried) else rows[0]
        is_random = not np.any(np.all((first == row) | (np.isnan(first) & np.isnan(row)), axis=1))
        return Suggestion(self._encoding.decode(row), origin=RANDOM if is_random else origin)

    def _latin_hypercube_row(self, index: int) -> Rows:
        rng = np.random.default_rng(trial_seed(self._seed, -1))
        width = len(self._encoding.columns)
        strata = np.tile(np.arange(_INITIAL), (width, 1))
        u = (rng.permuted(strata, axis=1).T + rng.random((_INITIAL, width))) / _INITIAL
        rows = self._encoding.mask_inactive(self._encoding.from_uniform(u))
        return rows[index : index + 1]

    def _children(self, parents: Rows, rng: Generator) -> Rows:
        """Return children of the parents; later rows have more mutations."""
        mothers = _select(parents, rng)
        mothers = np.where(
            np.isnan(mothers), self._encoding.sample_unmasked(rng, _CANDIDATES), mothers
        )
        fathers = _select(parents, rng)
        shape = mothers.shape
        from_father = (rng.random(shape) < 0.5) & (rng.random((shape[0], 1)) < _CROSSOVER_RATE)
        rows = np.where(from_father & ~np.isnan(fathers), fathers, mothers)
        active = ~np.isnan(self._encoding.mask_inactive(rows.copy()))
        growth = 1 + np.array([[i / 5] for i in range(shape[0])])
        rate = _MUTATIONS * growth / np.maximum(active.sum(axis=1), 1)[:, None]
        return self._encoding.mask_inactive(self._mutate(rows, rng.random(shape) < rate, rng))

    def _mutate(self, rows: Rows, flags: Flags, rng: Generator) -> Rows:
        """Move flagged numbers and resample flagged categories, in place, and return the rows."""
        resampled = self._encoding.sample_unmasked(rng, len(rows))
        scales = _MUTATION_SCALE * np.exp(_MUTATION_SPREAD * rng.standard_normal((len(rows), 1)))
        steps = scales * rng.standard_normal(rows.shape)
        for i, column in enumerate(self._encoding.columns):
            if column.categories:
                numbers = resampled[:, i]
            else:
                moved = rows[:, i] + column.snap_step(steps[:, i])
                # Reflect at the bounds, so that they are not preferred.
                reflected = 1 - np.abs(1 - np.abs(moved))
                numbers = column.snap(np.clip(reflected, 0.0, 1.0))
            rows[:, i] = np.where(flags[:, i], numbers, rows[:, i])
        return rows


def _select(parents: Rows, rng: Generator) -> Rows:
    """Return parents by tournament selection; the parents are sorted, best first."""
    ranks = rng.integers(0, len(parents), (_CANDIDATES, _TOURNAMENT_SIZE)).min(axis=1)
    return np.asarray(parents[ranks], np.float64)
