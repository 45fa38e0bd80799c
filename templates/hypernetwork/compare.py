"""Compare hypernetworks with ordinary searches of the same CPU time, and print the README's table.

Each method runs with five seeds. A search has as many trials as fit into the CPU time of the
hypernetwork with which it competes. Runs are in the ledger: `cloudtune report` shows them, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from hypernetwork import train_global
from model import HIGH, INPUTS, LOW, VALID, loss, train

import cloudtune

SEEDS = range(1, 6)
ONE = {"l2": {"type": "float", "min": LOW, "max": HIGH}}
EACH = {f"l2_{number:02}": ONE["l2"] for number in range(INPUTS)}


def main() -> None:
    """Run all methods and print the table."""
    trainings = run("trainings", "search.yaml", 0, EACH, strategy="random", trials=30)
    training = cpu_seconds(trainings) / 30
    print("| | trainings | CPU s | validation loss | wrong on test |\n|---|---|---|---|---|")
    ids: list[str] = []
    for methods, space, values in (
        (["global", "local"], ONE, "1 L2"),
        (["local-each"], EACH, "65 L2"),
    ):
        trials = 0
        for method in methods:
            fixed = {"type": "categorical", "values": [method]}
            seed = {"type": "int", "min": 0, "max": 99999}  # drawn with the seed of the run
            own = {"method": fixed, "seed": seed}
            name = f"{method.removesuffix('-each')} hypernetwork, {values}"
            runs = [run(name, "study.yaml", s, own, strategy="random", trials=1) for s in SEEDS]
            ids += print_row(name, runs)
            trials = max(trials, math.ceil(cpu_seconds(*runs) / len(runs) / training))
        for strategy in ("random", "bayesian"):
            name = f"{strategy} search, {values}"
            runs = [
                run(name, "search.yaml", seed, space, strategy=strategy, trials=trials)
                for seed in SEEDS
            ]
            ids += print_row(name, runs)
    print_response()
    print(f"\ncloudtune report {' '.join(ids)} -o report.html")


def run(
    name: str, file: str, seed: int, parameters: object, *, strategy: str, trials: int
) -> cloudtune.Run:
    """Run a study, with another space and strategy than the file has."""
    study = cloudtune.load(
        file,
        overrides=[
            f"name={name}",
            f"parameters={parameters}",
            f"strategy={{name: {strategy}, seed: {seed}}}",
            f"limits={{max_trials: {trials}, parallel_trials: 1}}",
        ],
    )
    return cloudtune.run(study, show=False)


def cpu_seconds(*runs: cloudtune.Run) -> float:
    """Return the CPU time of the trials of some runs."""
    return sum(t.metrics["cpu_seconds"] for each in runs for t in each.results().trials)


def print_row(name: str, runs: list[cloudtune.Run]) -> list[str]:
    """Print a row of the table, and return the ids of its runs."""
    best = [each.results().best for each in runs]
    losses = [trial.metrics["loss"] for trial in best if trial]
    errors = [100 * trial.metrics["test_error"] for trial in best if trial]
    trainings = len(runs[0].results().trials)
    seconds = cpu_seconds(*runs) / len(runs)
    print(f"| {name} | {trainings} | {seconds:.2f} |", end=" ")
    print(f"{spread(losses, 3)} | {spread(errors, 1)} % |", flush=True)
    return [each.id for each in runs]


def spread(values: Iterable[float], digits: int) -> str:
    """Return the mean and the range of some values."""
    values = list(values)
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def print_response() -> None:
    """Print how far the losses that global hypernetworks predict are from those of trainings."""
    apart = []
    for seed in SEEDS:
        grid, predicted = train_global(seed)
        true = [loss(train(np.full(INPUTS, l2)), VALID)[0] for l2 in grid[::5]]
        apart.append(np.abs(predicted[::5] - true))
    mean, most = np.mean(apart), np.max(apart)
    print(f"\nThe predicted losses are off by {mean:.3f} on average and {most:.3f} at most.")


if __name__ == "__main__":
    main()
