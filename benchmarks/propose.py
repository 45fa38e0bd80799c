"""What a loop that proposes one change at a time reaches and claims, on functions of known truth.

Usage: python -m benchmarks.propose [RUNS]

Each run has a quadratic function of four parameters with another optimum and other weights, from
the same start. A trial measures it with noise: half common to all settings with one seed, half of
its own. The proposer moves one parameter of the best setting so far by chance. Three ways to spend
the same number of trainings:

- by hand: propose, keep what measured better, and use what a confirmation costs as further trials;
- proposals alone (`strategy: external`), then `confirm --baseline`;
- proposals and the search in turn (`bayesian`, `proposals: 0.5`), then `confirm --baseline`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import Any

from benchmarks.confirm import TOP, confirm
from cloudtune.confirmation.analysis import Estimate
from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.study import Study

NAMES = ("a", "b", "c", "d")
TRIALS = 24
NOISE = (0.03, 0.1, 0.3)
Setting = tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """What one run gave, in true values, where the start has a value of about -1."""

    by_hand: float
    """The true gain of what is kept by hand, at the cost of the others with their confirmation."""
    keeps: int
    false: int
    """The keeps that are not truly better than what they replaced."""
    claimed: float
    """The gain that they measured."""
    true: float
    """The true gain of the confirmed trial."""
    gain: Estimate
    """The gain by the confirmation."""
    trainings: int

    @property
    def covered(self) -> bool:
        """Whether the interval of the gain has its true value."""
        low, high = self.gain.low, self.gain.high
        return (low is None or low <= self.true) and (high is None or self.true <= high)

    @property
    def is_real(self) -> bool:
        """Whether the confirmation calls the gain real."""
        return self.gain.low is not None and self.gain.low > 0


class World:
    """A function, and what its trials have measured with the seed of the search."""

    def __init__(self, number: int, noise: float) -> None:
        self.rng = Random(f"{number} {noise}")
        self._noise = noise * math.sqrt(0.5)
        weights = [self.rng.uniform(0.2, 1) for _ in NAMES]
        self._optimum = [self.rng.uniform(0, 1) for _ in NAMES]
        self.start = tuple(self.rng.uniform(0, 1) for _ in NAMES)
        size = self._raw(self.start, weights)
        self._weights = [weight / size for weight in weights]
        self._common = self.rng.gauss(0, 1)
        self.settings: list[Setting] = []
        self.found: list[float] = []

    def _raw(self, setting: Setting, weights: list[float]) -> float:
        return sum(
            w * (x - o) ** 2 for w, x, o in zip(weights, setting, self._optimum, strict=True)
        )

    def truth(self, setting: Setting) -> float:
        """Return the true value: 0 at the optimum, -1 at the start."""
        return -self._raw(setting, self._weights)

    def measure(self, index: int, common: float) -> float:
        """Return the value of a setting in one training."""
        noise = self._noise * (common + self.rng.gauss(0, 1))
        return self.truth(self.settings[index]) + noise

    def try_out(self, setting: Setting) -> float:
        """Return the value of a new trial."""
        self.settings.append(setting)
        self.found.append(self.measure(len(self.settings) - 1, self._common))
        return self.found[-1]


class Proposer:
    """Changes one parameter of the best setting so far."""

    def __init__(self, world: World) -> None:
        self._world, self._rng = world, Random(world.start[0])

    def propose(self) -> Setting:
        """Return the start first, then changes of what is kept."""
        world = self._world
        if not world.found:
            return world.start
        kept = list(world.settings[max(range(len(world.found)), key=world.found.__getitem__)])
        changed = self._rng.randrange(len(kept))
        kept[changed] = min(1.0, max(0.0, kept[changed] + self._rng.uniform(-0.4, 0.4)))
        return tuple(kept)


def run_alone(world: World) -> None:
    """Try out proposals only."""
    proposer = Proposer(world)
    for _ in range(TRIALS):
        world.try_out(proposer.propose())


def run_with_search(world: World) -> None:
    """Try out proposals and what the search suggests, in turn; both learn from all trials."""
    study = Study.model_validate(
        {
            "objective": {"metric": "value", "goal": "maximize"},
            "parameters": {name: {"type": "float", "min": 0, "max": 1} for name in NAMES},
            "strategy": {"name": "bayesian", "seed": 1, "proposals": 0.5},
            "limits": {"max_trials": TRIALS},
            "trial": {"script": "train.py"},
        }
    )
    strategy, proposer = make_strategy(study, 1), Proposer(world)
    for number in range(1, TRIALS + 1):
        if number % 2:
            setting = proposer.propose()
            values: dict[str, Any] = dict(zip(NAMES, setting, strict=True))
            start = Started(number, 0.0, values, proposal=str(number))
        else:
            suggestion = strategy.ask(number - 1)
            assert isinstance(suggestion, Suggestion)
            values = dict(suggestion.parameters)
            setting = tuple(values[name] for name in NAMES)
            start = Started(number, 0.0, values, memory=suggestion.memory)
        value = world.try_out(setting)
        events: list[SearchEvent] = [start, Measured(number, 0.0, 1, {"value": value})]
        for event in [*events, Ended(number, 0.0, "completed")]:
            strategy.tell(event)


def play(number: int, noise: float, run: Callable[[World], None]) -> Outcome:
    """Return the outcome of one run, and of keep or discard by hand at the same cost."""
    world = World(number, noise)
    run(world)
    ranked = sorted(range(TRIALS), key=lambda index: -world.found[index])[:TOP]
    result = confirm(ranked, world.found, world.measure, world.rng, baseline=0)
    assert result.taken is not None
    assert result.baseline is not None
    taken = result.taken.parameters["x"]
    assert isinstance(taken, int)
    gain = result.candidates[result.baseline].worse or Estimate(0.0, 0.0, 0.0)

    hand = World(number, noise)
    proposer, kept = Proposer(hand), [0]
    for index in range(TRIALS + result.trials):
        if hand.try_out(proposer.propose()) > hand.found[kept[-1]]:
            kept.append(index)
    truths = [hand.truth(hand.settings[index]) for index in kept]
    return Outcome(
        by_hand=truths[-1] - truths[0],
        keeps=len(kept) - 1,
        false=sum(new <= old for old, new in pairwise(truths)),
        claimed=hand.found[kept[-1]] - hand.found[0],
        true=world.truth(world.settings[taken]) - world.truth(world.start),
        gain=gain,
        trainings=TRIALS + result.trials,
    )


def main() -> None:
    """Print one line for each way and amount of noise."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(
        "| way | noise | trainings | true gain: by hand / confirmed | claimed gain too large: "
        "the same | interval right | called real, wrongly | keeps by hand, false |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, run in (("proposals alone", run_alone), ("with the search", run_with_search)):
        for noise in NOISE:
            outcomes = [play(number, noise, run) for number in range(runs)]
            cells = [
                f"{name} | {noise:g} | {fmean(each.trainings for each in outcomes):.0f}",
                f"{fmean(each.by_hand for each in outcomes):.3f} / "
                f"{fmean(each.true for each in outcomes):.3f}",
                f"{fmean(each.claimed - each.by_hand for each in outcomes):.3f} / "
                f"{fmean(each.gain.mean - each.true for each in outcomes):.3f}",
                f"{100 * fmean(each.covered for each in outcomes):.1f} %",
                f"{100 * fmean(each.is_real for each in outcomes):.0f} %, "
                f"{100 * fmean(each.is_real and each.true <= 0 for each in outcomes):.1f} %",
                f"{fmean(each.keeps for each in outcomes):.1f}, "
                f"{100 * sum(o.false for o in outcomes) / sum(o.keeps for o in outcomes):.0f} %",
            ]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
