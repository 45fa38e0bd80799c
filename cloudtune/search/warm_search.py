"""A Gaussian process of the search and one of each earlier run choose the trials together.

Each earlier run has a process over its own standardized values, so that its level and scale do not
matter. The next trial maximizes the expected improvement under a weighted mean of all processes. A
process has the share of the weight in which it orders the search's own trials best, where the own
process predicts each trial from the others. So what the own trials contradict loses its weight.
Feurer and others, *Practical transfer learning for Bayesian optimization*, 2018,
<https://arxiv.org/abs/1802.02219>.

The earlier runs may be wrong from the start. While there are few own trials, the share of those
that are samples of the space is the weight of the own process. As soon as there are six own trials
and one for each parameter, the own process chooses alone: from then on, earlier runs hardly help
where they are right, and cost where they are wrong (`benchmarks.transfer`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from typing_extensions import override

from cloudtune.search.axes import Axis
from cloudtune.search.encoding import Flags, Rows
from cloudtune.search.gaussian_process import FloatArray, Posterior
from cloudtune.search.gp_search import GPSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import PriorTrial, filter_prior_trials
from cloudtune.search.standardization import standardize
from cloudtune.search.subsample import Subsample
from cloudtune.study.study import Study

_FIT_STEPS, _RESTART_STEPS = 30, 15
_PART_SIZE = 50
"""The number of the best trials of an earlier run, of its latest and of a sample that count."""
_MAX_SAMPLES = 8
_UNKNOWN_WEIGHT = 0.5
"""The weight of the own process for the share of samples, before any trials were compared."""
_MIN_COMPARED = 3
"""The number of own trials from which on they are compared with the earlier runs."""
_ENOUGH = 6
"""The number of own trials from which on earlier runs do not count, if there are fewer columns."""
_DRAWS = 64
"""How often the order of the own trials is drawn from each process."""
_DROPPED = 0.95
"""A run is dropped if its median number of wrong pairs exceeds this quantile of the own process."""
_LEADERS = 5
_SAMPLE = "sample"
"""The key of the number of a sample of the space in the memory of its trial."""
_IMPROVES = "Gaussian processes of this and of earlier runs expected the largest improvement"
_IN_CASE = "it is a sample of the space, in case the earlier runs mislead"


@dataclass(frozen=True)
class _EarlierRun:
    """The trials of an earlier run that count, and theta of its process."""

    rows: Rows
    values: FloatArray
    theta: FloatArray

    def posterior(
        self, categories: Sequence[int], rows: Rows | None = None, values: FloatArray | None = None
    ) -> Posterior:
        """Return its process, also of further rows and their values at its level."""
        if rows is None or values is None:
            return Posterior(categories, self.theta, self.rows, self.values)
        rows, values = np.concatenate([self.rows, rows]), np.concatenate([self.values, values])
        return Posterior(categories, self.theta, rows, values)


class WarmSearch(GPSearch):
    """Method `gp` of the strategy `bayesian` with one objective and trials of earlier runs."""

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        prior: Sequence[PriorTrial],
        *,
        counts_time: bool = False,
    ) -> None:
        super().__init__(study, axes, seed, counts_time=counts_time)
        self._prior: dict[str, dict[int, float]] = {}
        """The scores of each earlier run, by the index of the trial."""
        by_source: dict[str, list[PriorTrial]] = {}
        for trial in prior:
            by_source.setdefault(trial.source, []).append(trial)
        for source, trials in by_source.items():
            for assignment, values in filter_prior_trials(self._space, 1, trials):
                index = -1 - sum(map(len, self._prior.values()))
                self.tried.add(index, assignment)
                (score,) = self._history.to_scores(values)
                self._prior.setdefault(source, {})[index] = score

    @override
    def ask(self, index: int) -> Suggestion:
        if not self._encoding.columns or not self._earlier_runs:
            return super().ask(index)
        with self._threads.limit(limits=1, user_api="blas"):
            return self._suggest(index)

    @override
    def _suggest(self, index: int) -> Suggestion:
        count = 0 if self.is_uninformed else self.measured_count
        if not self._earlier_runs or count >= max(_ENOUGH, len(self._encoding.columns)):
            return super()._suggest(index)
        rng = np.random.default_rng([self._seed, index])
        is_learning = count >= _MIN_COMPARED
        model, memory = self._learned(index) if is_learning else self._unlearned()
        own_weight = model.weights[-1] if is_learning else _UNKNOWN_WEIGHT
        samples = sum(_SAMPLE in trial.memory for trial in self._history.trials)
        if samples < min(_MAX_SAMPLES, own_weight * index):
            sample = self.sample_untried(samples)
            return Suggestion(sample, memory={**memory, _SAMPLE: samples}, origin=_IN_CASE)
        unseen = [] if is_learning else [*self._subsample.indices(), *self._latest_failed]
        if known := [*unseen, *sorted(self._running)]:
            model.condition_on_mean(self._rows(known))
        row = self._maximize(self.acquisition(model.target, model.predict), model.leaders, rng)
        any_keeps = math.isfinite(model.target)
        return self.suggest_row(index, row, memory, any_keeps=any_keeps, improves=_IMPROVES)

    def _learned(self, index: int) -> tuple[_Model, dict[str, list[float]]]:
        """Return the model with the own process, and the trial's memory if theta was fitted."""
        rows, values, step = self._training_data()
        theta, memory = self._hyperparameters(index, rows, values)
        own = Posterior(self._categories, theta, rows, values)
        count = len(values) - len(self._latest_failed)
        rng = np.random.default_rng([self._seed, index, 1])
        alone = [run.posterior(self._categories) for run in self._earlier_runs]
        weights = _ranking_weights(alone, own, rows[:count], values[:count], rng)
        joined = [
            run.posterior(self._categories, rows, _at_level(values, count, each.predict(rows)[0]))
            for run, each in zip(self._earlier_runs, alone, strict=True)
        ]
        for each in (*joined, own):
            each.calibrate()
        return _Model([*joined, own], weights, rows, self._broken_flags(len(rows)), step), memory

    def _unlearned(self) -> tuple[_Model, dict[str, list[float]]]:
        """Return the model of the earlier runs alone, all with the same weight."""
        runs, own = self._earlier_runs, self._subsample.indices()
        kept = [i for i in own if max(self._margins.get(i, (0,))) <= 0]
        rows = self._rows(kept) if kept else np.concatenate([run.rows for run in runs])
        posteriors = [run.posterior(self._categories) for run in runs]
        weights, is_broken = np.full(len(runs), 1 / len(runs)), np.zeros(len(rows), np.bool_)
        return _Model(posteriors, weights, rows, is_broken), {}

    def _rows(self, indices: Sequence[int]) -> Rows:
        return np.array([self.tried.rows[index] for index in indices])

    @cached_property
    def _earlier_runs(self) -> list[_EarlierRun]:
        """The earlier runs whose values differ."""
        found: list[_EarlierRun] = []
        for scores in self._prior.values():
            subsample = Subsample(self._seed, 1, _PART_SIZE)
            for index, score in scores.items():
                subsample.add(index, [score])
            chosen = subsample.indices()
            values = standardize(np.array([scores[i] for i in chosen]), counts_ties_once=True)
            if len(set(scores.values())) > 1:
                rows, fitter = self._rows(chosen), self._fitter
                theta = fitter.fit(rows, values, fitter.prior_median, _FIT_STEPS, _RESTART_STEPS)
                found.append(_EarlierRun(rows, values, theta))
        return found


class _Model:
    """The weighted mean of several processes, and what it says of the trials to improve on."""

    def __init__(
        self,
        posteriors: Sequence[Posterior],
        weights: FloatArray,
        rows: Rows,
        is_broken: Flags,
        step: float = 0.0,
    ) -> None:
        self.weights = weights
        self._parts = [
            (weight, each)
            for weight, each in zip(weights.tolist(), posteriors, strict=True)
            if weight > 0
        ]
        means = self.predict(rows)[0]
        self.target = float(np.min(means[~is_broken], initial=math.inf)) - step / 2
        """What a trial has to improve on; infinite if no trial keeps the constraints."""
        self.leaders = rows[np.lexsort((means, is_broken))[:_LEADERS]]

    def condition_on_mean(self, rows: Rows) -> None:
        """Add trials to each process without their values. At most one call works."""
        for _, posterior in self._parts:
            posterior.condition_on_mean(rows)

    def predict(self, rows: Rows) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the standard deviation at some rows."""
        mean, variance = np.zeros(len(rows)), np.zeros(len(rows))
        for weight, posterior in self._parts:
            part, deviation = posterior.predict(rows)
            mean += weight * part
            variance += weight * deviation**2
        return mean, np.sqrt(variance)


def _at_level(values: FloatArray, count: int, predicted: FloatArray) -> FloatArray:
    """Return own values with the mean and the deviation that an earlier run predicts for them.

    Args:
        values: The own values.
        count: How many of the first ones were measured; the others are of failed trials.
        predicted: What the earlier run predicts in their place.
    """
    own, earlier = values[:count], predicted[:count]
    scale = float(earlier.std() / own.std())
    return np.asarray(earlier.mean() + scale * (values - own.mean()), np.float64)


def _ranking_weights(
    earlier: Sequence[Posterior], own: Posterior, rows: Rows, values: FloatArray, rng: Generator
) -> FloatArray:
    """Return the weight of each earlier run and, last, of the own process; their sum is 1.

    Args:
        earlier: The processes of the earlier runs.
        own: The own process, whose first rows are those of the measured trials.
        rows: The rows of the measured trials.
        values: Their standardized values.
        rng: The source of the draws.
    """
    is_below = values[:, None] < values

    def wrong_pairs(
        mean: FloatArray, deviation: FloatArray, known: FloatArray | None
    ) -> FloatArray:
        drawn = mean + deviation * rng.standard_normal((_DRAWS, len(values)))
        left = drawn if known is None else np.broadcast_to(known, drawn.shape)
        is_wrong = is_below != (left[:, :, None] < drawn[:, None, :])
        return np.asarray(is_wrong.sum(axis=(1, 2)), np.float64)

    mean, deviation = own.leave_one_out()
    own_wrong = wrong_pairs(mean[: len(values)], deviation[: len(values)], values)
    limit = np.quantile(own_wrong, _DROPPED)
    wrong = [wrong_pairs(*each.predict(rows), None) for each in earlier]
    kept = [each if np.median(each) <= limit else np.full(_DRAWS, math.inf) for each in wrong]
    table = np.array([*kept, own_wrong])
    is_best = table == table.min(axis=0)
    return np.asarray((is_best / is_best.sum(axis=0)).mean(axis=1), np.float64)
