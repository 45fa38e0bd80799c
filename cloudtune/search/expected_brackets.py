"""How many trials of hyperband get how much of the resource, for plans.

The strategy itself decides, on random results, so that a plan agrees with a run. The numbers are
the averages of some simulated runs in which a trial has the same result at all rungs. More trials
continue if new ones get better during the search, and fewer if trials fail. Trials start with more
if low rungs mislead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.search.hyperband_search import make_hyperband
from cloudtune.search.protocol import Suggestion
from cloudtune.search.rungs import starting_rung, study_rungs
from cloudtune.study.study import Study

_SIMULATIONS = 20
_MAX_SIMULATED = 200
"""The most trials that are simulated; the numbers of more trials are in proportion."""


@dataclass(frozen=True)
class Bracket:
    """The trials that start with the same amount of the resource."""

    start: int
    trials: Mapping[int, int]
    """The number of trials that get at least an amount, by amount, from `start` on."""


@dataclass(frozen=True)
class Brackets:
    """All trials of a study with strategy hyperband. Amounts are in units of the resource."""

    brackets: Sequence[Bracket]
    total: int
    """The sum over all trials if each continues from its checkpoint."""
    from_scratch: int
    """The sum if each start of a trial begins from scratch."""
    most: int
    """The sum, from checkpoints, if each trial got the maximum."""


def expected_brackets(study: Study, max_trials: int) -> Brackets:
    """Return how many trials of a study with strategy hyperband get how much of the resource."""
    rungs = study_rungs(study)
    count = min(max_trials, _MAX_SIMULATED)
    scale = max_trials / count / _SIMULATIONS
    brackets: dict[int, Counter[int]] = {}
    total = from_scratch = 0
    for seed in range(_SIMULATIONS):
        for amounts in _simulate(study, rungs, count, seed):
            brackets.setdefault(amounts[0], Counter()).update(amounts)
            total += amounts[-1]
            from_scratch += sum(amounts) if study.strategy.resource else amounts[-1]
    return Brackets(
        [
            Bracket(start, {amount: round(scale * trials[amount]) for amount in sorted(trials)})
            for start, trials in sorted(brackets.items())
        ],
        round(scale * total),
        round(scale * from_scratch),
        max_trials * rungs[-1],
    )


class _Untried:
    """New trials without parameters."""

    def tell(self, event: SearchEvent) -> None:
        pass

    def reach_rung(self, number: int, rung: int) -> None:
        pass

    def stop(self, number: int) -> None:
        pass

    def ask(self, index: int, lowest: int = 0) -> Suggestion:  # noqa: ARG002
        return Suggestion({})


def _simulate(study: Study, rungs: Sequence[int], count: int, seed: int) -> Sequence[Sequence[int]]:
    """Return the amounts that each trial gets in one run, in order."""
    strategy = make_hyperband(study, _Untried(), count)
    metric, named = study.objectives[0].metric, study.strategy.resource is not None
    trials: list[list[int]] = []
    while isinstance(trial := strategy.ask(len(trials)), Suggestion):
        if trial.resumes is None:
            if len(trials) == count:
                break
            trials.append([])
        number = trial.resumes or len(trials)
        amounts = trials[number - 1]
        metrics = {metric: Random(f"{seed}:{number}").random()}
        strategy.tell(Started(number, 0.0, {}, resource=trial.resource))
        first = starting_rung(number - 1, len(rungs))
        for amount in [trial.resource] if trial.resource else rungs:
            if amount >= rungs[first]:
                amounts.append(amount)
            strategy.tell(Measured(number, 0.0, amount, metrics))
            if strategy.stop_reason(number):
                break
        is_pending = named and amounts[-1] < rungs[-1]
        strategy.tell(Ended(number, 0.0, "pending" if is_pending else "completed"))
    return trials
