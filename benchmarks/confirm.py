"""How often a confirmation names the best trial, on made-up studies with known truth.

Usage: python benchmarks/confirm.py [STUDIES]

Each study draws settings with true values from a normal distribution with a standard deviation of
1, as a random search would, and measures each once with noise. Then there are three ways to end:
take the winner and its value; run as many further trials as a confirmation would, and take the
winner of all; confirm the best five, and take what the confirmation says. Noise is half common to
all settings with one seed, half of its own for each training.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from cloudtune.confirmation.analysis import ConfirmationResult, analyze
from cloudtune.confirmation.confidence_sequence import mean_interval
from cloudtune.results.events import Ended, Measured, SearchEvent, Started
from cloudtune.results.model import StudyResult
from cloudtune.results.trials import Trials
from cloudtune.search.confirm_search import ConfirmSearch
from cloudtune.search.protocol import Suggestion
from cloudtune.study.confirmation import Candidate, Confirmation
from cloudtune.study.study import Study

SETTINGS = 40
TOP = 5
SEEDS = 10
STUDY = Study.model_validate(
    {
        "objective": {"metric": "value", "goal": "maximize"},
        "parameters": {"x": {"type": "int", "min": 0, "max": 10**6}},
        "strategy": "list",
        "initial_trials": [{"x": 1}],
    }
)
Noise = Callable[[Random, int], float]
"""Draws the noise of one training of a setting, with a standard deviation of about 1."""


def normal(rng: Random, _setting: int) -> float:
    """Return normal noise."""
    return rng.gauss(0, 1)


def heavy(rng: Random, _setting: int) -> float:
    """Return Student's t with three degrees of freedom, scaled to a standard deviation of 1."""
    return rng.gauss(0, 1) / math.sqrt(rng.gammavariate(1.5, 2))


def unequal(rng: Random, setting: int) -> float:
    """Return normal noise that is up to four times as large for some settings."""
    return rng.gauss(0, (0.5, 0.5, 1.0, 2.0)[setting % 4])


def coarse(rng: Random, _setting: int) -> float:
    """Return noise in steps of a third, as of a metric on few test cases."""
    return round(3 * rng.gauss(0, 1)) / 3


@dataclass
class Outcome:
    """What one study gave."""

    trainings: int
    regret: tuple[float, float, float]
    """Of the winner, of the winner of more trials, and of the confirmed trial."""
    is_best: tuple[bool, bool]
    """Whether the winner and the confirmed trial are the best of the candidates."""
    bias: tuple[float, float, float]
    """By how much the number of each is better than the truth."""
    covered: bool
    """Whether all intervals contain the truth."""
    settled: bool
    wrong: bool
    """Whether it was settled on a trial that is not the best candidate."""


def play(number: int, scale: float, noise: Noise) -> Outcome:
    """Return the outcome of one study."""
    rng = Random(f"{number} {scale} {noise.__name__}")
    truths = [rng.gauss(0, 1) for _ in range(4 * SETTINGS)]

    def measure(setting: int, common: float) -> float:
        own = noise(rng, setting)
        return truths[setting] + scale * math.sqrt(0.5) * (common + own)

    first = rng.gauss(0, 1)
    found = [measure(setting, first) for setting in range(len(truths))]
    ranked = sorted(range(SETTINGS), key=lambda setting: -found[setting])[:TOP]
    result = confirm(ranked, found, measure, rng)
    assert result.taken is not None
    more = range(SETTINGS + result.trials)
    winner, larger = ranked[0], max(more, key=lambda setting: found[setting])
    taken = result.taken.parameters["x"]
    assert isinstance(taken, int)
    assert result.taken.confirmed is not None
    best = max(truths[:SETTINGS])
    top = max(ranked, key=lambda setting: truths[setting])
    numbers = (found[winner], found[larger], result.taken.confirmed.mean)
    chosen = (winner, larger, taken)
    bias = [number - truths[setting] for number, setting in zip(numbers, chosen, strict=True)]
    regret = [best - truths[setting] for setting in chosen]
    return Outcome(
        result.trials,
        (regret[0], regret[1], regret[2]),
        (winner == top, taken == top),
        (bias[0], bias[1], bias[2]),
        is_covered(result, truths),
        result.settled,
        result.settled and taken != top,
    )


def confirm(
    ranked: Sequence[int],
    found: Sequence[float],
    measure: Callable[[int, float], float],
    rng: Random,
    baseline: int | None = None,
) -> ConfirmationResult:
    """Return what a confirmation of the ranked settings finds, with a setting as the baseline."""
    candidates = tuple(
        Candidate(
            f"trial {setting}",
            {"x": setting},
            "candidate",
            setting,
            found[setting],
            is_baseline=setting == baseline,
        )
        for setting in ranked
    )
    if baseline is not None and baseline not in ranked:
        candidates += (Candidate("script's defaults", {"x": baseline}, "baseline"),)
    plan = Confirmation(
        *("first", "local", "value", "maximize", "maximize"),
        candidates,
        tuple(range(1, SEEDS + 1)),
    )
    search, trials = ConfirmSearch(STUDY, plan), Trials(STUDY, "run")
    common = {seed: rng.gauss(0, 1) for seed in plan.seeds}
    number = 0
    while isinstance(suggestion := search.ask(number), Suggestion):
        number += 1
        setting, seed = suggestion.parameters["x"], suggestion.seed
        assert isinstance(setting, int)
        assert seed is not None
        value = measure(setting, common[seed])
        events: list[SearchEvent] = [
            Started(number, 0.0, suggestion.parameters, seed=seed, memory=suggestion.memory),
            Measured(number, 0.0, 1, {"value": value}),
            Ended(number, 0.0, "completed"),
        ]
        for event in events:
            search.tell(event)
            trials.tell(event)
    result = StudyResult(
        *("run", "local", "driven", False, "completed", "", STUDY, "", 0, ()),
        trials=trials.all(),
        confirmation=plan,
    )
    analyzed = analyze(result)
    assert analyzed is not None
    return analyzed


def play_gain(number: int, top: int, gain: float, common: float, noise: Noise) -> tuple[bool, ...]:
    """Return what is said of a gain of settings that are all equally good, over the baseline.

    Whether it is real, whether it exceeds the noise floor, whether the report says so of the search
    itself, whether there is a loss; and whether two further runs of one setting are closer than the
    floor.
    """
    rng = Random(f"{number} {top} {gain} {common} {noise.__name__}")
    best = range(100)

    def measure(setting: int, shared: float) -> float:
        return gain * (setting in best) + common * shared + noise(rng, setting)

    searched = [measure(setting, 0.0) for setting in best]
    ranked = sorted(best, key=lambda setting: -searched[setting])[:top]
    result = confirm(ranked, searched, measure, rng, baseline=len(best))
    assert result.taken is not None
    assert result.baseline is not None
    over = result.candidates[result.baseline].worse
    low = over.low if over and over.low is not None else -math.inf
    high = over.high if over and over.high is not None else math.inf
    floor = result.noise_floor
    confirmed = result.taken.confirmed
    bound = confirmed.low if confirmed and confirmed.low is not None else -math.inf
    single = measure(len(best), rng.gauss(0, 1))  # a trial of the search that is a reference
    two = [measure(0, rng.gauss(0, 1)) for _ in range(2)]
    return (
        low > 0,
        floor is not None and low > floor,
        floor is not None and bound - single > floor,
        high < 0,
        floor is None or abs(two[0] - two[1]) <= floor,
    )


def is_covered(result: ConfirmationResult, truths: Sequence[float]) -> bool:
    """Return whether the differences from the chosen trial contain their true values."""
    taken = result.taken
    assert taken is not None
    for each in result.candidates:
        if each.worse is None:
            continue
        truth = truths[_setting(taken.parameters["x"])] - truths[_setting(each.parameters["x"])]
        low, high = each.worse.low, each.worse.high
        if (low is not None and truth < low) or (high is not None and truth > high):
            return False
    return True


def _setting(value: object) -> int:
    assert isinstance(value, int)
    return value


def covered_share(level: float, sequences: int, length: int = 100) -> float:
    """Return the share of sequences of which every interval contains the truth."""
    rng, covered = Random(level), 0
    for _ in range(sequences):
        values: list[float] = []
        while len(values) < length:
            values.append(rng.gauss(0, 1))
            interval = mean_interval(values, 1 - level)
            if interval.low > 0 or interval.high < 0:
                break
        else:
            covered += 1
    return covered / sequences


def print_gains(studies: int) -> None:
    """Print how often a gain over the baseline is said to be real, and to exceed the floor."""
    print(
        "| gain, noise | repeated | real | above the floor | above a trial | a loss | floor holds |"
    )
    print("|---|---|---|---|---|---|---|")
    cases: list[tuple[float, int, float, Noise]] = [
        *((0.0, top, common, normal) for top in (1, 5) for common in (0.0, 1.0)),
        *((0.0, 5, 0.0, noise) for noise in (heavy, unequal, coarse)),
        *((gain, 5, 0.0, normal) for gain in (2.0, 4.0, 8.0)),
    ]
    for gain, top, common, noise in cases:
        played = [play_gain(number, top, gain, common, noise) for number in range(studies)]
        shares = [100 * fmean(column) for column in zip(*played, strict=True)]
        seeds = ", seeds move all" if common else ""
        cells = [f"{gain:g}, {noise.__name__}{seeds}", f"{top} + baseline"]
        print(
            "| " + " | ".join([*cells, *(f"{share:.1f} %" for share in shares)]) + " |", flush=True
        )


def main() -> None:
    """Print one line for each kind and amount of noise, and then for each gain."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for level in (0.95, 0.8):
        share = 100 * covered_share(level, studies)
        print(f"one interval of {100 * level:.0f} %, all of 100 looks: {share:.1f} % covered")
    print(
        "| noise | trainings | names the best of five | regret | number too good | "
        "covered | settled, wrongly |"
    )
    print("|---|---|---|---|---|---|---|")
    cases: list[tuple[Noise, float]] = [(normal, 0.1), (normal, 0.3), (normal, 1.0)]
    cases += [(heavy, 0.3), (unequal, 0.3), (coarse, 0.3)]
    for noise, scale in cases:
        outcomes = [play(number, scale, noise) for number in range(studies)]
        regrets = [fmean(each.regret[i] for each in outcomes) for i in range(3)]
        biases = [fmean(each.bias[i] for each in outcomes) for i in range(3)]
        best = [fmean(each.is_best[i] for each in outcomes) for i in range(2)]
        cells = [
            f"{noise.__name__}, {scale:g}",
            f"{SETTINGS} + {fmean(each.trainings for each in outcomes):.0f}",
            " / ".join(f"{100 * share:.0f} %" for share in best),
            " / ".join(f"{value:.3f}" for value in regrets),
            " / ".join(f"{value:.3f}" for value in biases),
            f"{100 * fmean(each.covered for each in outcomes):.1f} %",
            f"{100 * fmean(each.settled for each in outcomes):.0f} %, "
            f"{100 * fmean(each.wrong for each in outcomes):.1f} %",
        ]
        print("| " + " | ".join(cells) + " |", flush=True)
    print_gains(studies)


if __name__ == "__main__":
    main()
