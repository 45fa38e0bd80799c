"""Strategy `hyperband`: many trials start with a small resource, the best continue with more.

A rung is an amount of the resource: ``min``, ``min * eta``, ``min * eta**2`` and so on, and
``max``. Each rung but the last starts a bracket. New trials go to the brackets in turn, in case the
low rungs predict little. This is Hyperband (Li and others, JMLR 18, 2018,
<https://jmlr.org/papers/v18/16-558.html>) in its asynchronous form (Li and others, MLSys 2020,
<https://arxiv.org/abs/1810.05934>), with concurrent brackets. `hyperband_models` chooses the new
trials.

With a named resource, a trial pauses at the end of its rung. It continues as soon as it is among
the best 1/``eta`` of all trials that have reached the rung; higher rungs take precedence. If no
trial can continue, a new one starts, so no worker is idle. After ``max_trials`` new trials, at
least one trial continues from each rung. While a rung would have stopped most of the best trials
that started above it, no trial starts there or below (`low_rungs`).

Without a named resource, the resource is the step that a trial reports. A trial starts once. At
each rung, from that of its bracket on, it stops unless it is the best or among the best 1/``eta``
of all trials that have reached the rung.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import replace
from typing import Literal, Protocol

from typing_extensions import override

from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.search.early_stopping import HalvingRule
from cloudtune.search.history import History, TrialRecord
from cloudtune.search.low_rungs import LowRungs
from cloudtune.search.protocol import Strategy, Suggestion
from cloudtune.search.rungs import DEFAULT_ETA, starting_rung, study_rungs
from cloudtune.search.sampling import SearchInputs
from cloudtune.study.study import Study


class NewTrials(Protocol):
    """Chooses the new trials, and learns from their results at the rungs."""

    def tell(self, event: SearchEvent) -> None:
        """Record an event. Measurements at a rung count only after `reach_rung`."""
        ...

    def reach_rung(self, number: int, rung: int) -> None:
        """Use a trial's measurements so far as its result at a rung, once per trial and rung."""
        ...

    def stop(self, number: int) -> None:
        """Expect no more of a trial."""
        ...

    def ask(self, index: int, lowest: int = 0) -> Suggestion:
        """Return the new trial with this index, without its resource.

        Results at the rungs below ``lowest`` do not count.
        """
        ...


class HyperbandSearch(Strategy):
    """Hyperband over a named resource, which each start of a trial receives."""

    def __init__(self, study: Study, new_trials: NewTrials, max_trials: int | None) -> None:
        self._rungs = study_rungs(study)
        self._eta = study.strategy.eta or DEFAULT_ETA
        self._new_trials = new_trials
        self._max_trials = max_trials
        self._metric = study.objectives[0].metric
        self._history = History(study)
        self._rankings: list[list[tuple[float, int]]] = [[] for _ in self._rungs]
        """For each rung, scores and indices of the trials that have reached its end, best first.
        Scores of failed and unmeasured trials are infinite."""
        self._low_rungs = LowRungs(self._rungs, self._eta)

    @override
    def tell(self, event: SearchEvent) -> None:
        trial = self._history.tell(event)
        if trial is not None and isinstance(event, Started):
            self._low_rungs.start(trial.index)
        if trial is not None and isinstance(event, Measured) and self._metric in event.metrics:
            self._low_rungs.report(trial.index, event.step, lambda: self._score(trial))
        if trial is not None and isinstance(event, Ended):
            rung = self._rung(trial)
            # The end of a run stops pending trials, which their rung has already ranked.
            if trial.state not in {"cancelled", "stopped_early"}:
                score = self._score(trial)
                insort(self._rankings[rung], (score, trial.index))
                self._low_rungs.end(trial.index, rung, score)
            if trial.state in {"pending", "completed"}:
                self._new_trials.reach_rung(trial.number, rung)
        self._new_trials.tell(event)

    @override
    def ask(self, index: int) -> Suggestion | Literal["wait", "done"]:
        trial = self._promotable()
        if trial is None and (self._max_trials is None or index < self._max_trials):
            lowest = self._low_rungs.lowest()
            amount = self._rungs[starting_rung(index, len(self._rungs), lowest)]
            return replace(self._new_trials.ask(index, lowest), resource=amount)
        if trial is None:
            if any(trial.state == "running" for trial in self._history.trials):
                return "wait"
            trial = self._promotable(minimum=1)
        if trial is None:
            return "done"
        amount = self._rungs[self._rung(trial) + 1]
        return Suggestion(trial.parameters, resource=amount, resumes=trial.number)

    def _rung(self, trial: TrialRecord) -> int:
        return self._rungs.index(trial.resource) if trial.resource in self._rungs else 0

    def _score(self, trial: TrialRecord) -> float:
        values = self._history.objective(trial) if trial.state != "failed" else None
        return math.inf if values is None else self._history.rank(trial, values)[0]

    def _promotable(self, minimum: int = 0) -> TrialRecord | None:
        """Return the best trial to promote from the highest rung that has one.

        Each rung promotes 1/eta of its trials, and at least ``minimum``. Promoted trials that
        failed later do not count.
        """
        for rung in reversed(range(len(self._rungs) - 1)):
            ranking = self._rankings[rung]
            promotions = max(minimum, len(ranking) // self._eta)
            for score, index in ranking:
                trial = self._history.trials[index]
                if promotions == 0 or score == math.inf:
                    break
                if trial.state == "pending" and self._rung(trial) == rung:
                    return trial
                promotions -= trial.state != "failed"
        return None


class StepHyperbandSearch(Strategy):
    """Hyperband over the steps that trials report: each trial starts once and may be stopped."""

    def __init__(self, study: Study, new_trials: NewTrials) -> None:
        self._rungs = study_rungs(study)
        eta = study.strategy.eta or DEFAULT_ETA
        self._new_trials = new_trials
        self._metric = study.objectives[0].metric
        self._rule = HalvingRule(
            study, self._rungs[:-1], eta, min_trials=1, first_amount=self._first_amount
        )
        self._history = History(study)
        self._late: dict[int, list[Measured]] = {}
        """What trials measured after the decision to stop them."""
        self._proposed: set[int] = set()
        """The trials that were proposed from outside, which are never stopped."""

    @override
    def tell(self, event: SearchEvent) -> None:
        trial = self._history.tell(event)
        if isinstance(event, Started) and event.proposal is not None:
            self._proposed.add(event.number)
        if isinstance(event, Measured) and self.stop_reason(event.number) is not None:
            # How many steps a trial still reports after its stop is random and must not count.
            self._late.setdefault(event.number, []).append(event)
            return
        if trial is not None:
            self._rule.tell(event)
        if isinstance(event, Ended):
            self._end(event)
        self._new_trials.tell(event)
        if isinstance(event, Measured) and self._metric in event.metrics:
            for rung, amount in enumerate(self._rungs):
                if event.step >= amount:
                    self._new_trials.reach_rung(event.number, rung)
            if self.stop_reason(event.number) is not None:
                self._new_trials.stop(event.number)

    def _end(self, event: Ended) -> None:
        """Count all that a trial measured that ended by itself, whatever was decided meanwhile."""
        late = self._late.pop(event.number, [])
        if event.state == "completed":
            for measured in late:
                self._new_trials.tell(measured)
            self._new_trials.reach_rung(event.number, len(self._rungs) - 1)

    @override
    def ask(self, index: int) -> Suggestion:
        return self._new_trials.ask(index)

    @override
    def stop_reason(self, number: int) -> str | None:
        return None if number in self._proposed else self._rule.stop_reason(number)

    def _first_amount(self, number: int) -> int:
        trial = self._history.get(number)
        return self._rungs[starting_rung(trial.index, len(self._rungs))] if trial else 0


def build(inputs: SearchInputs) -> Strategy:
    """Return the strategy of a study, in which models choose the trials."""
    from cloudtune.search.hyperband_models import RungModels

    study = inputs.study
    models = RungModels(study, inputs.initial, len(study_rungs(study)))
    return make_hyperband(study, models, inputs.max_trials)


def make_hyperband(study: Study, new_trials: NewTrials, max_trials: int | None) -> Strategy:
    """Return the strategy of a study with strategy hyperband."""
    if study.strategy.resource:
        return HyperbandSearch(study, new_trials, max_trials)
    return StepHyperbandSearch(study, new_trials)
