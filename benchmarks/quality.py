"""Compares two searches pair by pair, and measures what a choice costs. Run by hand.

    python -m benchmarks.quality                     milliseconds to choose a trial
    python -m benchmarks.quality --method tpe

The table of `compare` shows the median of the regrets over the seeds and, for all tasks, the mean
of the medians. The difference is the first search minus the second, paired by task and seed, so
negative values favor the first. A task has the t-interval over the seeds; the mean of the tasks has
a 95 % bootstrap interval that resamples the seeds of each task.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from benchmarks.quality_tasks import Task, study_of
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, is_active

Curve = Sequence[float]
"""The regret after each trial."""
Search = Callable[[Task, int, int, int], Curve]
"""Takes a task, a seed, the number of trials and how many run at a time."""


def suggest_assignment(trial: Any, nodes: Sequence[Any]) -> dict[str, Value]:
    """Return the assignment that Optuna suggests for a trial."""
    assignment: dict[str, Value] = {}
    for node in nodes:
        if is_active(node, assignment):
            assignment[node.name] = _suggest_value(trial, node.name, node.parameter)
    return assignment


def _suggest_value(trial: Any, name: str, parameter: Any) -> Value:
    match parameter.type:
        case "float" | "int":
            suggest = trial.suggest_float if parameter.type == "float" else trial.suggest_int
            value: Value = suggest(name, parameter.min, parameter.max, log=parameter.scale == "log")
        case "discrete":
            value = parameter.values[trial.suggest_int(name, 0, len(parameter.values) - 1)]
        case "bool":
            value = trial.suggest_categorical(name, [False, True])
        case _:
            value = trial.suggest_categorical(name, parameter.values)
    return value


def compare(
    tasks: Iterable[Task],
    sides: tuple[tuple[str, Search, int], tuple[str, Search, int]],
    seeds: int,
    marks: Sequence[int],
) -> None:
    """Print the regrets of two searches after some numbers of trials, and their difference."""
    names = [name for name, _, _ in sides]
    print(f"median regret of {names[0]} / {names[1]}, mean difference [95 %], {seeds} seeds\n")
    print("| task | " + " | ".join(f"after {mark}" for mark in marks) + " |")
    print("|---|" + "---|" * len(marks))
    differences_by_mark: list[list[list[float]]] = [[] for _ in marks]
    levels: list[list[tuple[float, float]]] = [[] for _ in marks]
    for task in tasks:
        curves = [
            [search(task, seed, max(marks), parallel) for seed in range(seeds)]
            for _, search, parallel in sides
        ]
        cells: list[str] = []
        for i, mark in enumerate(marks):
            left, right = ([curve[mark - 1] for curve in side] for side in curves)
            differences = [a - b for a, b in zip(left, right, strict=True)]
            half = _student_t(seeds) * statistics.stdev(differences) / seeds**0.5
            mean = statistics.fmean(differences)
            levels[i].append((statistics.median(left), statistics.median(right)))
            differences_by_mark[i].append(differences)
            cells.append(_cell(*levels[i][-1], mean, mean - half, mean + half))
        print(f"| {task.name} | " + " | ".join(cells) + " |", flush=True)
    cells = [
        _cell(
            statistics.fmean(a for a, _ in level),
            statistics.fmean(b for _, b in level),
            statistics.fmean(statistics.fmean(row) for row in rows),
            *bootstrap_interval(rows),
        )
        for level, rows in zip(levels, differences_by_mark, strict=True)
    ]
    print("| all | " + " | ".join(cells) + " |")


COSTLY: Mapping[str, Any] = {
    "rate": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
    "decay": {"type": "float", "min": 0, "max": 1},
    "share": {"type": "float", "min": 0, "max": 1},
    "width": {"type": "int", "min": 1, "max": 100},
    "kind": {"type": "categorical", "values": ["a", "b", "c"]},
}


def cost(strategy: Any, marks: Sequence[int] = (100, 1_000, 10_000), count: int = 60) -> None:
    """Print the time to choose one trial of five parameters and to record its result.

    Trials up to each mark are random. The time is the mean of the next ``count`` trials.
    """
    searcher = make_strategy(study_of(COSTLY, strategy), 1)
    random_search = make_strategy(study_of(COSTLY, "random"), 2)
    random = Random(3)

    def tell(number: int, suggestion: Suggestion | str) -> None:
        assert isinstance(suggestion, Suggestion)
        params: Any = suggestion.parameters
        loss = (params["decay"] - 0.3) ** 2 + (params["width"] / 100 - 0.4) ** 2
        loss += (params["kind"] == "b") + 0.01 * random.random()
        searcher.tell(Started(number, 0.0, suggestion.parameters, memory=suggestion.memory))
        searcher.tell(Measured(number, 0.0, 1, {"loss": loss}))
        searcher.tell(Ended(number, 0.0, "completed"))

    print("| trials | ms of CPU | ms |\n|---|---|---|")
    done = 0
    for mark in marks:
        for index in range(done, mark):
            tell(index + 1, random_search.ask(index))
        done = mark + count
        for index in range(mark, mark + 4):
            searcher.ask(index)  # excludes imports and other one-time work
        before = time.perf_counter(), time.process_time()
        for index in range(mark, done):
            tell(index + 1, searcher.ask(index))
        wall, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
        print(f"| {mark:,} | {1e3 * cpu / count:.1f} | {1e3 * wall / count:.1f} |", flush=True)


def _cell(own: float, other: float, mean: float, low: float, high: float) -> str:
    better = " better" if high < 0 else " worse" if low > 0 else ""
    return f"{own:.3f} / {other:.3f}, {mean:+.3f} [{low:+.3f} to {high:+.3f}]{better}"


def _student_t(count: int) -> float:
    """Return the 97.5 % quantile of Student's t for the mean of ``count`` values (count > 4)."""
    degrees = count - 1
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def bootstrap_interval(rows: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of the means, resampling each row."""
    random = Random(0)
    means = sorted(
        statistics.fmean(statistics.fmean(random.choices(row, k=len(row))) for row in rows)
        for _ in range(2_000)
    )
    return means[49], means[1949]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--method", help="of bayesian; the default is no method")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cost({"name": "bayesian", "method": args.method})


if __name__ == "__main__":
    main()
