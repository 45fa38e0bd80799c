"""Maximizes the expected improvement of the hypervolume, for several objectives.

Each objective has its own Gaussian process, since an error and a size depend on different
parameters. The front consists of the processes' means at the trials so far, so noise does not make
a lucky trial part of it. Running trials belong to it with their predicted means.

The hypervolume needs a reference point. Every second trial takes it from the front, and fills the
gaps of the front. The others take it from all trials, and extend the front: a front whose trials
are all alike would otherwise never grow.

Values are standardized, half by size and half by rank: a single huge value does not make the others
look alike, and the order alone does not hide where the front is steep. Where measurements repeat,
such as errors on a small test set, an improvement counts only beyond half a step. Otherwise the
search would stay where nothing but a fraction of a step is expected.
"""

from __future__ import annotations

import numpy as np
from typing_extensions import override

from cloudtune.search.encoding import Rows
from cloudtune.search.gaussian_process import FloatArray, Posterior
from cloudtune.search.gp_search import GPSearch
from cloudtune.search.hypervolume import ExpectedImprovement, reference_point
from cloudtune.search.pareto import front_flags
from cloudtune.search.protocol import Suggestion

_THETAS = "shapes"
"""The key of the fitted hyperparameters in a trial's memory, one list per objective."""
_MIN_LEADERS, _MAX_LEADERS = 5, 8
"""How many trials of the front, or near it, candidates are neighbors of."""
_MIN_TIES = 0.1
"""The share of repeated values from which on an objective has steps."""
_MIN_REPEATED = 3
"""How many values must repeat."""
_ROUNDING = 1e-9
"""The difference up to which standardized values are equal."""
_STEP_SHARE = 0.5
"""The share of a step that does not count as an improvement."""

_IMPROVES = "Gaussian processes expected the largest improvement of the Pareto front from it"


class FrontSearch(GPSearch):
    """The Gaussian processes of `bayesian` for several objectives."""

    @override
    def _suggest(self, index: int) -> Suggestion:
        rng = np.random.default_rng([self._seed, index])
        measured = self._subsample.indices()
        scores = np.array([self._scores[i] for i in measured])
        values = np.stack([_standardize(column) for column in scores.T], axis=1)
        steps = np.array([_step(column) for column in values.T])
        failed = self._latest_failed
        rows = np.array([self.tried.rows[i] for i in (*measured, *failed)])
        worst = np.broadcast_to(values.max(axis=0), (len(failed), values.shape[1]))
        values = np.concatenate([values, worst])
        thetas, memory = self._all_hyperparameters(index, rows, values)
        posteriors = [
            Posterior(self._categories, theta, rows, column)
            for theta, column in zip(thetas, values.T, strict=True)
        ]
        means = np.stack([posterior.mean_at_rows for posterior in posteriors], axis=1)
        kept = ~self._broken_flags(len(rows))
        if self._running:
            running = np.array([self.tried.rows[i] for i in sorted(self._running)])
            predicted = [posterior.predict(running)[0] for posterior in posteriors]
            means = np.concatenate([means, np.stack(predicted, axis=1)])
            rows = np.concatenate([rows, running])
            kept = np.concatenate([kept, np.ones(len(running), np.bool_)])
            for posterior in posteriors:
                posterior.condition_on_mean(running)
        counted = kept if kept.any() else ~kept
        on_front = np.zeros(len(means), np.bool_)
        on_front[counted] = front_flags(means[counted])
        front = means[on_front]
        reference = reference_point(means if index % 2 else front, means)
        improvement = ExpectedImprovement(front - _STEP_SHARE * steps, reference, rng)

        outcomes = self._outcome_models()

        def acquisition(rows: Rows) -> FloatArray:
            probability = outcomes.log_probability(rows)
            if not kept.any():
                return probability
            return probability + improvement.log([each.predict(rows) for each in posteriors])

        leaders = np.flatnonzero(on_front)
        if len(leaders) > _MAX_LEADERS:
            leaders = rng.choice(leaders, _MAX_LEADERS, replace=False)
        elif len(leaders) < _MIN_LEADERS:
            nearest = np.argsort(means.sum(axis=1), kind="stable")
            leaders = np.concatenate([leaders, nearest])[:_MIN_LEADERS]
        row = self._maximize(acquisition, rows[leaders], rng)
        return self.suggest_row(index, row, memory, any_keeps=bool(kept.any()), improves=_IMPROVES)

    def _all_hyperparameters(
        self, index: int, rows: Rows, values: FloatArray
    ) -> tuple[list[FloatArray], dict[str, list[list[float]]]]:
        """Return theta of each objective, and the trial's memory if they were fitted for it."""
        starts = [self._fitter.prior_median] * values.shape[1]
        max_steps = self._max_steps(None)
        for trial in reversed(self._history.trials[:index]):
            thetas = trial.memory.get(_THETAS)
            if thetas and [len(theta) for theta in thetas] == [len(start) for start in starts]:
                starts = [np.array(theta) for theta in thetas]
                max_steps = self._max_steps(index - trial.index)
                break
        if not max_steps:
            return starts, {}
        fitted = [
            self._fitter.fit(rows, column, start, max_steps)
            for column, start in zip(values.T, starts, strict=True)
        ]
        return fitted, {_THETAS: [theta.tolist() for theta in fitted]}


def _standardize(values: FloatArray) -> FloatArray:
    """Return the mean of the standardized values and their standardized ranks, standardized."""
    values = values / (float(np.max(np.abs(values))) or 1.0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return np.zeros(len(values))
    ranks = np.asarray(np.cumsum(counts) - counts / 2, np.float64)[inverse]
    mixed = (values - values.mean()) / values.std() + (ranks - ranks.mean()) / ranks.std()
    return np.asarray(mixed / mixed.std(), np.float64)


def _step(values: FloatArray) -> float:
    """Return the smallest difference between values if several of them repeat often, else 0.

    A single value that repeats is often a bound, and says nothing about the others.
    """
    distinct, counts = np.unique(values, return_counts=True)
    is_stepped = len(values) - len(distinct) > _MIN_TIES * len(values)
    gaps = np.diff(distinct)
    gaps = gaps[gaps > _ROUNDING]
    if not is_stepped or np.sum(counts > 1) < _MIN_REPEATED or not len(gaps):
        return 0.0
    return float(gaps.min())
