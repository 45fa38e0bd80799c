"""The loop of a coding assistant: propose one change at a time to the latest run, keep or discard.

A script stands in for the language model: in a loop of your own, `next_change` asks the model. If
this is killed, start it again: what was measured before is answered at once.
"""

import random
import time

import cloudtune

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
    """Propose changes until the run has all its trials."""
    while not any(trial.ended for trial in run.results().trials[:1]):
        time.sleep(0.1)  # until the first trial ends, which has the script's defaults
    first = run.results().trials[0]
    kept, best = dict(first.parameters), first.objective[0] if first.objective else 0.0
    while True:
        setting, why = next_change(kept, rng)
        try:
            trial = run.propose(setting, why=why, wait=True).trial
        except cloudtune.UsageError as ended:
            print(ended)
            return
        accuracy = trial.objective[0] if trial and trial.objective else 0.0
        print(f"{'keep' if accuracy > best else 'discard':8}{accuracy:.3f}  {why}", flush=True)
        if accuracy > best:
            kept, best = setting, accuracy


if __name__ == "__main__":
    take_part(cloudtune.find_run(), random.Random(1))
