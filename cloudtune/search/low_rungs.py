"""Whether low rungs of `hyperband` would have stopped the trials that turn out best.

A trial that starts above a rung also reports there, and is not selected by it. So the best of these
trials tell whether the rung misleads: whether fewer than half of them would have continued. The
best are looked up at the highest rung that enough trials have reached. The rank correlation of two
rungs says less: it can be high where the best trials start slowly, and low where only bad trials
change places.

A trial is compared only with those that started with the same amount: a learning rate may decay
over the amount, so that a longer training is worse at the same step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

_MIN_REACHED = 6
"""The number of trials that a rung needs to tell which trials are the best."""
_BEST_SHARE = 0.2
_BEST_PROMOTED = 0.6
"""The best are at most this part of the trials that a rung promotes, which matters if `eta` is
large: all of them should continue."""
_MAX_BEST = 20
_FIRST = 9
"""The number of the first trials that are compared with each other, not only with earlier ones."""


class LowRungs:
    """The scores of trials at all rungs that they have reached or passed; lower is better."""

    def __init__(self, rungs: Sequence[int], eta: int) -> None:
        self._rungs = rungs
        self._eta = eta
        self._scores: list[dict[int, float]] = [{} for _ in rungs]
        """By rung, the score of each trial there, by index."""
        self._passed: defaultdict[tuple[int, int], dict[int, float]] = defaultdict(dict)
        """By rung and starting rung, the score of each trial that started above the rung."""
        self._first_rung: dict[int, int] = {}
        """The rung at whose end each trial first paused, by index."""
        self._reports: dict[int, dict[int, float]] = {}
        """What trials report in their first start, by index and step, until it ends."""
        self._steps = {step for amount in rungs for step in (amount - 1, amount)}
        """The steps at which a rung may end."""
        self._has_other_steps = False
        """Whether a step was larger than the amount, so that steps are in another unit."""

    def start(self, index: int) -> None:
        """Expect reports of a trial if it starts for the first time, or again after a loss."""
        if index not in self._first_rung:
            self._reports[index] = {}

    def report(self, index: int, step: int, score: Callable[[], float]) -> None:
        """Record that a trial reports at a step, with its score if a rung may end there."""
        if index in self._reports:
            self._reports[index][step] = score() if step in self._steps else math.inf

    def end(self, index: int, rung: int, score: float) -> None:
        """Record the score of a trial at the end of a rung, infinite if it has failed.

        Its steps count as amounts of the resource if the last one equals the amount, or is one less
        where steps start at 0.
        """
        self._first_rung.setdefault(index, rung)
        reports = self._reports.pop(index, {})
        offset = self._rungs[rung] - max(reports, default=-1)
        self._has_other_steps |= offset < 0
        for passed, amount in enumerate(self._rungs[:rung]):
            if offset in {0, 1} and amount - offset in reports:
                passing = reports[amount - offset]
                self._scores[passed][index] = self._passed[passed, rung][index] = passing
        self._scores[rung][index] = score

    def lowest(self) -> int:
        """Return the lowest rung at which new trials should start."""
        if self._has_other_steps:
            return 0
        rungs = reversed(range(len(self._rungs) - 2))
        return next((rung + 1 for rung in rungs if self._misleads(rung)), 0)

    def _misleads(self, rung: int) -> bool:
        share = min(_BEST_SHARE, _BEST_PROMOTED / self._eta)
        for scores in reversed(self._scores[rung + 1 :]):
            if len(scores) < _MIN_REACHED:
                continue
            reached = sorted((s, index) for index, s in scores.items() if s < math.inf)
            if len(reached) >= _MIN_REACHED:
                count = min(math.ceil(len(reached) * share), _MAX_BEST)
                best = [index for _, index in reached[:count]]
                passed = [i for i in best if i in self._passed[rung, self._first_rung[i]]]
                return 2 * sum(self._continues(i, rung) for i in passed) < len(passed)
        return False

    def _continues(self, index: int, rung: int) -> bool:
        """Return whether a trial is among the best 1/eta of its bracket that started before it."""
        scores, last = self._passed[rung, self._first_rung[index]], max(index, _FIRST - 1)
        others = [score for other, score in scores.items() if other <= last]
        better = sum(score < scores[index] for score in others)
        return better == 0 or (better + 0.5) * self._eta < len(others)
