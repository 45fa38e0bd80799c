"""How many trials of hyperband get how much of the resource, for plans.

The strategy itself decides, on random results, so that a plan agrees with a run. The numbers of
trials are the averages of some simulated runs in which a trial has the same result at all rungs.
More trials continue if new ones get better during the search, so the most of the resource is that
of runs in which they do. Fewer continue if trials fail, and trials start with more if low rungs
mislead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.search.hyperband_search import make_hyperband
from cloudtune.search.protocol import Suggestion
from cloudtune.search.rungs import starting_rung, study_rungs
from cloudtune.study.study import Study

_SIMULATIONS = 20
_GAIN = 1.5
"""By how much results improve during a run, in units of the range of a random result.

With it, the most of the resource was more than that of 28 runs of seven studies, up to 1.7 times
the average of random results (smooth and noisy losses of two parameters, eta 2 to 5, max 9 to 81,
1 and 4 trials at a time)."""
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
    total: tuple[int, int]
    """The sum over all trials if each continues from its checkpoint: the least, and the most if new
    trials get better."""
    from_scratch: tuple[int, int]
    """The same if each start of a trial begins from scratch."""
    most: int
    """The sum, from checkpoints, if each trial got the maximum."""


def expected_brackets(study: Study, max_trials: int) -> Brackets:
    """Return how many trials of a study with strategy hyperband get how much of the resource."""
    rungs = study_rungs(study)
    count = min(max_trials, _MAX_SIMULATED)
    scale = max_trials / count
    brackets: dict[int, Counter[int]] = {}
    totals: list[int] = []
    scratch: list[int] = []
    for gain, seed in product((0.0, _GAIN), range(_SIMULATIONS)):
        trials = _simulate(study, rungs, count, seed, gain)
        for amounts in trials if not gain else ():
            brackets.setdefault(amounts[0], Counter()).update(amounts)
        totals.append(sum(amounts[-1] for amounts in trials))
        scratch.append(sum(map(sum, trials)) if study.strategy.resource else totals[-1])
    return Brackets(
        [
            Bracket(start, {n: round(scale / _SIMULATIONS * trials[n]) for n in sorted(trials)})
            for start, trials in sorted(brackets.items())
        ],
        (round(scale * min(totals)), round(scale * max(totals))),
        (round(scale * min(scratch)), round(scale * max(scratch))),
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


def _simulate(
    study: Study, rungs: Sequence[int], count: int, seed: int, gain: float
) -> Sequence[Sequence[int]]:
    """Return the amounts that each trial gets in one run, in order."""
    gain *= 1 if study.objectives[0].goal == "maximize" else -1
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
        metrics = {metric: Random(f"{seed}:{number}").random() + gain * number / count}
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
