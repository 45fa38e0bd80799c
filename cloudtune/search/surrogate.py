"""A model of a run's objective: what its trials make one expect of others.

It is the Gaussian process of the strategy `bayesian`, fitted to the trials of any run with one
objective. Its predictions are in the units of the objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cloudtune.results.model import Trial
from cloudtune.search.axes import build_axes
from cloudtune.search.encoding import Encoding, Rows
from cloudtune.search.gaussian_process import KernelFitter, Posterior
from cloudtune.search.gp_search import standardize
from cloudtune.study.search_space import Space, Value, match_value
from cloudtune.study.study import Study

MIN_TRIALS = 8
"""With fewer different trials, nothing is predicted."""
_MAX_TRIALS = 150
_NOISE = 3e-3
_FIT_STEPS, _RESTART_STEPS = 30, 15
_SAMPLES, _LEADERS, _NEIGHBORS, _SCALES = 1_000, 5, 50, (0.2, 0.05)
_Z = 1.96
"""Standard deviations on each side of a 95 % interval."""


@dataclass(frozen=True)
class Prediction:
    """What the model expects of an assignment."""

    parameters: Mapping[str, Value]
    mean: float
    low: float
    """The bounds of the 95 % interval of the value without the noise of a measurement."""
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

    def __init__(self, study: Study, trials: Sequence[tuple[Trial, Rows]], space: Space) -> None:
        self._space = space
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
        theta = fitter.fit(self._rows, values, fitter.prior_median, _FIT_STEPS, _RESTART_STEPS)
        self._posterior = Posterior(categories, theta, self._rows, values)

    def check(self) -> list[Checked]:
        """Return each trial with what the other ones predict for it."""
        means, deviations = self._posterior.leave_one_out()
        return [
            Checked(trial.number, (trial.objective or (0.0,))[0], *self._interval(mean, deviation))
            for trial, mean, deviation in zip(self._trials, means, deviations, strict=True)
        ]

    def predict(self, parameters: Mapping[str, Value]) -> Prediction | None:
        """Return what the model expects of an assignment; None if it is not in the space."""
        row = encode(self._encoding, self._space, parameters)
        if row is None:
            return None
        means, deviations = self._posterior.predict(row[None, :])
        return Prediction(dict(parameters), *self._interval(means[0], deviations[0]))

    def explore(self) -> tuple[Prediction, Prediction] | None:
        """Return the assignment with the best predicted mean, and the one that is least certain.

        Both keep the constraints between parameters; None if none was found that does.
        """
        rng = np.random.default_rng(0)
        rows = [self._encoding.sample(rng, _SAMPLES), self._rows]
        leaders = self._rows[np.argsort(self._posterior.mean_at_rows)[:_LEADERS]]
        for scale in _SCALES:
            repeated = np.repeat(leaders, _NEIGHBORS, axis=0)
            rows.append(self._encoding.perturb(rng, repeated, scale))
        candidates = np.concatenate(rows)
        means, deviations = self._posterior.predict(candidates)
        found: list[Prediction] = []
        for order in (np.argsort(means, kind="stable"), np.argsort(-deviations, kind="stable")):
            for index in order:
                parameters = self._encoding.decode(candidates[index])
                if self._space.allows(parameters):
                    interval = self._interval(float(means[index]), float(deviations[index]))
                    found.append(Prediction(parameters, *interval))
                    break
        return (found[0], found[1]) if len(found) == 2 else None

    def _interval(self, mean: float, deviation: float) -> tuple[float, float, float]:
        """Return a mean and the bounds of its interval, in the units of the objective."""
        bounds = sorted(self._to_units(mean + side * _Z * deviation) for side in (-1, 1))
        return self._to_units(mean), bounds[0], bounds[1]

    def _to_units(self, value: float) -> float:
        """Return the value whose standardized value this is; beyond the best, on a line."""
        known, raw = self._known, self._raw
        if value < known[0]:
            later = np.nonzero(known > known[0])[0]
            slope = (raw[later[0]] - raw[0]) / (known[later[0]] - known[0]) if len(later) else 0.0
            return float(self._sign * (raw[0] + (value - known[0]) * slope))
        return float(self._sign * np.interp(value, known, raw))


def encode(encoding: Encoding, space: Space, parameters: Mapping[str, Value]) -> Rows | None:
    """Return the row of an assignment; None if it is not in the space."""
    assignment: dict[str, Value] = {}
    for node in space.active_nodes(parameters):
        value = (
            match_value(node.parameter, parameters[node.name]) if node.name in parameters else None
        )
        if value is None:
            return None
        assignment[node.name] = value
    return encoding.encode(assignment)


def fit_surrogate(study: Study, trials: Sequence[Trial]) -> Surrogate | None:
    """Return the model of measured trials; None with several objectives or too little to learn.

    Of many trials, the best and the latest count.
    """
    if len(study.objectives) != 1 or not study.parameters:
        return None
    space = Space.from_study(study)
    encoding = Encoding(build_axes(space))
    known: list[tuple[Trial, Rows]] = []
    for trial in trials:
        is_measured = trial.state in {"completed", "stopped_early"} and trial.objective is not None
        if is_measured and all(map(math.isfinite, trial.objective or ())):
            row = encode(encoding, space, trial.parameters)
            if row is not None and len(row):
                known.append((trial, row))
    distinct = {row.tobytes() for _, row in known}
    values = {trial.objective for trial, _ in known}
    if len(distinct) < MIN_TRIALS or len(values) < 2:
        return None
    if len(known) > _MAX_TRIALS:
        sign = -1 if study.objectives[0].goal == "maximize" else 1
        half = _MAX_TRIALS // 2
        latest = known[-half:]
        ranked = sorted(known[:-half], key=lambda each: sign * (each[0].objective or (0.0,))[0])
        known = [*ranked[: _MAX_TRIALS - half], *latest]
    return Surrogate(study, known, space)
