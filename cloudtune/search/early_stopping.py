"""Early stopping: rules that end a trial which does badly, each a fold over the events.

- `median` (also `auto`): Vizier's rule (Golovin and others, KDD 2017, section 3.2.2,
  <https://research.google/pubs/pub46180/>). A trial is stopped if its best objective so far is
  strictly worse than the median of the averages of the other trials' objectives, each over its
  measurements up to this step. At least ``min_trials`` others (5 when left out, as in Optuna) must
  have reached the step.
- `bandit`: Azure's policy with a slack factor
  (<https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters>). A trial is
  stopped if its objective is worse than the best that another trial had up to this step, by more
  than the share ``slack`` (0.1) of it: for ``maximize`` and a best b below ``b / (1 + slack)``, or
  below ``b * (1 + slack)`` where b is negative. ``min_trials`` others (1) must have got there.
- `halving`: successive halving (Li and others, 2020, <https://arxiv.org/abs/1810.05934>). Rungs lie
  at the steps ``min_step`` (1) times 1, 3, 9 …; a trial is stopped at a rung unless it is among the
  best third of those that have reached it. The first ones (``min_trials``, 3 when left out) go on.

Median and bandit look at every step from ``min_step`` on, or at every ``interval``-th; without
``min_step`` never at the first measurement, which for scripts that report once is the last one.
With ``select: best`` a trial's objective is its best so far, with ``last`` its latest. A trial
whose objective is no finite number is as bad as can be. Failed and cancelled trials are compared
with nobody; those that were stopped count up to where they came.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from cloudtune.results.events import Ended, Event, Measured, Started
from cloudtune.study.study import Study

_ETA = 3
_RUNGS = 40
_MOST_STEPS = 500
"""Steps for which it is kept how the trials stood; more are looked at anew."""


@dataclass
class _Curve:
    """The objective of one trial over its steps; the lower the better."""

    steps: list[int] = field(default_factory=list[int])
    values: list[float] = field(default_factory=list[float])
    best: list[float] = field(default_factory=list[float])
    sums: list[float] = field(default_factory=list[float])
    counts: list[int] = field(default_factory=list[int])
    compared: bool = True

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

    def upto(self, step: int) -> int | None:
        """Return the place of the last measurement up to a step, if it was reached."""
        if not self.steps or self.last_step < step:
            return None
        place = bisect_right(self.steps, step) - 1
        return place if place >= 0 else None


class EarlyStoppingRule(ABC):
    """Judges each trial whenever it reports its objective, and keeps to it if it should stop."""

    def __init__(self, study: Study) -> None:
        objective = study.objectives[0]
        self._metric = objective.metric
        self._sign = -1 if objective.goal == "maximize" else 1
        self._best_counts = objective.select == "best"
        self._curves: dict[int, _Curve] = {}
        self._reasons: dict[int, str] = {}

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case Started():
                self._curves.setdefault(event.number, _Curve())
            case Measured():
                curve = self._curves.get(event.number)
                if curve is not None and self._metric in event.metrics:
                    before = curve.last_step if curve.steps else None
                    self._add(curve, event.step, self._sign * event.metrics[self._metric])
                    if reason := self._look(event.number, curve, before):
                        self._reasons.setdefault(event.number, reason)
            case Ended():
                self._reasons.pop(event.number, None)
                if event.state in {"failed", "cancelled"} and event.number in self._curves:
                    self._forget(event.number)

    def stop_reason(self, number: int) -> str | None:
        """Return why a running trial should be stopped, or None."""
        return self._reasons.get(number)

    def _add(self, curve: _Curve, step: int, value: float) -> None:
        curve.add(step, value)

    def _forget(self, number: int) -> None:
        """Compare no other trial with this one any more."""
        self._curves[number].compared = False

    @abstractmethod
    def _look(self, number: int, curve: _Curve, before: int | None) -> str | None:
        """Return why a trial should be stopped after its newest measurement.

        ``before`` is the step of the measurement before it.
        """

    def _value(self, curve: _Curve) -> float:
        return curve.best[-1] if self._best_counts else curve.values[-1]

    def _shown(self, value: float) -> str:
        return f"{self._sign * value:.6g}" if math.isfinite(value) else "no finite number"


class _StepwiseRule(EarlyStoppingRule):
    """A rule that looks at steps from one on, or at every n-th, at how the others stood there.

    How they stood is kept in order for each step that was asked for, so that a look costs nearly
    the same however many trials there are.
    """

    def __init__(self, study: Study, few: int) -> None:
        super().__init__(study)
        stopping = study.early_stopping
        assert stopping is not None
        self._first = stopping.min_step
        self._interval = stopping.interval or 1
        self._few = stopping.min_trials or few
        self._stood: dict[int, list[float]] = {}
        """By step: how each trial that is compared and got there stood, the best first."""
        self._asked: list[int] = []
        """The steps, in order."""

    @abstractmethod
    def _standing(self, curve: _Curve, place: int) -> float:
        """Return how a trial stood at one of its measurements."""

    @override
    def _add(self, curve: _Curve, step: int, value: float) -> None:
        before = curve.last_step
        for stood, standing in self._places(curve, before, before):
            del stood[bisect_left(stood, standing)]
        super()._add(curve, step, value)
        for stood, standing in self._places(curve, before, curve.last_step):
            insort(stood, standing)

    @override
    def _forget(self, number: int) -> None:
        curve = self._curves[number]
        for stood, standing in self._places(curve, 0, curve.last_step):
            del stood[bisect_left(stood, standing)]
        super()._forget(number)

    def _places(self, curve: _Curve, first: int, last: int) -> Iterator[tuple[list[float], float]]:
        """Yield the lists of the steps from one to another, each with a trial's place in it."""
        if not curve.compared:
            return
        for step in self._asked[bisect_left(self._asked, first) : bisect_right(self._asked, last)]:
            place = curve.upto(step)
            if place is not None:
                yield self._stood[step], self._standing(curve, place)

    def _others(self, curve: _Curve) -> tuple[int, Callable[[int], float]]:
        """Return how many others got to a trial's last step, and the n-th best of how they stood.

        The trial itself, which is not counted, must have a measurement there.
        """
        step = curve.last_step
        stood = self._stood.get(step)
        if stood is None:
            if len(self._asked) >= _MOST_STEPS:
                self._asked.clear()
                self._stood.clear()
            places = ((each, each.upto(step)) for each in self._curves.values() if each.compared)
            stood = sorted(self._standing(c, place) for c, place in places if place is not None)
            self._stood[step] = stood
            insort(self._asked, step)
        own = bisect_left(stood, self._standing(curve, -1))
        return len(stood) - 1, lambda n: stood[n + (n >= own)]

    def _due(self, curve: _Curve, before: int | None) -> bool:
        first = self._first or 0
        if before is None:
            return self._first is not None and curve.last_step >= first
        turn = (curve.last_step - first) // self._interval
        return turn >= 0 and turn > (before - first) // self._interval


class MedianRule(_StepwiseRule):
    """Stops a trial that is worse than the median of the others' averages."""

    def __init__(self, study: Study) -> None:
        super().__init__(study, few=5)

    @override
    def _standing(self, curve: _Curve, place: int) -> float:
        count = curve.counts[place]
        return curve.sums[place] / count if count else math.inf

    @override
    def _look(self, number: int, curve: _Curve, before: int | None) -> str | None:
        if not self._due(curve, before):
            return None
        step = curve.last_step
        count, nth = self._others(curve)
        if count < self._few:
            return None
        middle = (nth((count - 1) // 2) + nth(count // 2)) / 2
        if curve.best[-1] > middle or curve.best[-1] == math.inf:
            return (
                f"median: its best {self._metric} up to step {step} is "
                f"{self._shown(curve.best[-1])}, the median of the others' averages "
                f"{self._shown(middle)}"
            )
        return None


class BanditRule(_StepwiseRule):
    """Stops a trial that is further from the best than the slack allows."""

    def __init__(self, study: Study) -> None:
        super().__init__(study, few=1)
        stopping = study.early_stopping
        self._slack = float(stopping.slack or 0.1) if stopping else 0.1

    @override
    def _standing(self, curve: _Curve, place: int) -> float:
        return curve.best[place]

    @override
    def _look(self, number: int, curve: _Curve, before: int | None) -> str | None:
        if not self._due(curve, before):
            return None
        step = curve.last_step
        count, nth = self._others(curve)
        if count < self._few:
            return None
        best = nth(0)
        # Lower is better here, so a best below zero is allowed to lie nearer to zero.
        allowed = best * (1 + self._slack) if best > 0 else best / (1 + self._slack)
        value = self._value(curve)
        if value > allowed or value == math.inf:
            return (
                f"bandit: its {self._metric} at step {step} is {self._shown(value)}, "
                f"at worst {self._shown(allowed)} is allowed"
            )
        return None


class HalvingRule(EarlyStoppingRule):
    """Stops a trial at a rung unless it is among the best 1/eta of those that have reached it.

    Those that reach a rung before the ``few``-th go on, and so does each trial below the amount
    that ``begins`` returns for its number.
    """

    def __init__(
        self,
        study: Study,
        amounts: Sequence[int],
        eta: int,
        few: int,
        begins: Callable[[int], int] = lambda _: 0,
    ) -> None:
        super().__init__(study)
        self._amounts = amounts
        self._eta = eta
        self._few = few
        self._begins = begins
        self._scores: dict[int, dict[int, float]] = {amount: {} for amount in amounts}
        """By rung: what each trial had when it came there."""
        self._ranked: dict[int, list[float]] = {amount: [] for amount in amounts}
        """By rung: the same of those that are compared, the best first."""

    @override
    def _forget(self, number: int) -> None:
        for amount, scores in self._scores.items():
            if self._curves[number].compared and number in scores:
                ranked = self._ranked[amount]
                del ranked[bisect_left(ranked, scores[number])]
        super()._forget(number)

    @override
    def _look(self, number: int, curve: _Curve, before: int | None) -> str | None:
        value = self._value(curve)
        for amount in self._amounts:
            if amount > curve.last_step:
                break
            scores, seen = self._scores[amount], self._ranked[amount]
            if number in scores:
                continue
            scores[number] = value
            insort(seen, value)
            place = 1 + bisect_left(seen, value)
            kept = max(1, len(seen) // self._eta)
            judged = len(seen) >= self._few and amount >= self._begins(number)
            if judged and (place > kept or value == math.inf):
                return (
                    f"halving: at step {amount} its {self._metric} of {self._shown(value)} has "
                    f"place {place} of {len(seen)}, and {kept} go on"
                )
        return None


def make_rule(study: Study) -> EarlyStoppingRule | None:
    """Return the study's rule, or None if it stops no trial early."""
    stopping = study.early_stopping
    if stopping is None:
        return None
    if stopping.rule == "bandit":
        return BanditRule(study)
    if stopping.rule == "halving":
        first = max(1, stopping.min_step or 1)
        amounts = tuple(first * _ETA**k for k in range(_RUNGS))
        return HalvingRule(study, amounts, _ETA, stopping.min_trials or _ETA)
    return MedianRule(study)
