"""A model of a run's objective: what its trials make one expect of others.

It is the Gaussian process of the strategy `bayesian`, fitted to the trials of any run with one
objective. Its predictions are in the units of the objective.

Its intervals are wider than those of the process, because the process is fitted to few values: by
the leave-one-out errors (Rasmussen and Williams, *Gaussian Processes for Machine Learning*, section
5.4.2), and for the assignment that is predicted best also by how much the leave-one-out predictions
that looked best promised too much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from cloudtune.results.events import MEASURED_STATES
from cloudtune.results.model import Trial
from cloudtune.results.objective import constrained_metrics
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Encoding, Flags, Rows
from cloudtune.search.gaussian_process import FloatArray, KernelFitter, Posterior
from cloudtune.search.outcome_models import OutcomeModels
from cloudtune.search.standardization import standardize
from cloudtune.study.constraints import outcome_constraints, outcome_margins
from cloudtune.study.search_space import Space, Value, match_value
from cloudtune.study.study import Study

MIN_TRIALS = 8
"""With fewer different trials, nothing is predicted."""
_MAX_TRIALS = 300
_NOISE = 0.1
"""The prior median of the noise variance, larger than that of a search, which must not stall."""
_LASTING = 0.2
"""The share of the noise variance that the choice of a trial takes for a property of its setting: a
smooth function does not know all of it."""
_MIN_CORRELATION, _CHANCE = 0.3, 2.33
"""The least correlation of a model that knows enough, and the standard deviations by which it must
exceed 0. Of 300 searches of nothing but noise, 6 % reached that with 12 to 24 trials, and 3 % with
40: more than one in 100, since a model of noise agrees with it by more than a random order does."""
_FITTED = 4
"""The degrees of freedom that the choice of the hyperparameters costs, roughly."""
_TOP_SHARE, _MIN_TOP = 5, 3
"""The optimism is that of the best fifth of the leave-one-out predictions."""
_FIT_STEPS, _RESTART_STEPS = 30, 15
_KEEPS = 0.95
"""The least probability that an assignment that was not tried keeps the constraints on metrics."""
_MAX_FAILURE = 0.25
"""The largest probability that an assignment that was not tried fails."""
_SAMPLES, _LEADERS, _NEIGHBORS, _SCALES = 1_000, 5, 50, (0.2, 0.05)
_DIGITS = 4
"""The digits of predicted assignments."""
_Z = 1.96
"""Standard deviations on each side of a 95 % interval."""


@dataclass(frozen=True)
class Prediction:
    """What the model expects of an assignment."""

    parameters: Mapping[str, Value]
    mean: float
    low: float
    """The bounds of the 95 % interval: of a measurement if it is of a trial, else of the mean of
    many measurements."""
    high: float


@dataclass(frozen=True)
class Checked:
    """A measured value, and what the model of all other trials predicts for it."""

    number: int
    measured: float
    predicted: float
    low: float
    """The bounds of the 95 % interval of a measurement."""
    high: float

    @property
    def is_surprise(self) -> bool:
        """Whether the value is outside the interval."""
        return not self.low <= self.measured <= self.high


class Surrogate:
    """The model of the trials of one job. The same trials give the same model."""

    def __init__(
        self,
        study: Study,
        trials: Sequence[tuple[Trial, Rows]],
        space: Space,
        outcomes: OutcomeModels,
        failed: Rows,
    ) -> None:
        self._space = space
        self._outcomes = outcomes
        self._encoding = encoding = Encoding(build_axes(space))
        self._sign = -1.0 if study.objectives[0].goal == "maximize" else 1.0
        self._trials = [trial for trial, _ in trials]
        self._rows = np.array([row for _, row in trials])
        raw = np.array([self._sign * (trial.objective or (0.0,))[0] for trial in self._trials])
        values = standardize(raw, counts_ties_once=True)
        order = np.argsort(values)
        self._known, self._raw = values[order], raw[order]
        categories = [column.categories for column in encoding.columns]
        fitter = KernelFitter(categories, _NOISE)
        self._failures = _failure_model(fitter, categories, self._rows, failed)
        self._excluded = {row.tobytes() for row in failed} - {row.tobytes() for row in self._rows}
        """The rows that only failed, or once broke a constraint on metrics."""
        self._excluded |= {row.tobytes() for trial, row in trials if trial.broken}
        theta = fitter.fit(self._rows, values, fitter.prior_median, _FIT_STEPS, _RESTART_STEPS)
        self._posterior = Posterior(categories, theta, self._rows, values)
        self._noise = math.exp(theta[-1])
        self._left_out, deviations = self._posterior.leave_one_out()
        errors = values - self._left_out
        count = len(values)
        ratio = max(1.0, float(np.mean((errors / deviations) ** 2)))
        self._left_out_deviations = math.sqrt(ratio) * deviations
        degrees = count - _FITTED
        student = 1 + (_Z**2 + 1) / (4 * degrees)
        self._inflation = student * math.sqrt(ratio * count / degrees)
        top = np.argsort(self._left_out, kind="stable")[: max(_MIN_TOP, count // _TOP_SHARE)]
        self._optimism = max(0.0, float(np.mean(errors[top])))
        self._luck = math.sqrt(float(np.mean(errors**2)) / len(top))
        self.rank_correlation = _rank_correlation(values, self._left_out)
        """Spearman's, of measured and leave-one-out values."""
        least = max(_MIN_CORRELATION, _CHANCE / math.sqrt(count - 1))
        self.is_reliable = self.rank_correlation >= least
        """Whether it knows enough to say which assignment is best."""

    def check(self) -> list[Checked]:
        """Return each trial with what the other ones predict for it."""
        predicted = zip(self._trials, self._left_out, self._left_out_deviations, strict=True)
        return [
            Checked(trial.number, (trial.objective or (0.0,))[0], *self._interval(mean, deviation))
            for trial, mean, deviation in predicted
        ]

    def predict(self, parameters: Mapping[str, Value]) -> Prediction | None:
        """Return what a trial of an assignment may measure; None if it is not in the space."""
        row = _encode(self._encoding, self._space, parameters)
        if row is None:
            return None
        means, deviations = self._posterior.predict(row[None, :])
        deviation = self._inflation * math.hypot(deviations[0], math.sqrt(self._noise))
        return Prediction(dict(parameters), *self._interval(float(means[0]), deviation))

    def explore(self) -> tuple[Prediction | None, Prediction | None]:
        """Return the assignment with the best predicted mean, and the one that is least certain.

        Both keep the constraints between parameters. Of those on metrics, an assignment that was
        tried always kept all, and others probably do. What only failed, or probably fails, is left
        out. None if none was found, and no best one if the model knows too little. The mean of the
        best one is corrected for having been chosen as the best of many.
        """
        rng = np.random.default_rng(0)
        rows = [self._rows, self._encoding.sample(rng, _SAMPLES)]
        broken = np.array([bool(trial.broken) for trial in self._trials])
        leaders = self._rows[np.lexsort((self._posterior.mean_at_rows, broken))[:_LEADERS]]
        for scale in _SCALES:
            repeated = np.repeat(leaders, _NEIGHBORS, axis=0)
            rows.append(self._encoding.perturb(rng, repeated, scale))
        candidates = np.concatenate(rows)
        means, deviations = self._posterior.predict(candidates)
        deviations *= self._inflation
        keeps = self._outcomes.log_probability(candidates) >= math.log(_KEEPS)
        if self._failures:
            keeps &= self._failures.predict(candidates)[0] <= _MAX_FAILURE
        keeps[: len(broken)] = ~broken
        best = self._first(np.argsort(means, kind="stable"), candidates, keeps)
        vaguest = self._first(np.argsort(-deviations, kind="stable"), candidates, keeps)
        predicted_best = least_certain = None
        if best and self.is_reliable:
            index, parameters = best
            mean = float(means[index]) + self._optimism
            # Where many trials are near, less of the correction is needed, so it widens both sides.
            deviation = math.hypot(deviations[index], self._inflation * self._luck, self._optimism)
            predicted_best = Prediction(parameters, *self._interval(mean, deviation))
        if vaguest:
            index, parameters = vaguest
            interval = self._interval(float(means[index]), float(deviations[index]))
            least_certain = Prediction(parameters, *interval)
        return predicted_best, least_certain

    def choose(self, number: int) -> tuple[Trial, float] | None:
        """Return the trial with the best posterior mean of those that keep the constraints.

        It comes with the probability that its setting is better than that of the trial with this
        number. None if it has that setting, or if the model does not know that trial.
        """
        rows = [row for row, trial in enumerate(self._trials) if trial.number == number]
        if not rows:
            return None
        means, deviations = self._posterior.differences(rows[0], _LASTING)
        means[[bool(trial.broken) for trial in self._trials]] = math.inf
        index = int(np.argmin(means))
        if self._rows[index].tobytes() == self._rows[rows[0]].tobytes():
            return None
        z = float(means[index]) / max(float(deviations[index]), 1e-9)
        return self._trials[index], NormalDist().cdf(-z)

    def _first(
        self, order: NDArray[np.int64], candidates: Rows, keeps: Flags
    ) -> tuple[int, dict[str, Value]] | None:
        """Return the first candidate that may be recommended, with floats shortened."""
        for index in map(int, order[keeps[order]]):
            tried = index < len(self._trials)
            known = _match(self._space, self._trials[index].parameters) if tried else None
            parameters = known or self._encoding.decode(candidates[index])
            if not self._space.allows(parameters):
                continue
            found = parameters if tried else self._shortened(parameters)
            if self._encoding.encode(found).tobytes() not in self._excluded:
                return index, found
        return None

    def _shortened(self, parameters: dict[str, Value]) -> dict[str, Value]:
        """Return an assignment with floats of few digits where these are in the space."""
        for name, value in parameters.items():
            if isinstance(value, float):
                other = {**parameters, name: float(f"{value:.{_DIGITS}g}")}
                is_inside = _encode(self._encoding, self._space, other) is not None
                if is_inside and self._space.allows(other):
                    parameters = other
        return parameters

    def _interval(self, mean: float, deviation: float) -> tuple[float, float, float]:
        """Return a mean and the bounds of its interval, in the units of the objective."""
        bounds = sorted(self._to_units(mean + side * _Z * deviation) for side in (-1, 1))
        return self._to_units(mean), bounds[0], bounds[1]

    def _to_units(self, value: float) -> float:
        """Return the value whose standardized value this is; beyond the known ones, on a line."""
        known, raw = self._known, self._raw
        if value < known[0]:
            later = np.nonzero(known > known[0])[0]
            slope = (raw[later[0]] - raw[0]) / (known[later[0]] - known[0]) if len(later) else 0.0
            return float(self._sign * (raw[0] + (value - known[0]) * slope))
        if value > known[-1]:
            middle = float(known[0] + known[-1]) / 2
            height = float(raw[-1]) - float(np.interp(middle, known, raw))
            slope = height / float(known[-1] - middle)
            return float(self._sign * (raw[-1] + (value - known[-1]) * slope))
        return float(self._sign * np.interp(value, known, raw))


def _rank_correlation(left: FloatArray, right: FloatArray) -> float:
    """Return Spearman's correlation; 0 if one side has only one value."""
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return 0.0
    matrix: Any = np.corrcoef(np.stack([_ranks(left), _ranks(right)]))
    return float(matrix[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    """Return the mean rank of each value."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[inverse], np.float64)


def _match(space: Space, parameters: Mapping[str, Value]) -> dict[str, Value] | None:
    """Return the active parameters of an assignment; None if it is not in the space."""
    assignment: dict[str, Value] = {}
    for node in space.active_nodes(parameters):
        value = (
            match_value(node.parameter, parameters[node.name]) if node.name in parameters else None
        )
        if value is None:
            return None
        assignment[node.name] = value
    return assignment


def _encode(encoding: Encoding, space: Space, parameters: Mapping[str, Value]) -> Rows | None:
    """Return the row of an assignment; None if it is not in the space."""
    assignment = _match(space, parameters)
    return None if assignment is None else encoding.encode(assignment)


def fit_surrogate(
    study: Study, trials: Sequence[Trial], failed: Sequence[Trial] = ()
) -> Surrogate | None:
    """Return the model of measured trials; None with several objectives or too little to learn.

    It recommends nothing that fails, as far as the failed trials tell.

    Of many trials, an even sample counts: a choice by value would take lucky measurements for true.
    """
    if len(study.objectives) != 1 or not study.parameters:
        return None
    space = Space.from_study(study)
    encoding = Encoding(build_axes(space))
    known: list[tuple[Trial, Rows]] = []
    for trial in trials:
        is_measured = trial.state in MEASURED_STATES and trial.objective is not None
        if is_measured and all(map(math.isfinite, trial.objective or ())):
            row = _encode(encoding, space, trial.parameters)
            if row is not None and len(row):
                known.append((trial, row))
    distinct = {row.tobytes() for _, row in known}
    values = {trial.objective for trial, _ in known}
    if len(distinct) < MIN_TRIALS or len(values) < 2:
        return None
    count = min(len(known), _MAX_TRIALS)
    sample = [known[(index + 1) * len(known) // count - 1] for index in range(count)]
    rows = [_encode(encoding, space, trial.parameters) for trial in failed]
    with threadpool_limits(1, user_api="blas"):  # more are ten times slower on a busy machine
        return Surrogate(
            study,
            sample,
            space,
            _outcome_models(study, known, encoding),
            np.array([row for row in rows if row is not None]),
        )


def _failure_model(
    fitter: KernelFitter, categories: Sequence[int], measured: Rows, failed: Rows
) -> Posterior | None:
    """Return the model of the probability that a trial fails; None if none failed."""
    if not len(failed):
        return None
    rows = np.concatenate([measured, failed[-_MAX_TRIALS:]])
    values = np.array([0.0] * len(measured) + [1.0] * (len(rows) - len(measured)))
    deviation = float(values.std())
    theta = fitter.fit(rows, values / deviation, fitter.prior_median, _FIT_STEPS)
    return Posterior(categories, theta, rows, values)


def _outcome_models(
    study: Study, trials: Sequence[tuple[Trial, Rows]], encoding: Encoding
) -> OutcomeModels:
    """Return the models of the constraints on metrics."""
    categories = [column.categories for column in encoding.columns]
    models = OutcomeModels(KernelFitter(categories, _NOISE), categories, np.empty((0, 0)))
    if constraints := outcome_constraints(study):
        rows = {trial.number: row for trial, row in trials}
        margins = {
            trial.number: outcome_margins(
                constraints,
                trial.parameters,
                constrained_metrics(study, trial.metrics, trial.objective or ()),
            )
            for trial, _ in trials
        }
        models.fit(rows, margins)
    return models
