"""Strategy `hyperband`: many trials begin with little, the best of them go on with more.

Hyperband of Li and others (JMLR 18, 2018, <https://jmlr.org/papers/v18/16-558.html>). A rung is an
amount of the resource: ``min``, ``min * eta``, ``min * eta**2`` and so on, and ``max``. A bracket
is a number of trials that begin at one rung, of which one in ``eta`` goes on at each next one. The
brackets take turns: the first begins at the lowest rung with the most trials, the last at ``max``
with the fewest; then they start over.

With a named resource a trial waits at the end of its rung, and is promoted once it is sure to be
among the best of its bracket whatever those still to come bring. So the promoted ones are exactly
Hyperband's, and since new trials of the next bracket fill the time, no place stays empty before the
last bracket. At least one trial of a bracket goes on at each rung. A bracket that ``max_trials``
cuts short is as large as the number of trials it got.

Without a name the resource is the step that a trial reports: it is started once, and stopped at a
rung unless it is among the best 1/eta of those that have reached the rung so far (Li and others,
MLSys 2020, <https://arxiv.org/abs/1810.05934>, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cloudtune.events import Event, Started
from cloudtune.search.early_stopping import Halving
from cloudtune.search.history import History, Past
from cloudtune.search.protocol import Suggestion
from cloudtune.space import Value
from cloudtune.study import Study

Choose = Callable[[int], Mapping[str, Value]]
"""Returns the assignment of a draw; the one place where a model of the trials would stand."""


def rungs(least: int, most: int, eta: int) -> tuple[int, ...]:
    """Return the amounts of the resource at which trials are compared, the last one ``most``.

    The step to the last is ``eta`` or a little more, never less.
    """
    amounts: list[int] = []
    amount = least
    while amount * eta <= most:
        amounts.append(amount)
        amount *= eta
    return (*amounts, most)


@dataclass(frozen=True)
class Bracket:
    """Trials that are compared with each other."""

    first_draw: int
    size: int
    first_rung: int

    @property
    def draws(self) -> range:
        """The draws that belong to it."""
        return range(self.first_draw, self.first_draw + self.size)


class Brackets:
    """The endless row of brackets over a number of rungs."""

    def __init__(self, levels: int, eta: int) -> None:
        self._sizes = [
            -(-levels * eta ** (levels - 1 - first) // (levels - first)) for first in range(levels)
        ]

    def of(self, draw: int) -> Bracket:
        """Return the bracket of a draw."""
        turn, rest = divmod(draw, sum(self._sizes))
        begin = draw - rest
        for first, size in enumerate(self._sizes):
            if rest < size:
                return Bracket(begin, size, first)
            rest -= size
            begin += size
        raise AssertionError(turn)


class Hyperband:
    """Hyperband over a named resource, which each start of a trial is told."""

    def __init__(self, study: Study, choose: Choose, max_trials: int | None) -> None:
        self._rungs = rungs_of(study)
        self._eta = study.strategy.eta or 3
        self._brackets = Brackets(len(self._rungs), self._eta)
        self._choose = choose
        self._most = max_trials
        self._sign = -1 if study.objectives[0].goal == "maximize" else 1
        self._history = History(study)
        self._reached: list[list[float | None]] = []
        """For each draw its scores at the rungs it has left behind; the lower the better."""

    def tell(self, event: Event) -> None:
        """Take note of a start or an end."""
        past = self._history.tell(event)
        if past is None:
            return
        if past.draw == len(self._reached):
            self._reached.append([])
        if isinstance(event, Started) or past.state in {"running", "cancelled"}:
            return
        scores = self._reached[past.draw]
        if len(scores) <= self._rung(past) - self._brackets.of(past.draw).first_rung:
            scores.append(self._score(past))

    def ask(self, draw: int) -> Suggestion | Literal["wait", "done"]:
        """Return a promotion if there is one, else a new trial, else whether any can still come."""
        if (past := self._promotable()) is not None:
            amount = self._rungs[self._rung(past) + 1]
            return Suggestion(past.parameters, resource=amount, resumes=past.number)
        if self._most is None or draw < self._most:
            first = self._brackets.of(draw).first_rung
            return Suggestion(self._choose(draw), resource=self._rungs[first])
        running = any(past.state == "running" for past in self._history.trials)
        return "wait" if running else "done"

    def judge(self, number: int) -> None:
        """Stop no trial: it ends by itself when it has used what it was given."""

    def _rung(self, past: Past) -> int:
        return self._rungs.index(past.resource) if past.resource in self._rungs else 0

    def _score(self, past: Past) -> float | None:
        values = self._history.objective(past) if past.state != "failed" else None
        return None if values is None else self._sign * values[0]

    def _promotable(self) -> Past | None:
        """Return the first trial that may go on: of the oldest bracket, at its highest rung."""
        for bracket in self._open_brackets():
            for level in reversed(range(len(self._rungs) - 1 - bracket.first_rung)):
                for past in self._chosen(bracket, level):
                    if past.state == "pending" and len(self._reached[past.draw]) == level + 1:
                        return past
        return None

    def _open_brackets(self) -> list[Bracket]:
        """Return the brackets that have trials waiting, oldest first."""
        found: dict[int, Bracket] = {}
        for past in self._history.trials:
            if past.state == "pending":
                bracket = self._brackets.of(past.draw)
                found.setdefault(bracket.first_draw, bracket)
        return [found[first] for first in sorted(found)]

    def _chosen(self, bracket: Bracket, level: int) -> list[Past]:
        """Return the trials that are sure to go on from a level of a bracket, best first."""
        draws = bracket.draws
        if self._most is not None:
            draws = range(draws.start, min(draws.stop, self._most))
        at_level = len(draws)
        for below in range(level):
            ended, scored = self._ended(draws, below)
            still = max(0, at_level - ended) + len(scored)
            at_level = min(max(1, at_level // self._eta), still)
        ended, scored = self._ended(draws, level)
        sure = max(1, at_level // self._eta) - max(0, at_level - ended)
        return [self._history.trials[draw] for _, draw in sorted(scored)[: max(0, sure)]]

    def _ended(self, draws: range, level: int) -> tuple[int, list[tuple[float, int]]]:
        """Return how many trials have left a level, and score and draw of those measured."""
        left = [
            (self._reached[draw][level], draw)
            for draw in draws[: max(0, len(self._reached) - draws.start)]
            if len(self._reached[draw]) > level
        ]
        return len(left), [(score, draw) for score, draw in left if score is not None]


class StepHyperband:
    """Hyperband over the steps that trials report: each starts once, and may be stopped."""

    def __init__(self, study: Study, choose: Choose) -> None:
        amounts = rungs_of(study)
        eta = study.strategy.eta or 3
        self._brackets = Brackets(len(amounts), eta)
        self._choose = choose
        self._rules = [Halving(study, amounts[first:-1], eta) for first in range(len(amounts))]
        self._history = History(study)

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        past = self._history.tell(event)
        if past is not None:
            self._rule(past).tell(event)

    def ask(self, draw: int) -> Suggestion:
        """Return the draw's trial."""
        return Suggestion(self._choose(draw))

    def judge(self, number: int) -> str | None:
        """Return why a trial should be stopped at a rung, or None."""
        past = self._history.of(number)
        return self._rule(past).judge(number) if past else None

    def _rule(self, past: Past) -> Halving:
        return self._rules[self._brackets.of(past.draw).first_rung]


def rungs_of(study: Study) -> tuple[int, ...]:
    """Return the rungs of a study whose strategy is hyperband."""
    strategy = study.strategy
    assert strategy.max is not None, "hyperband needs max, which is checked at loading"
    return rungs(strategy.min or 1, max(strategy.max, strategy.min or 1), strategy.eta or 3)
