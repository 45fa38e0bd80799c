"""Compare self-tuning with searches for fixed rates, and print the README's tables.

Each method runs with five seeds. Runs are in the ledger: `cloudtune report` shows them, too.
"""

from __future__ import annotations

import cloudtune

SEEDS = range(1, 6)
STARTS = 0.05, 0.5, 0.9
TRIALS = 2, 5, 10
Best = tuple[float, float]
"""A validation loss and a test error."""


def main() -> None:
    """Run all methods and print the tables."""
    ids: list[str] = []
    replays = []
    print("| | trainings | CPU s | validation loss | wrong on test |\n|---|---|---|---|---|")
    for start in STARTS:
        name = f"self-tuning from {start}"
        parameters = {
            "start": {"type": "discrete", "values": [start]},
            "seed": {"type": "int", "min": 0, "max": 99999},  # drawn with the seed of the run
        }
        more = [f"parameters={parameters}", "constants={replay: true}"]
        runs = [run(name, "study.yaml", seed, "random", [*more, *limits(1)]) for seed in SEEDS]
        ids += [each.id for each in runs]
        print_row(name, runs, 1)
        replays.append((start, [best_of(each, 1)[0] for each in runs], replayed(runs)))
    for strategy in ("random", "bayesian"):
        name = f"{strategy} search"
        runs = [run(name, "search.yaml", seed, strategy, limits(TRIALS[-1])) for seed in SEEDS]
        ids += [each.id for each in runs]
        for count in TRIALS:
            print_row(name, runs, count)
    print("\n| start | self-tuning | its schedule | its final rates | schedule better |")
    print("|---|---|---|---|---|")
    for start, own, (schedule, final) in replays:
        wins = sum(a < b for a, b in zip(schedule, final, strict=True))
        print(
            f"| {start} | {spread(own, 3)} | {spread(schedule, 3)} | {spread(final, 3)} |", end=" "
        )
        print(f"{wins} of {len(own)} |")
    print(f"\ncloudtune report {' '.join(ids)} -o report.html")


def limits(trials: int) -> list[str]:
    """Return the override that limits the trials."""
    return [f"limits={{max_trials: {trials}, parallel_trials: 2}}"]


def run(name: str, file: str, seed: int, strategy: str, more: list[str]) -> cloudtune.Run:
    """Run a study with another strategy than the file has."""
    overrides = [f"name={name}", f"strategy={{name: {strategy}, seed: {seed}}}", *more]
    return cloudtune.run(cloudtune.load(file, overrides=overrides), show=False)


def best_of(run: cloudtune.Run, count: int) -> Best:
    """Return the best of the measurements of the first trials."""
    measured = [m.metrics for t in run.results().trials[:count] for m in t.measurements]
    return min((m["loss"], m["test_error"]) for m in measured if "loss" in m)


def replayed(runs: list[cloudtune.Run]) -> tuple[list[float], list[float]]:
    """Return the losses of trainings with the schedules, and with their final rates."""
    trials = [each.results().trials[0].metrics for each in runs]
    return [t["schedule_loss"] for t in trials], [t["final_loss"] for t in trials]


def print_row(name: str, runs: list[cloudtune.Run], count: int) -> None:
    """Print the best results of the first trials of some runs."""
    trials = [trial for each in runs for trial in each.results().trials[:count]]
    seconds = sum(trial.metrics["cpu_seconds"] for trial in trials) / len(runs)
    best = [best_of(each, count) for each in runs]
    losses, errors = [each[0] for each in best], [100 * each[1] for each in best]
    print(f"| {name} | {count} | {seconds:.1f} |", end=" ")
    print(f"{spread(losses, 3)} | {spread(errors, 1)} % |", flush=True)


def spread(values: list[float], digits: int) -> str:
    """Return the mean and the range of some values."""
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
