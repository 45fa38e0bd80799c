"""Models that choose the new trials of `hyperband`.

Each rung has a Gaussian process of what was measured there. The highest rung with enough measured
trials chooses, unless their results are all alike, as those of trials that are no better than
chance. So results at a small resource count only until there are better ones. Only trials that did
well below reach a rung. Its process would therefore know nothing of the regions in which
all trials stayed below, and keep proposing them. So it gets an estimate for each of those trials: a
regression on the results at the lower rung, over the trials that reached both. The estimates are
typical values if the lower rung predicts nothing, and bad ones if it predicts well. A third of the
trials is random, in case the process is wrong. This is BOHB (Falkner and others, ICML 2018,
<https://arxiv.org/abs/1807.01774>) with a different model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
from typing_extensions import override

from cloudtune.results.events import Ended, SearchEvent, Started, TrialState
from cloudtune.search.gaussian_process import FloatArray
from cloudtune.search.gp_search import GPSearch
from cloudtune.search.protocol import RANDOM, Suggestion
from cloudtune.search.sampling import InitialTrials
from cloudtune.search.standardization import standardize
from cloudtune.search.trial_queue import TrialQueue
from cloudtune.study.study import Study

_MIN_MEASURED = 8
"""The number of measured trials at a rung from which on its process chooses."""
_RANDOM_SHARE = 1 / 3
_MAX_ESTIMATES = 25
"""The number of the latest trials of lower rungs that a process estimates."""
_PRIOR_SLOPE, _SLOPE_WEIGHT = 0.5, 4.0
"""The slope of a rung's standardized values over those of a lower one, and its weight in trials."""


class RungSearch(GPSearch):
    """The process of one rung, with estimates for trials that only reached the rungs below."""

    def __init__(self, study: Study, initial: InitialTrials, lower: RungSearch | None) -> None:
        super().__init__(study, initial.axes, initial.seed, explores=False)
        self.lower = lower

    @property
    def is_informed(self) -> bool:
        """Whether enough trials were measured, with results that differ."""
        if self.measured_count < _MIN_MEASURED:
            return False
        first, *others = self._scores.values()
        return any(score != first for score in others)

    @override
    def estimate(
        self, measured: Sequence[int], values: FloatArray
    ) -> tuple[Sequence[int], FloatArray]:
        values_here = dict(zip(measured, values.tolist(), strict=True))
        known = self._scores.keys() | self._failed | self._running
        estimates: dict[int, float] = {}
        lower, worst, best = self.lower, float(values.max()), float(values.min())
        while lower is not None:
            both = [i for i in measured if i in lower._scores]
            rest = [i for i in lower._subsample.indices() if i not in known and i not in estimates]
            if both and rest:
                xs = standardize(np.array([lower._scores[i][0] for i in (*both, *rest)]))
                x, y = xs[: len(both)], np.array([values_here[i] for i in both])
                predicted = _regress(x, y, xs[len(both) :]).clip(best, worst)
                estimates |= zip(rest, predicted.tolist(), strict=True)
            lower = lower.lower
        latest = sorted(estimates)[-_MAX_ESTIMATES:]
        return latest, np.array([estimates[i] for i in latest])


def _regress(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """Return the values of a line through points, which does not fall.

    The trials that reach a rung have similar results below, so few of them say little of the slope.
    It has a prior.
    """
    middle = x.mean()
    slope = (x - middle) @ (y - y.mean()) + _SLOPE_WEIGHT * _PRIOR_SLOPE
    slope /= (x - middle) @ (x - middle) + _SLOPE_WEIGHT
    return np.asarray(y.mean() + max(0.0, slope) * (at - middle), np.float64)


class RungModels:
    """One Gaussian process per rung, which sees a trial's events until its rung is measured."""

    def __init__(self, study: Study, initial: InitialTrials, rungs: int) -> None:
        self._initial = TrialQueue(initial)
        self._seed = initial.seed
        self._models: list[RungSearch] = []
        for rung in range(rungs):
            lower = self._models[-1] if rung else None
            self._models.append(RungSearch(study, initial, lower))
        self._next_rung: dict[int, int] = {}
        """The first rung that each trial has neither passed nor skipped, by trial number."""

    def tell(self, event: SearchEvent) -> None:
        """Record an event. Measurements at a rung count only after `reach_rung`."""
        self._initial.tell(event)
        if isinstance(event, Started) and event.replaces is not None:
            self._next_rung[event.number] = self._next_rung.pop(event.replaces, 0)
        if isinstance(event, Ended):
            state: TrialState = "failed" if event.state == "failed" else "cancelled"
            event = Ended(event.number, 0.0, state)
        for model in self._remaining(event.number):
            model.tell(event)

    def reach_rung(self, number: int, rung: int) -> None:
        """Use a trial's measurements so far as its result at a rung, once per trial and rung."""
        next_rung = self._next_rung.get(number, 0)
        if next_rung > rung:
            return
        self._models[rung].tell(Ended(number, 0.0, "completed"))
        for model in self._models[next_rung:rung]:
            model.tell(Ended(number, 0.0, "cancelled"))
        self._next_rung[number] = rung + 1

    def stop(self, number: int) -> None:
        """Expect no more of a trial; higher rungs estimate its result."""
        for model in self._remaining(number):
            model.tell(Ended(number, 0.0, "cancelled"))
        self._next_rung[number] = len(self._models)

    def ask(self, index: int, lowest: int = 0) -> Suggestion:
        """Return an initial trial while there are any, then a random or a modelled one.

        Results at the rungs below ``lowest`` do not count.
        """
        if (initial := self._initial.first()) is not None:
            return initial
        u = Random(f"{self._seed}:{index}:by chance").random()
        for rung, model in enumerate(self._models):
            model.lower = self._models[rung - 1] if rung > lowest else None
        for model in reversed(self._models[lowest:]):
            if u >= _RANDOM_SHARE and model.is_informed:
                return model.ask(index)
        return Suggestion(self._models[0].sample_untried(index), origin=RANDOM)

    def _remaining(self, number: int) -> Sequence[GPSearch]:
        return self._models[self._next_rung.get(number, 0) :]
