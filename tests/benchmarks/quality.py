"""How good the search is: run by hand, prints regrets beside those of Optuna's defaults.

    python -m tests.benchmarks.quality tables              15 tables of real trainings
    python -m tests.benchmarks.quality conditional         trees of conditions
    python -m tests.benchmarks.quality functions           functions, smooth to discrete
    python -m tests.benchmarks.quality parallel            functions, eight trials at a time
    python -m tests.benchmarks.quality long                500 trials
    python -m tests.benchmarks.quality cost                milliseconds to choose a trial

with ``--seeds 30``, ``--method tpe`` (or gp) and ``--only FIRST`` (tasks whose names begin so).
Run it in the repository's folder, with the packages of the extra `bench`.

A regret is how far the trial with the best measurement truly lies from the best of the space, where
1 is a typical assignment and 0 the best one; its median over the seeds is shown, and for all tasks
the mean of these. Both sides see the same noise: a measurement's chance
derives from task, seed and number of the trial. The difference is ours less Optuna's, paired by
task and seed, below 0 where ours is better. Its interval is the t-interval over the seeds for a
task; for the mean of the tasks it is a bootstrap of 95 % that draws seeds within each task.
"""

from __future__ import annotations

import argparse
import heapq
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, is_active, list_nodes
from tests.benchmarks import quality_tasks
from tests.benchmarks.quality_tasks import Task, study_of

Curve = Sequence[float]
"""The regret after each trial."""
Search = Callable[[Task, int, int, int], Curve]
"""Gets a task, a seed, how many trials, and how many run at a time."""


class Race:
    """Trials of one task, several at a time, each as long as chance has it."""

    def __init__(self, task: Task, seed: int, trials: int, parallel: int) -> None:
        self._task = task
        self._seed = seed
        self._trials = trials
        self._parallel = parallel

    def run(
        self,
        start: Callable[[int], tuple[Any, Mapping[str, Value]]],
        end: Callable[[Any, float], None],
    ) -> Curve:
        """Start trials by number, end them with what they measured, and return the regrets."""
        running: list[tuple[float, int, Any, Mapping[str, Value]]] = []
        curve: list[float] = []
        now, started, best, regret = 0.0, 0, float("inf"), 1.0
        while len(curve) < self._trials:
            while len(running) < self._parallel and started < self._trials:
                trial, given = start(started)
                length = Random(f"length:{self._seed}:{started}").lognormvariate(0, 0.5)
                heapq.heappush(running, (now + length, started, trial, given))
                started += 1
            now, number, trial, given = heapq.heappop(running)
            value = self._task.measured(given, Random(f"{self._task.name}:{self._seed}:{number}"))
            end(trial, value)
            if value < best:
                best, regret = value, self._task.regret(given)
            curve.append(regret)
        return curve


def ours(strategy: Any) -> Search:
    """Return a search by a strategy of cloudtune."""

    def search(task: Task, seed: int, trials: int, parallel: int) -> Curve:
        chooser = make_strategy(study_of(task.parameters, strategy), seed)

        def start(draw: int) -> tuple[int, Mapping[str, Value]]:
            chosen = chooser.ask(draw)
            assert isinstance(chosen, Suggestion)
            chooser.tell(Started(draw + 1, 0.0, chosen.parameters, memory=chosen.memory))
            return draw + 1, chosen.parameters

        def end(number: int, value: float) -> None:
            chooser.tell(Measured(number, 0.0, 1, {"loss": value}))
            chooser.tell(Ended(number, 0.0, "completed"))

        return Race(task, seed, trials, parallel).run(start, end)

    return search


def optuna_default(task: Task, seed: int, trials: int, parallel: int) -> Curve:
    """Search as Optuna does by default; ordered values are whole numbers to it."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    nodes = list_nodes(study_of(task.parameters))

    def start(_: int) -> tuple[Any, Mapping[str, Value]]:
        trial = study.ask()
        given: dict[str, Value] = {}
        for node in nodes:
            if is_active(node, given):
                given[node.name] = suggested(trial, node.name, node.parameter)
        return trial, given

    def end(trial: Any, value: float) -> None:
        study.tell(trial, value)

    return Race(task, seed, trials, parallel).run(start, end)


def suggested(trial: Any, name: str, parameter: Any) -> Value:
    """Return what a trial of Optuna is given for a parameter."""
    match parameter.type:
        case "float" | "int":
            suggest = trial.suggest_float if parameter.type == "float" else trial.suggest_int
            found: Value = suggest(name, parameter.min, parameter.max, log=parameter.scale == "log")
        case "discrete":
            found = parameter.values[trial.suggest_int(name, 0, len(parameter.values) - 1)]
        case "bool":
            found = trial.suggest_categorical(name, [False, True])
        case _:
            found = trial.suggest_categorical(name, parameter.values)
    return found


def compare(
    tasks: Iterable[Task],
    sides: tuple[tuple[str, Search, int], tuple[str, Search, int]],
    seeds: int,
    marks: Sequence[int],
) -> None:
    """Print the regrets of two searches at some numbers of trials, and their difference."""
    names = [name for name, _, _ in sides]
    print(f"median regret of {names[0]} / {names[1]}, mean difference [95 %], {seeds} seeds\n")
    print("| task | " + " | ".join(f"after {mark}" for mark in marks) + " |")
    print("|---|" + "---|" * len(marks))
    everything: list[list[list[float]]] = [[] for _ in marks]
    levels: list[list[tuple[float, float]]] = [[] for _ in marks]
    for task in tasks:
        curves = [
            [search(task, seed, max(marks), parallel) for seed in range(seeds)]
            for _, search, parallel in sides
        ]
        cells: list[str] = []
        for place, mark in enumerate(marks):
            left, right = ([curve[mark - 1] for curve in side] for side in curves)
            differences = [a - b for a, b in zip(left, right, strict=True)]
            half = _student(seeds) * statistics.stdev(differences) / seeds**0.5
            mean = statistics.fmean(differences)
            levels[place].append((statistics.median(left), statistics.median(right)))
            everything[place].append(differences)
            cells.append(_cell(*levels[place][-1], mean, mean - half, mean + half))
        print(f"| {task.name} | " + " | ".join(cells) + " |", flush=True)
    cells = [
        _cell(
            statistics.fmean(a for a, _ in level),
            statistics.fmean(b for _, b in level),
            statistics.fmean(statistics.fmean(row) for row in rows),
            *_bootstrapped(rows),
        )
        for level, rows in zip(levels, everything, strict=True)
    ]
    print("| all | " + " | ".join(cells) + " |")


COSTLY: Mapping[str, Any] = {
    "rate": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
    "decay": {"type": "float", "min": 0, "max": 1},
    "share": {"type": "float", "min": 0, "max": 1},
    "width": {"type": "int", "min": 1, "max": 100},
    "kind": {"type": "categorical", "values": ["a", "b", "c"]},
}


def cost(strategy: Any, marks: Sequence[int] = (100, 1_000, 10_000), asked: int = 60) -> None:
    """Print what it costs to choose one of five parameters' trials and to tell of it.

    Up to each mark the trials are drawn by chance; then so many are chosen and averaged.
    """
    chooser = make_strategy(study_of(COSTLY, strategy), 1)
    chance = make_strategy(study_of(COSTLY, "random"), 2)
    random = Random(3)

    def tell(number: int, chosen: Suggestion | str) -> None:
        assert isinstance(chosen, Suggestion)
        given: Any = chosen.parameters
        loss = (given["decay"] - 0.3) ** 2 + (given["width"] / 100 - 0.4) ** 2
        loss += (given["kind"] == "b") + 0.01 * random.random()
        chooser.tell(Started(number, 0.0, chosen.parameters, memory=chosen.memory))
        chooser.tell(Measured(number, 0.0, 1, {"loss": loss}))
        chooser.tell(Ended(number, 0.0, "completed"))

    print("| trials | ms of CPU | ms |\n|---|---|---|")
    told = 0
    for mark in marks:
        for draw in range(told, mark):
            tell(draw + 1, chance.ask(draw))
        told = mark + asked
        for draw in range(mark, mark + 4):
            chooser.ask(draw)  # so that what is imported and made once does not count
        before = time.perf_counter(), time.process_time()
        for draw in range(mark, told):
            tell(draw + 1, chooser.ask(draw))
        wall, cpu = time.perf_counter() - before[0], time.process_time() - before[1]
        print(f"| {mark:,} | {1e3 * cpu / asked:.1f} | {1e3 * wall / asked:.1f} |", flush=True)


def _cell(ours: float, other: float, mean: float, low: float, high: float) -> str:
    better = " better" if high < 0 else " worse" if low > 0 else ""
    return f"{ours:.3f} / {other:.3f}, {mean:+.3f} [{low:+.3f} to {high:+.3f}]{better}"


def _student(count: int) -> float:
    """Return the 97.5 % point of Student's distribution for a mean of so many (count > 4)."""
    free = count - 1
    z = 1.959964
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


def _bootstrapped(rows: Sequence[Sequence[float]]) -> tuple[float, float]:
    random = Random(0)
    means = sorted(
        statistics.fmean(statistics.fmean(random.choices(row, k=len(row))) for row in rows)
        for _ in range(2_000)
    )
    return means[49], means[1949]


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    groups = ["tables", "conditional", "functions", "parallel", "long", "cost"]
    parser.add_argument("group", choices=groups)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", help="of bayesian; left out, it chooses by itself")
    parser.add_argument("--only", default="", help="tasks whose names begin so")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    strategy = {"name": "bayesian", "method": given.method}
    if given.group == "cost":
        cost(strategy)
        return
    search = ours(strategy)
    makers = {
        "tables": quality_tasks.tables,
        "conditional": quality_tasks.conditional,
        "functions": quality_tasks.functions,
    }
    group = "functions" if given.group == "parallel" else given.group
    chosen = [group] if group in makers else list(makers)
    tasks = (task for name in chosen for make_task in makers[name]() if (task := make_task()))
    tasks = (task for task in tasks if task.name.startswith(given.only))
    match given.group:
        case "parallel":
            sides = (("eight at a time", search, 8), ("one at a time", search, 1))
        case _:
            sides = (("cloudtune", search, 1), ("Optuna", optuna_default, 1))
    marks = (100, 250, 500) if given.group == "long" else (25, 50, 100)
    compare(tasks, sides, given.seeds, marks)


if __name__ == "__main__":
    main()
