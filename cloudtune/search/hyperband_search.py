"""Strategy `hyperband`: many trials begin with little, the best of them go on with more.

A rung is an amount of the resource: ``min``, ``min * eta``, ``min * eta**2`` and so on, and
``max``. Trials begin at each of them but the last in turn, for the case that the first ones say
little. That is Hyperband (Li and others, JMLR 18, 2018,
<https://jmlr.org/papers/v18/16-558.html>) in its asynchronous form (Li and others, MLSys 2020,
<https://arxiv.org/abs/1810.05934>): the brackets run side by side. `rung_models` chooses what the
new trials are.

With a named resource a trial waits at the end of its rung, and goes on as soon as it is among the
best 1/``eta`` of all that have reached the rung so far, the furthest ones first. Only if there is
none does a new trial begin, so no place stays empty. At the end, when ``max_trials`` have begun, at
least one trial goes on from each rung.

Without a name the resource is the step that a trial reports: it is started once, and stopped at a
rung, from the one on at which it would have begun, unless it is the best or among the best
1/``eta`` of all that have reached it so far.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import replace
from typing import Literal

from cloudtune.results.events import Ended, Event, Measured
from cloudtune.search.early_stopping import HalvingRule
from cloudtune.search.history import History, TrialRecord
from cloudtune.search.hyperband_models import RungModels
from cloudtune.search.protocol import Suggestion
from cloudtune.search.sampling import InitialTrials
from cloudtune.study.study import Study


def rung_levels(least: int, most: int, eta: int) -> tuple[int, ...]:
    """Return the amounts of the resource at which trials are compared, the last one ``most``.

    The step to the last is ``eta`` or a little more, never less.
    """
    amounts: list[int] = []
    amount = least
    while amount * eta <= most:
        amounts.append(amount)
        amount *= eta
    return (*amounts, most)


def starting_rung(draw: int, levels: int) -> int:
    """Return at which of the rungs a draw begins: at each but the last in turn, downwards."""
    beginnings = max(levels - 1, 1)
    return beginnings - 1 - draw % beginnings


class HyperbandSearch:
    """Hyperband over a named resource, which each start of a trial is told."""

    def __init__(self, study: Study, opening: InitialTrials, max_trials: int | None) -> None:
        self._rungs = study_rungs(study)
        self._eta = study.strategy.eta or 3
        self._models = RungModels(study, opening, len(self._rungs))
        self._most = max_trials
        self._sign = -1 if study.objectives[0].goal == "maximize" else 1
        self._history = History(study)
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in self._rungs]
        """For each rung the scores of the trials that have reached its end, and their draws, the
        best first; infinite where a trial failed or measured nothing."""

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        past = self._history.tell(event)
        if past is not None and isinstance(event, Ended):
            rung = self._rung(past)
            # At the end of a run the trials that still wait are stopped; their rung has them.
            if past.state not in {"cancelled", "stopped_early"}:
                insort(self._ranked[rung], (self._score(past), past.draw))
            if past.state in {"pending", "completed"}:
                self._models.reached(past.number, rung)
        self._models.tell(event)

    def ask(self, draw: int) -> Suggestion | Literal["wait", "done"]:
        """Return a promotion if there is one, else a new trial, else whether any can still come."""
        past = self._promotable()
        if past is None and (self._most is None or draw < self._most):
            first = starting_rung(draw, len(self._rungs))
            return replace(self._models.ask(draw), resource=self._rungs[first])
        if past is None:
            if any(past.state == "running" for past in self._history.trials):
                return "wait"
            past = self._promotable(least=1)
        if past is None:
            return "done"
        amount = self._rungs[self._rung(past) + 1]
        return Suggestion(past.parameters, resource=amount, resumes=past.number)

    def stop_reason(self, number: int) -> None:
        """Stop no trial: it ends by itself when it has used what it was given."""

    def _rung(self, past: TrialRecord) -> int:
        return self._rungs.index(past.resource) if past.resource in self._rungs else 0

    def _score(self, past: TrialRecord) -> float:
        values = self._history.objective(past) if past.state != "failed" else None
        return math.inf if values is None else self._sign * values[0]

    def _promotable(self, least: int = 0) -> TrialRecord | None:
        """Return the best trial that may go on from the highest rung that has one.

        At least so many may go on from each rung, those that failed later on not counted.
        """
        for rung in reversed(range(len(self._rungs) - 1)):
            ranked = self._ranked[rung]
            left = max(least, len(ranked) // self._eta)
            for score, draw in ranked:
                past = self._history.trials[draw]
                if left == 0 or score == math.inf:
                    break
                if past.state == "pending" and self._rung(past) == rung:
                    return past
                left -= past.state != "failed"
        return None


class StepHyperbandSearch:
    """Hyperband over the steps that trials report: each starts once, and may be stopped."""

    def __init__(self, study: Study, opening: InitialTrials) -> None:
        self._rungs = study_rungs(study)
        eta = study.strategy.eta or 3
        self._models = RungModels(study, opening, len(self._rungs))
        self._metric = study.objectives[0].metric
        self._rule = HalvingRule(study, self._rungs[:-1], eta, few=1, begins=self._begins)
        self._history = History(study)

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        stopped = self.stop_reason(event.number) is not None
        past = self._history.tell(event)
        if stopped and isinstance(event, Measured):
            # How far a trial comes before it is gone is chance, and must not change what follows.
            return
        if past is not None:
            self._rule.tell(event)
        if isinstance(event, Ended) and event.state == "completed" and not stopped:
            self._models.reached(event.number, len(self._rungs) - 1)
        self._models.tell(event)
        if isinstance(event, Measured) and self._metric in event.metrics:
            for rung, amount in enumerate(self._rungs):
                if event.step >= amount:
                    self._models.reached(event.number, rung)
            if self.stop_reason(event.number) is not None:
                self._models.stopped(event.number)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        return self._models.ask(draw)

    def stop_reason(self, number: int) -> str | None:
        """Return why a trial should be stopped at a rung, or None."""
        return self._rule.stop_reason(number)

    def _begins(self, number: int) -> int:
        past = self._history.of(number)
        return self._rungs[starting_rung(past.draw, len(self._rungs))] if past else 0


def study_rungs(study: Study) -> tuple[int, ...]:
    """Return the rungs of a study whose strategy is hyperband."""
    strategy = study.strategy
    assert strategy.max is not None, "hyperband needs max, which is checked at loading"
    return rung_levels(strategy.min or 1, max(strategy.max, strategy.min or 1), strategy.eta or 3)
