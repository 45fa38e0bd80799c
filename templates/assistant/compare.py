"""Compare the assistant, the search, and both, and print the README's table.

What is true is measured here: each setting that matters is trained again with 24 other seeds.
"""

import functools
import json
import random
import subprocess
from itertools import pairwise
from statistics import fmean

from assistant import take_part
from train import accuracy

import cloudtune

SEEDS = range(1, 6)
OTHERS = range(1_000, 1_024)
WAYS = {
    "the assistant": ["strategy.name=external"],
    "the search": [],
    "both": ["strategy.proposals=0.3"],
}


def main() -> None:
    """Run each way with each seed, and print a row of the table."""
    print("| | keeps | false | gain measured | gain confirmed | true gain | called real | false |")
    print("|---|---|---|---|---|---|---|---|")
    for way, overrides in WAYS.items():
        rows = [play(way, overrides, seed) for seed in SEEDS]
        keeps, false, measured, confirmed, true, real, wrong = zip(*rows, strict=True)
        gains = " | ".join(f"{fmean(each):.3f}" for each in (measured, confirmed, true))
        print(f"| {way} | {sum(keeps)} | {sum(false)} | {gains} |", end=" ")
        print(f"{sum(real)} of {len(rows)} | {sum(wrong)} |", flush=True)


def play(way: str, overrides: list[str], seed: int) -> tuple[float, ...]:
    """Run and confirm one way with one seed, and return its figures."""
    study = cloudtune.load("study.yaml", overrides=[*overrides, f"strategy.seed={seed}"])
    run = cloudtune.start(study)
    if way != "the search":
        take_part(run, random.Random(seed))
    return judge(run.wait(), confirm(run.id))


def judge(run: cloudtune.Run, found: dict) -> tuple[float, ...]:
    """Return what a run and its confirmation claim, and what of that is true."""
    first, *others = run.results().trials  # the first has the defaults
    kept = [first]
    for trial in sorted(others, key=lambda trial: trial.ended or 0):
        if trial.objective and trial.objective > kept[-1].objective:
            kept.append(trial)
    false = sum(truth(new) <= truth(old) for old, new in pairwise(t.parameters for t in kept))
    measured = kept[-1].objective[0] - kept[0].objective[0]

    taken, baseline = (found["candidates"][found[key]] for key in ("take", "baseline"))
    gain = baseline.get("worse", {"mean": 0.0})
    true = truth(taken["parameters"]) - truth(baseline["parameters"])
    is_real = gain.get("low", 0) > 0
    return len(kept) - 1, false, measured, gain["mean"], true, is_real, is_real and true <= 0


def confirm(run: str) -> dict:
    """Return what a confirmation of a run finds."""
    words = ["cloudtune", "confirm", run, "--baseline", "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    (result,) = json.loads(done.stdout)
    return result


def truth(parameters: dict) -> float:
    """Return the mean accuracy of a setting with seeds that no run has used."""
    return mean_accuracy(tuple(sorted(parameters.items())))


@functools.cache
def mean_accuracy(parameters: tuple) -> float:
    """Return the mean of 24 trainings."""
    return fmean(accuracy(dict(parameters), seed) for seed in OTHERS)


if __name__ == "__main__":
    main()
