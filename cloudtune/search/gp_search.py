"""Maximizes the expected improvement under a Gaussian process of the trials so far.

The first trials are a stratified random sample of the space. After that, a Gaussian process is
fitted to the measurements, and the next trial is the assignment with the largest expected
improvement on the incumbent. Candidates are random assignments and neighbors of the best trials;
the best candidates are refined in smaller and smaller steps. An assignment that was tried is not
repeated while untried ones remain.

Accuracies on a test set have steps, and many assignments share the best one. Where the best
measurements tie, an improvement counts only beyond half a step. The uncertainty follows how well
the process predicts the trials nearby, and a mean that was too optimistic there is raised, so that
the search leaves a plateau.

Running trials count with their predicted mean (kriging believer) and failed trials with the worst
value, so that both keep new trials away. Hyperparameters that were fitted for a trial are stored in
its memory, and the next fit starts from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any

import numpy as np
from numpy.random import Generator
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]
from typing_extensions import override

from cloudtune.results.events import Measured, SearchEvent
from cloudtune.search.axes import Axis
from cloudtune.search.cost_model import CostModel
from cloudtune.search.encoding import Encoding, Flags, Rows
from cloudtune.search.gaussian_process import (
    FloatArray,
    KernelFitter,
    Posterior,
    log_expected_improvement,
)
from cloudtune.search.history import History
from cloudtune.search.outcome_models import OutcomeModels
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.sampling import (
    PriorTrial,
    complete_assignment,
    filter_prior_trials,
    trial_rng,
)
from cloudtune.search.standardization import least_step, standardize
from cloudtune.search.subsample import Subsample
from cloudtune.search.tried_assignments import TriedAssignments
from cloudtune.study.search_space import Space, Value, is_active
from cloudtune.study.study import Study

_INITIAL = 8
"""The number of trials before the process is fitted; they are sampled evenly from the space."""
_MIN_MEASURED = 3
"""How many of them must have been measured, if several trials run at a time."""
_FIRST_FIT_STEPS, _REFIT_STEPS, _RESTART_STEPS = 30, 8, 15
_TRIALS_PER_INTERVAL, _MAX_INTERVAL = 40, 8
"""Hyperparameters are fitted for each trial at first, for every second from 40 trials on, for every
third from 80 on, and so on, up to every eighth."""
_THETA = "shape"
"""The key of the fitted hyperparameters in a trial's memory, which the ledger stores."""
_RANDOM_CANDIDATES = 256
_LEADERS, _NEIGHBORS, _NEIGHBOR_SCALES = 5, 25, (0.2, 0.05)
_REFINEMENTS, _REFINED, _REFINED_NEIGHBORS = 4, 8, 16
_REFINEMENT_SCALE, _REFINEMENT_SHRINKAGE = 0.1, 0.4
_MAX_TRIES = 50
_SHORTER = 3
"""The number of samples among which a search that counts time looks for a shorter one."""
_PART_SIZE = 50
"""The number of the best trials, of the latest and of a sample to which the process is fitted."""
_MAX_FAILURES = 50
"""The number of the latest failed trials to which the process is fitted."""
_NOISE, _LARGE_NOISE = 3e-4, 3e-3
"""The prior medians of the noise variance, where 1 is the variance of the values."""
_IMPROVES = "a Gaussian process expected the largest improvement from it"
_SAMPLED = "it is a sample of the space, as too little was known for a model"
_NONE_LEFT = "it is a random one, as no candidate was left that was not tried"
_KEEPS = (
    "Gaussian processes found it the most likely to keep the constraints, as no trial kept them"
)


class GPSearch(Strategy):
    """Method `gp` of the strategy `bayesian`."""

    def __init__(
        self,
        study: Study,
        axes: Sequence[Axis],
        seed: int,
        prior: Sequence[PriorTrial] = (),
        *,
        explores: bool = True,
        counts_time: bool = False,
    ) -> None:
        """Set what the process sees.

        Args:
            study: The study.
            axes: Its axes.
            seed: The source of all randomness.
            prior: Finished trials of earlier runs.
            explores: Whether the process leaves plateaus and doubts itself: equal values count
                once, an improvement has to exceed half a step, little noise is expected, the
                predictions follow the errors nearby, and each fit also starts from the prior
                median. Not for trials that count as failed, or have estimates, as in hyperband.
            counts_time: Whether the search prefers trials that run for a short time.
        """
        self._axes = axes
        self._explores = explores
        self._seed = seed
        objectives = len(study.objectives)
        self._encoding = Encoding(axes)
        self._categories = [column.categories for column in self._encoding.columns]
        self._fitter = KernelFitter(self._categories, _NOISE if explores else _LARGE_NOISE)
        self._costs = CostModel(self._categories) if counts_time else None
        self._history = History(study)
        self._scores: dict[int, list[float]] = {}
        self._distinct_scores: set[tuple[float, ...]] = set()
        self._running: set[int] = set()
        self._failed: set[int] = set()
        self._margins: dict[int, tuple[float, ...]] = {}
        """By how much each trial breaks the constraints on metrics, if there are any."""
        self._subsample = Subsample(seed, objectives, _PART_SIZE)
        self._space = space = Space.from_study(study)
        self.tried = TriedAssignments(self._encoding, space)
        for i, (assignment, values) in enumerate(filter_prior_trials(space, objectives, prior)):
            self.tried.add(-1 - i, assignment)
            self._add_measured(-1 - i, values, self._history.to_scores(values))

    @override
    def tell(self, event: SearchEvent) -> None:
        trial = self._history.tell(event)
        if trial is None or isinstance(event, Measured):
            return
        self._running.discard(trial.index)
        self._failed.discard(trial.index)
        self.tried.add(trial.index, trial.parameters)
        values = self._history.final_objective(trial)
        if (margins := self._history.margins(trial)) is not None:
            self._margins[trial.index] = margins
        if self._costs and trial.seconds is not None:
            self._costs.add(self.tried.rows[trial.index], trial.seconds)
        if values is not None:
            self._add_measured(trial.index, values, self._history.rank(trial, values))
        elif trial.state in {"running", "pending"}:
            self._running.add(trial.index)
        elif trial.state != "cancelled":
            self._failed.add(trial.index)

    @override
    def ask(self, index: int) -> Suggestion:
        known = self.measured_count + len(self._failed) + len(self._running)
        is_early = self.measured_count < _MIN_MEASURED or known < _INITIAL
        if is_early or self.is_uninformed or not self._encoding.columns:
            return Suggestion(self._sample(index), origin=_SAMPLED)
        with self._threads.limit(limits=1, user_api="blas"):
            return self._suggest(index)

    def _sample(self, index: int) -> dict[str, Value]:
        """Return a random assignment; the shortest of a few as soon as durations count."""
        sample, rng = self.sample_untried(index), trial_rng(self._seed, index)
        if self._costs is None or not self._costs.counts:
            return sample
        others = (complete_assignment(self._axes, self._space, {}, rng) for _ in range(_SHORTER))
        samples = [sample, *(each for each in others if not self.tried.is_repeat(each))]
        with self._threads.limit(limits=1, user_api="blas"):
            seconds = self._costs.predict(np.array([self._encoding.encode(s) for s in samples]))
        return samples[int(np.argmin(seconds))]

    def sample_untried(self, index: int) -> dict[str, Value]:
        """Return a random assignment that was not tried, if a few attempts find one."""
        rng = trial_rng(self._seed, index)
        if index < _INITIAL:
            assignment = self._stratified_sample(index, rng)
            if self._space.allows(assignment) and not self.tried.is_repeat(assignment):
                return assignment
        for _ in range(_MAX_TRIES):
            assignment = complete_assignment(self._axes, self._space, {}, rng)
            if not self.tried.is_repeat(assignment):
                return assignment
        if self.tried.all_rows is not None:
            return self._encoding.decode(rng.choice(self.tried.untried(self.tried.all_rows)))
        return complete_assignment(self._axes, self._space, {}, rng)

    def suggest_row(
        self,
        index: int,
        row: Rows | None,
        memory: Mapping[str, Any],
        *,
        any_keeps: bool,
        improves: str = _IMPROVES,
    ) -> Suggestion:
        """Return the suggestion of a row that a model chose; a random one if it is None.

        Args:
            index: The index of the trial.
            row: The row.
            memory: What the strategy stores with the trial.
            any_keeps: Whether a trial keeps the constraints, so that there is one to improve on.
            improves: The origin of a row that was expected to improve on it.
        """
        if row is None:
            return Suggestion(self.sample_untried(index), memory=memory, origin=_NONE_LEFT)
        origin = improves if any_keeps else _KEEPS
        if any_keeps and self._margins:
            origin += ", weighed with the probability that it keeps the constraints"
        return Suggestion(self._encoding.decode(row), memory=memory, origin=origin)

    def estimate(
        self,
        measured: Sequence[int],  # noqa: ARG002
        values: FloatArray,  # noqa: ARG002
    ) -> tuple[Sequence[int], FloatArray]:
        """Return further trials and estimates of their values, from the measured trials' values."""
        return (), np.empty(0)

    @property
    def is_uninformed(self) -> bool:
        """Whether all measured trials are alike, so that nothing can be learned from them.

        A process would choose trials at the edges of the space, where it is least certain.
        """
        return len(self._distinct_scores) < 2

    @property
    def measured_count(self) -> int:
        """The number of finished trials with a measured objective."""
        return len(self._scores)

    @cached_property
    def _threads(self) -> Any:
        """Limits the threads of matrix products.

        With one thread, sums are the same on every machine. More threads are also a hundred times
        slower where trials keep all processors busy, since the products wait for the last thread.
        """
        return ThreadpoolController()

    def _suggest(self, index: int) -> Suggestion:
        rng = np.random.default_rng([self._seed, index])
        rows, values, step = self._training_data()
        theta, memory = self._hyperparameters(index, rows, values)
        posterior = Posterior(self._categories, theta, rows, values)
        if self._explores:
            posterior.calibrate()
        is_broken = self._broken_flags(len(rows))
        means = posterior.mean_at_rows
        target = float(np.min(means[~is_broken], initial=math.inf)) - step / 2
        leaders = rows[np.lexsort((means, is_broken))[:_LEADERS]]
        if self._running:
            running = np.array([self.tried.rows[i] for i in sorted(self._running)])
            posterior.condition_on_mean(running)
        row = self._maximize(self.acquisition(target, posterior.predict), leaders, rng)
        return self.suggest_row(index, row, memory, any_keeps=math.isfinite(target))

    def acquisition(
        self, target: float, predict: Callable[[Rows], tuple[FloatArray, FloatArray]]
    ) -> Callable[[Rows], FloatArray]:
        """Return the function that the next trial maximizes.

        Args:
            target: What a trial has to improve on; infinite if no trial keeps the constraints.
            predict: Returns the mean and the standard deviation at some rows.
        """
        outcomes, costs = self._outcome_models(), self._costs
        share = costs.share(len(self._history.trials)) if costs and costs.counts else 0.0

        def value(rows: Rows) -> FloatArray:
            value = outcomes.log_probability(rows)
            if math.isfinite(target):
                value = value + log_expected_improvement(target, *predict(rows))
            return value - share * costs.predict(rows) if costs and share else value

        return value

    def _broken_flags(self, count: int) -> Flags:
        """Return which rows of the training data are not of measured trials that keep constraints.

        Without constraints on metrics, none are.
        """
        flags = np.full(count, bool(self._margins))
        for row, index in enumerate(self._subsample.indices()):
            flags[row] = any(margin > 0 for margin in self._margins.get(index, ()))
        return flags

    def _outcome_models(self) -> OutcomeModels:
        """Return the models of the constraints on metrics."""
        running = np.array([self.tried.rows[i] for i in sorted(self._running)])
        models = OutcomeModels(self._fitter, self._categories, running)
        models.fit(self.tried.rows, self._margins)
        return models

    def _training_data(self) -> tuple[Rows, FloatArray, float]:
        """Return rows and standardized values of a subsample of the trials, and the least step."""
        measured = self._subsample.indices()
        scores = np.array([self._scores[i][0] for i in measured])
        values = standardize(scores, counts_ties_once=self._explores)
        failed = self._latest_failed
        worst = np.full(len(failed), np.max(values))
        estimated, estimates = self.estimate(measured, values)
        rows = np.array([self.tried.rows[i] for i in (*measured, *estimated, *failed)])
        step = least_step(values) if self._explores else 0.0
        return rows, np.concatenate([values, estimates, worst]), step

    @property
    def _latest_failed(self) -> list[int]:
        return sorted(self._failed)[-_MAX_FAILURES:]

    def _hyperparameters(
        self, index: int, rows: Rows, values: FloatArray
    ) -> tuple[FloatArray, dict[str, list[float]]]:
        """Return theta for a trial, and the trial's memory if theta was fitted for it."""
        last = self._last_fit(index)
        if last is None:
            start, max_steps = self._fitter.prior_median, self._max_steps(None)
        else:
            last_index, start = last
            max_steps = self._max_steps(index - last_index)
            if not max_steps:
                return start, {}
        restart_steps = _RESTART_STEPS if last and self._explores else 0
        theta = self._fitter.fit(rows, values, start, max_steps, restart_steps)
        return theta, {_THETA: theta.tolist()}

    def _max_steps(self, trials_since_fit: int | None) -> int:
        """Return the steps of optimization of a fit, 0 if it is not due; None is the first fit."""
        if trials_since_fit is None:
            return _FIRST_FIT_STEPS
        known = len(self._scores) + len(self._failed)
        interval = min(1 + known // _TRIALS_PER_INTERVAL, _MAX_INTERVAL)
        return 0 if trials_since_fit < interval else _REFIT_STEPS

    def _last_fit(self, index: int) -> tuple[int, FloatArray] | None:
        """Return the last trial before an index for which theta was fitted, and its theta."""
        for trial in reversed(self._history.trials[:index]):
            theta = trial.memory.get(_THETA)
            if theta and len(theta) == len(self._fitter.prior_median):
                return trial.index, np.array(theta)
        return None

    def _stratified_sample(self, index: int, rng: Random) -> dict[str, Value]:
        """Return one of the initial trials, which cover each range in equal strata."""
        assignment: dict[str, Value] = {}
        for axis in self._axes:
            strata = list(range(_INITIAL))
            Random(f"{self._seed}:{axis.node.key}").shuffle(strata)
            u = (strata[index] + rng.random()) / _INITIAL
            if is_active(axis.node, assignment):
                assignment[axis.node.name] = axis.from_uniform(u)
        return assignment

    def _maximize(
        self, acquisition: Callable[[Rows], FloatArray], leaders: Rows, rng: Generator
    ) -> Rows | None:
        """Return the untried row with the best acquisition value, or None if none was found."""
        if self.tried.all_rows is not None:
            rows = self.tried.untried(self.tried.all_rows)
            row: Rows = rows[np.argmax(acquisition(rows))]
            return row
        neighbors = [
            self._encoding.perturb(rng, np.repeat(leaders, _NEIGHBORS, axis=0), scale)
            for scale in _NEIGHBOR_SCALES
        ]
        samples = self._encoding.sample(rng, _RANDOM_CANDIDATES)
        rows = np.concatenate([samples, *neighbors])
        values = acquisition(rows)
        scale = _REFINEMENT_SCALE
        for _ in range(_REFINEMENTS):
            best = self._best_open(rows, values)
            rows, values = rows[best], values[best]
            around = self._encoding.perturb(rng, np.repeat(rows, _REFINED_NEIGHBORS, axis=0), scale)
            rows = np.concatenate([rows, around])
            values = np.concatenate([values, acquisition(around)])
            scale *= _REFINEMENT_SHRINKAGE
        best = self._best_open(rows, values)
        return rows[best[0]] if best else None

    def _best_open(self, rows: Rows, values: FloatArray) -> list[int]:
        """Return the indices of the best rows that may be tried, the best first.

        Rows are examined from the best on, since to decode one takes long.
        """
        order = np.argsort(-values, kind="stable").tolist()
        return list(islice((i for i in order if self.tried.is_open(rows[i])), _REFINED))

    def _add_measured(self, index: int, values: Sequence[float], ranked: Sequence[float]) -> None:
        scores = self._history.to_scores(values)
        self._scores[index] = scores
        self._distinct_scores.add(tuple(scores))
        self._subsample.add(index, ranked)
