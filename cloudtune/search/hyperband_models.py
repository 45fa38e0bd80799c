"""Models that choose the new trials of `hyperband`.

Each rung has a Gaussian process of what was measured there. The highest rung with enough measured
trials chooses, so results at a small resource count only until there are better ones. A trial that
is stopped at a rung counts as failed at the next one; otherwise that process would know only
trials that got so far, and would repeat proposals that do not. A third of the trials is random, in
case the process is wrong. This is BOHB (Falkner and others, ICML 2018,
<https://arxiv.org/abs/1807.01774>) with a different model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cloudtune.results.events import Ended, Event, Started, TrialState
from cloudtune.search.gp_search import GPSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import InitialTrials
from cloudtune.study.study import Study

_MIN_MEASURED = 8
"""The number of measured trials at a rung from which on its process chooses."""
_RANDOM_SHARE = 1 / 3


class RungModels:
    """One Gaussian process per rung, which sees a trial's events until its rung is measured."""

    def __init__(self, study: Study, initial: InitialTrials, rungs: int) -> None:
        self._initial = initial
        self._models = [GPSearch(study, initial.axes, initial.seed) for _ in range(rungs)]
        self._next_rung: dict[int, int] = {}
        """The first rung that each trial has neither passed nor skipped, by trial number."""

    def tell(self, event: Event) -> None:
        """Record an event. Measurements at a rung count only after `reach_rung`."""
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
        """Count a trial as failed at its next rung, and not at all at higher rungs."""
        for i, model in enumerate(self._remaining(number)):
            model.tell(Ended(number, 0.0, "cancelled" if i else "failed"))
        self._next_rung[number] = len(self._models)

    def ask(self, index: int) -> Suggestion:
        """Return an initial trial while there are any, then a random or a modelled one."""
        if index < len(self._initial):
            return Suggestion(self._initial.assignment(index))
        u = Random(f"{self._initial.seed}:{index}:by chance").random()
        for model in reversed(self._models):
            if model.measured_count >= _MIN_MEASURED and u >= _RANDOM_SHARE:
                return model.ask(index)
        return Suggestion(self._models[0].sample_untried(index))

    def _remaining(self, number: int) -> Sequence[GPSearch]:
        return self._models[self._next_rung.get(number, 0) :]
