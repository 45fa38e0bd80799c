"""The loop of a coding assistant: propose one change at a time to the latest run, keep or discard.

A script stands in for the language model: in a loop of your own, `next_change` asks the model. What
is kept is in the run, so if this is killed, start it again.
"""

import random

import cloudtune

DEFAULTS = {"hidden": 32, "rate": 0.01, "l2": 0.001, "batch": 32, "momentum": 0.8}
RANGES = {
    "hidden": (8, 128),
    "rate": (0.003, 0.3),
    "l2": (0.00001, 1),
    "batch": (16, 128),
    "momentum": (0.5, 0.95),
}


def next_change(kept: dict, rng: random.Random) -> tuple[dict, str]:
    """Return a setting that differs from the kept one in one parameter, and the reason."""
    name = rng.choice(sorted(kept))
    low, high = RANGES[name]
    value = 0.0
    while not low <= value <= high:
        value = kept[name] * 3 ** rng.uniform(-1, 1)
    value = round(value) if isinstance(kept[name], int) else value
    return {**kept, name: value}, f"{name}: {kept[name]:.3g} -> {value:.3g}"


def take_part(run: cloudtune.Run, rng: random.Random) -> None:
    """Propose changes of the run's best trial until it has all its trials or has ended."""
    while True:
        best = run.results().best  # also if the search has found it
        if best is None:  # the first trial, which has these values, still runs or has failed
            setting, why = DEFAULTS, "the script's defaults"
        else:
            setting, why = next_change(dict(best.parameters), rng)
        try:
            trial = run.propose(setting, why=why, wait=True).trial
        except cloudtune.UsageError as ended:
            print(ended)
            return
        accuracy = trial.objective[0] if trial and trial.objective else 0.0
        verdict = "keep" if accuracy > (best.objective[0] if best else 0.0) else "discard"
        print(f"{verdict:8}{accuracy:.3f}  {why}", flush=True)


if __name__ == "__main__":
    take_part(cloudtune.find_run(), random.Random(1))
