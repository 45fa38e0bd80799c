"""Compare synopses with searches on the whole graph at equal CPU time: the README's table.

Each method runs with five seeds until its trials have used the longest time. Its score after each
time is that of the best trial on the whole graph that had ended by then. Runs are in the ledger, so
`cloudtune report` shows them, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import cloudtune

SEEDS = range(1, 6)
TIMES = 1.5, 3, 6  # CPU seconds
SYNOPSIS, SYNOPSIS_SECONDS = 600, 0.75
TASKS = sys.argv[1:] or ["classification", "link-prediction"]
WHOLE = 1797
Measurements = list[tuple[float, float, float]]


def main() -> None:
    """Run all methods and print the table."""
    for task in TASKS:
        columns = " | ".join(f"{seconds} CPU s" for seconds in TIMES)
        print(f"\n| {task} | {columns} | test, {TIMES[-1]} CPU s |")
        print("|---" * (len(TIMES) + 2) + "|")
        ids = []
        for name in ("hyperband on synopses", "synopsis, then whole", "random", "bayesian"):
            runs = [run(name, task, seed) for seed in SEEDS]
            ids += [each[0] for each in runs]
            print_row(name, [each[1] for each in runs])
        print(f"\ncloudtune report {' '.join(ids)} -o {task}.html")


def run(name: str, task: str, seed: int) -> tuple[str, Measurements]:
    """Run a method, and return the id of its last run and what it measured on the whole graph."""
    overrides = [f"name={name}, {task}", f"constants.task={task}", f"strategy.seed={seed}"]
    overrides += ["limits={max_trials: 999, parallel_trials: 1}"]
    if name.startswith("hyperband"):
        return execute("study.yaml", overrides, TIMES[-1])
    if name in {"random", "bayesian"}:
        return execute("whole.yaml", [*overrides, f"strategy.name={name}"], TIMES[-1])
    first = [*overrides, f"constants.nodes={SYNOPSIS}"]
    parent, _ = execute("whole.yaml", first, SYNOPSIS_SECONDS)
    second = [*overrides, f"warm_start={{from: {parent}, kind: transfer}}"]
    last, measured = execute("whole.yaml", second, TIMES[-1] - SYNOPSIS_SECONDS)
    return last, [(SYNOPSIS_SECONDS + used, *scores) for used, *scores in measured]


def execute(file: str, overrides: list[str], seconds: float) -> tuple[str, Measurements]:
    """Run a study until its trials have used some CPU time."""
    running = cloudtune.start(cloudtune.load(file, overrides=overrides))
    while sum(used for used, *_ in measurements(running)) < seconds:
        time.sleep(0.2)
    running.stop()
    running.wait()
    total, whole = 0.0, []
    for used, nodes, score, test_score in measurements(running):
        total += used
        if nodes == WHOLE:
            whole.append((total, score, test_score))
    return running.id, whole


def measurements(running: cloudtune.Run) -> Iterator[tuple[float, int, float, float]]:
    """Yield the CPU seconds, nodes and scores of each measurement, in order of time."""
    measured = [m for trial in running.results().trials for m in trial.measurements]
    for each in sorted(measured, key=lambda each: each.time or 0.0):
        metrics = each.metrics
        yield metrics["cpu_seconds"], each.step, metrics["score"], metrics["test_score"]


def print_row(name: str, runs: list[Measurements]) -> None:
    """Print the best score after each time, and the test score of the last one."""
    cells = []
    for seconds in TIMES:
        by_then = [[m for m in measured if m[0] <= seconds] for measured in runs]
        best = [max(each, key=lambda m: m[1], default=None) for each in by_then]
        cells.append(spread([each[1] if each else None for each in best]))
    cells.append(spread([each[2] if each else None for each in best]))
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def spread(values: list[float | None]) -> str:
    """Return the mean and the range of scores."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return f"none in {len(values) - len(known)} of {len(values)} runs"
    return f"{sum(known) / len(known):.3f} ({min(known):.3f} to {max(known):.3f})"


if __name__ == "__main__":
    main()
