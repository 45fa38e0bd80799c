"""New trials for `hyperband`, chosen by what the trials before them reached.

Each rung has a Gaussian process of what was measured there, and the highest rung at which enough
trials have been measured chooses: what a little of the resource says counts only until more is
known. A trial that is stopped at a rung counts as failed at the next one: a process that knew only
of those that came so far would propose again and again what does not. A third of the trials is
drawn by chance all the same, for the case that the process is wrong. This is BOHB (Falkner and
others, ICML 2018, <https://arxiv.org/abs/1807.01774>) with another model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cloudtune.results.events import Ended, Event, Started, TrialState
from cloudtune.search.gp_search import GPSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import InitialTrials
from cloudtune.study.study import Study

_ENOUGH = 8
"""How many trials must have been measured at a rung."""
_BY_CHANCE = 1 / 3


class RungModels:
    """A Gaussian process a rung, each told of a trial until that was measured at its rung."""

    def __init__(self, study: Study, opening: InitialTrials, levels: int) -> None:
        self._opening = opening
        self._models = [GPSearch(study, opening.axes, opening.seed) for _ in range(levels)]
        self._reached: dict[int, int] = {}
        """For each trial how many rungs it has passed, or begun above."""

    def tell(self, event: Event) -> None:
        """Take note of an event; what a trial was worth at a rung is told by `reached`."""
        if isinstance(event, Started) and event.replaces is not None:
            self._reached[event.number] = self._reached.pop(event.replaces, 0)
        if isinstance(event, Ended):
            self._end(event.number, "failed" if event.state == "failed" else "cancelled")
        else:
            for model in self._open(event.number):
                model.tell(event)

    def reached(self, number: int, rung: int) -> None:
        """Take what a trial has measured so far for its value at a rung, if it is the first one."""
        if self._reached.get(number, 0) > rung:
            return
        self._models[rung].tell(Ended(number, 0.0, "completed"))
        for model in self._models[self._reached.get(number, 0) : rung]:
            model.tell(Ended(number, 0.0, "cancelled"))
        self._reached[number] = rung + 1

    def stopped(self, number: int) -> None:
        """Count a trial as failed at the next rung, and at none above."""
        for place, model in enumerate(self._open(number)):
            model.tell(Ended(number, 0.0, "cancelled" if place else "failed"))
        self._reached[number] = len(self._models)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial: an initial one while there are any."""
        if draw < len(self._opening):
            return Suggestion(self._opening.assignment(draw))
        lot = Random(f"{self._opening.seed}:{draw}:by chance").random()
        for model in reversed(self._models):
            if model.values >= _ENOUGH and lot >= _BY_CHANCE:
                return model.ask(draw)
        return Suggestion(self._models[0].by_chance(draw))

    def _open(self, number: int) -> Sequence[GPSearch]:
        return self._models[self._reached.get(number, 0) :]

    def _end(self, number: int, state: TrialState) -> None:
        for model in self._open(number):
            model.tell(Ended(number, 0.0, state))
