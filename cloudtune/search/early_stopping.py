"""Early stopping: rules that stop a trial that performs poorly, computed from the events.

- `median` (also `auto`): Vizier's rule (Golovin and others, KDD 2017, section 3.2.2,
  <https://research.google/pubs/pub46180/>). A trial stops if its best objective so far is strictly
  worse than the median of the running averages of the other trials' objectives up to this step. At
  least ``min_trials`` others (default 5, as in Optuna) must have reached the step.
- `bandit`: Azure's policy with a slack factor
  (<https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters>). A trial stops
  if its objective is worse than the best objective b of another trial up to this step by more than
  the factor ``slack`` (default 0.1). For ``maximize`` the limit is ``b / (1 + slack)``, or
  ``b * (1 + slack)`` if b is negative; with ``slack_amount`` it is ``b - slack_amount``. At least
  ``min_trials`` others (default 1) must have reached the step.
- `halving`: successive halving (Li and others, 2020, <https://arxiv.org/abs/1810.05934>). Rungs are
  at the steps ``min_step`` (default 1) times 1, eta, eta² …. A trial stops at a rung unless it is
  among the best 1/eta of the trials that have reached it. Trials that reach a rung before the
  ``min_trials``-th (default eta, which is 3 by default) continue.

Median and bandit evaluate every ``interval``-th step from ``min_step`` on. Without ``min_step``
they skip a trial's first measurement, which is the last one of scripts that report once. With
``select: best`` a trial's objective is its best value so far, with ``last`` its latest. An
objective that is not finite is the worst possible. Failed and cancelled trials do not count as
other trials; stopped ones count up to their last step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.study.schema import EarlyStopping
from cloudtune.study.study import Study

_ETA = 3
_RUNGS = 40
_TOLERANCE = 1e-9
_MAX_CACHED_STEPS = 500
"""The number of steps for which sorted scores are kept; the scores of others are recomputed."""


@dataclass
class _Curve:
    """The objective of one trial by step; lower is better."""

    steps: list[int] = field(default_factory=list[int])
    values: list[float] = field(default_factory=list[float])
    best: list[float] = field(default_factory=list[float])
    sums: list[float] = field(default_factory=list[float])
    counts: list[int] = field(default_factory=list[int])
    is_compared: bool = True

    def add(self, step: int, value: float) -> None:
        finite = math.isfinite(value)
        value = value if finite else math.inf
        self.steps.append(max(step, self.last_step))
        self.values.append(value)
        self.best.append(min(value, self.best[-1] if self.best else math.inf))
        self.sums.append((self.sums[-1] if self.sums else 0.0) + (value if finite else 0.0))
        self.counts.append((self.counts[-1] if self.counts else 0) + finite)

    @property
    def last_step(self) -> int:
        return self.steps[-1] if self.steps else 0

    def index_at(self, step: int) -> int | None:
        """Return the index of the last measurement up to a step, or None before that step."""
        if not self.steps or self.last_step < step:
            return None
        index = bisect_right(self.steps, step) - 1
        return index if index >= 0 else None


class EarlyStoppingRule(ABC):
    """Evaluates each trial whenever it reports its objective. A decision to stop is final."""

    def __init__(self, study: Study) -> None:
        objective = study.objectives[0]
        self._metric = objective.metric
        self._sign = -1 if objective.goal == "maximize" else 1
        self._selects_best = objective.select == "best"
        self._curves: dict[int, _Curve] = {}
        self._reasons: dict[int, str] = {}

    def tell(self, event: SearchEvent) -> None:
        """Record an event."""
        match event:
            case Started():
                self._curves.setdefault(event.number, _Curve())
            case Measured():
                curve = self._curves.get(event.number)
                if curve is not None and self._metric in event.metrics:
                    previous = curve.last_step if curve.steps else None
                    self._add(curve, event.step, self._sign * event.metrics[self._metric])
                    if reason := self._evaluate(event.number, curve, previous):
                        self._reasons.setdefault(event.number, reason)
            case Ended():
                self._reasons.pop(event.number, None)
                if event.state in {"failed", "cancelled"} and event.number in self._curves:
                    self._exclude(event.number)

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should stop, or None."""
        return self._reasons.get(number)

    def _add(self, curve: _Curve, step: int, value: float) -> None:
        curve.add(step, value)

    def _exclude(self, number: int) -> None:
        self._curves[number].is_compared = False

    @abstractmethod
    def _evaluate(self, number: int, curve: _Curve, previous_step: int | None) -> str | None:
        """Return why a trial should stop after its latest measurement, or None."""

    def _value(self, curve: _Curve) -> float:
        return curve.best[-1] if self._selects_best else curve.values[-1]

    def _format(self, value: float) -> str:
        return f"{self._sign * value:.6g}" if math.isfinite(value) else "not finite"


class _StepwiseRule(EarlyStoppingRule):
    """A rule that compares a trial with the scores of the others at the same step.

    The scores at each evaluated step are kept sorted, so that the cost of an evaluation hardly
    depends on the number of trials.
    """

    _default_min_trials: int

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        stopping = study.early_stopping
        assert stopping is not None
        self._min_step = stopping.min_step
        self._interval = stopping.interval or 1
        self._min_trials = stopping.min_trials or self._default_min_trials
        self._slack = float(stopping.slack or 0.1)
        self._slack_amount = stopping.slack_amount
        self._scores: dict[int, list[float]] = {}
        """By step, the scores of the compared trials that reached it, best first."""
        self._steps: list[int] = []
        """The steps in ascending order."""

    @abstractmethod
    def _score(self, curve: _Curve, index: int) -> float:
        """Return the score of a trial at one of its measurements; lower is better."""

    @abstractmethod
    def _compare(self, curve: _Curve, others: int, nth_best: Callable[[int], float]) -> str | None:
        """Return why a trial should stop, given how many others there are and their scores."""

    @override
    def _add(self, curve: _Curve, step: int, value: float) -> None:
        previous = curve.last_step
        for scores, score in self._entries(curve, previous, previous):
            del scores[bisect_left(scores, score)]
        super()._add(curve, step, value)
        for scores, score in self._entries(curve, previous, curve.last_step):
            insort(scores, score)

    @override
    def _exclude(self, number: int) -> None:
        curve = self._curves[number]
        for scores, score in self._entries(curve, 0, curve.last_step):
            del scores[bisect_left(scores, score)]
        super()._exclude(number)

    @override
    def _evaluate(self, number: int, curve: _Curve, previous_step: int | None) -> str | None:
        if not self._is_due(curve, previous_step):
            return None
        scores = self._scores_at(curve.last_step)
        own = bisect_left(scores, self._score(curve, -1))
        others = len(scores) - 1
        if others < self._min_trials:
            return None
        return self._compare(curve, others, lambda n: scores[n + (n >= own)])

    def _entries(self, curve: _Curve, first: int, last: int) -> Iterator[tuple[list[float], float]]:
        """Yield the sorted scores of each step in a range, with the trial's score there."""
        if not curve.is_compared:
            return
        for step in self._steps[bisect_left(self._steps, first) : bisect_right(self._steps, last)]:
            index = curve.index_at(step)
            if index is not None:
                yield self._scores[step], self._score(curve, index)

    def _scores_at(self, step: int) -> list[float]:
        scores = self._scores.get(step)
        if scores is None:
            if len(self._steps) >= _MAX_CACHED_STEPS:
                self._steps.clear()
                self._scores.clear()
            indices = ((c, c.index_at(step)) for c in self._curves.values() if c.is_compared)
            scores = sorted(self._score(c, index) for c, index in indices if index is not None)
            self._scores[step] = scores
            insort(self._steps, step)
        return scores

    def _is_due(self, curve: _Curve, previous_step: int | None) -> bool:
        first = self._min_step or 0
        if previous_step is None:
            return self._min_step is not None and curve.last_step >= first
        interval = (curve.last_step - first) // self._interval
        return interval >= 0 and interval > (previous_step - first) // self._interval


class MedianRule(_StepwiseRule):
    """Stops a trial that is worse than the median of the other trials' running averages."""

    _default_min_trials = 5

    @override
    def _score(self, curve: _Curve, index: int) -> float:
        count = curve.counts[index]
        return curve.sums[index] / count if count else math.inf

    @override
    def _compare(self, curve: _Curve, others: int, nth_best: Callable[[int], float]) -> str | None:
        median = (nth_best((others - 1) // 2) + nth_best(others // 2)) / 2
        best = curve.best[-1]
        if _is_worse(best, median):
            return (
                f"median: the best {self._metric} up to step {curve.last_step} is "
                f"{self._format(best)}, the median of the other trials' averages is "
                f"{self._format(median)}"
            )
        return None


class BanditRule(_StepwiseRule):
    """Stops a trial that is worse than the best other trial by more than the slack."""

    _default_min_trials = 1

    @override
    def _score(self, curve: _Curve, index: int) -> float:
        return curve.best[index]

    @override
    def _compare(self, curve: _Curve, others: int, nth_best: Callable[[int], float]) -> str | None:
        best = nth_best(0)
        # Lower is better here, so the limit of a negative best is closer to zero.
        limit = best * (1 + self._slack) if best > 0 else best / (1 + self._slack)
        if self._slack_amount is not None:
            limit = best + self._slack_amount
        value = self._value(curve)
        if _is_worse(value, limit):
            return (
                f"bandit: {self._metric} at step {curve.last_step} is {self._format(value)}, "
                f"the limit is {self._format(limit)}"
            )
        return None


class HalvingRule(EarlyStoppingRule):
    """Stops a trial at a rung unless it is among the best 1/eta of those that have reached it.

    Trials that reach a rung before the ``min_trials``-th continue. So does each trial at rungs
    below the amount that ``first_amount`` returns for its number.
    """

    def __init__(
        self,
        study: Study,
        amounts: Sequence[int],
        eta: int,
        min_trials: int,
        first_amount: Callable[[int], int] = lambda _: 0,
    ) -> None:
        super().__init__(study)
        self._amounts = amounts
        self._eta = eta
        self._min_trials = min_trials
        self._first_amount = first_amount
        self._scores: dict[int, dict[int, float]] = {amount: {} for amount in amounts}
        """By rung, the value of each trial that reached it, by number."""
        self._rankings: dict[int, list[float]] = {amount: [] for amount in amounts}
        """By rung, the values of the compared trials, best first."""

    @override
    def _exclude(self, number: int) -> None:
        for amount, scores in self._scores.items():
            if self._curves[number].is_compared and number in scores:
                ranking = self._rankings[amount]
                del ranking[bisect_left(ranking, scores[number])]
        super()._exclude(number)

    @override
    def _evaluate(self, number: int, curve: _Curve, previous_step: int | None) -> str | None:
        value = self._value(curve)
        for amount in self._amounts:
            if amount > curve.last_step:
                break
            scores, ranking = self._scores[amount], self._rankings[amount]
            if number in scores:
                continue
            scores[number] = value
            insort(ranking, value)
            rank = 1 + bisect_left(ranking, value)
            promotions = max(1, len(ranking) // self._eta)
            is_ranked = len(ranking) >= self._min_trials and amount >= self._first_amount(number)
            if is_ranked and (rank > promotions or value == math.inf):
                return (
                    f"halving: {self._metric} at step {amount} is {self._format(value)}, rank "
                    f"{rank} of {len(ranking)}; the best {promotions} continue"
                )
        return None


def _is_worse(value: float, limit: float) -> bool:
    """Return whether a value is not finite, or above the limit by more than a rounding error.

    The average of equal values often differs from them in the last digit.
    """
    if value == math.inf:
        return True
    return value > limit and not math.isclose(value, limit, rel_tol=_TOLERANCE)


def halving_rungs(stopping: EarlyStopping) -> tuple[int, ...]:
    """Return the steps at which rule `halving` compares trials, in ascending order."""
    first, eta = max(1, stopping.min_step or 1), stopping.eta or _ETA
    return tuple(first * eta**k for k in range(_RUNGS))


def make_rule(study: Study) -> EarlyStoppingRule | None:
    """Return the early stopping rule of a study, or None if it has none."""
    stopping = study.early_stopping
    if stopping is None:
        return None
    if stopping.rule == "halving":
        eta = stopping.eta or _ETA
        return HalvingRule(study, halving_rungs(stopping), eta, stopping.min_trials or eta)
    return BanditRule(study) if stopping.rule == "bandit" else MedianRule(study)
