"""Search quality of cloudtune and of other packages. Run by hand.

    python -m benchmarks.compare run --optimizers cloudtune optuna-tpe --seeds 20
    python -m benchmarks.compare run --optimizers smac --tasks trained --seeds 3
    python -m benchmarks.compare table --parallel 1
    python -m benchmarks.compare table --by task --optimizers cloudtune optuna-tpe

``run`` appends each result to the cache and skips those that exist, so it can be stopped at any
time. ``--tasks`` takes names of tasks and of groups (comparison_tasks.py). ``store`` writes the
results of the other packages to ``competitors.json``, which ``table`` reads as well, so that
repeating cloudtune's part suffices.

The regret is the true value of the trial with the best measurement, scaled so that 0 is the best
assignment of the space and 1 a typical one. Several trials at a time have random durations.
Measurements, durations and their order repeat with the seed. A run is stuck if its regret exceeds
what nine of ten random searches with as many trials reach, or is no better than that of the best
assignment in another branch of a conditional space (comparison_tasks.py).

Ranks compare the mean regrets of a task. Their 95 % intervals are bootstrap intervals that resample
the tasks, and the seeds of each task. CPU seconds are those of choosing and recording 100 trials,
the median of the runs.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from random import Random
from typing import Any

from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.comparison_results import (
    MARKS,
    Run,
    append_result,
    print_tables,
    read_results,
    store_results,
)
from benchmarks.comparison_tasks import GROUPS, TASKS
from benchmarks.optimizers import OPTIMIZERS, make_optimizer, version_of
from benchmarks.quality_tasks import Task


def search(
    name: str, task: Task, seed: int, trials: int, parallel: int
) -> tuple[list[float], float]:
    """Return the regret after each trial, and the CPU seconds of the optimizer."""
    optimizer = make_optimizer(name, task, seed, trials)
    cpu = 0.0
    running: list[tuple[float, int, Any, Mapping[str, Any]]] = []
    curve: list[float] = []
    now, started, best, regret, limit = 0.0, 0, math.inf, math.inf, trials
    while len(curve) < limit:
        while len(running) < parallel and started < limit:
            begin = time.process_time()
            try:
                handle, assignment = optimizer.ask()
            except StopIteration:
                limit = started
                break
            finally:
                cpu += time.process_time() - begin
            length = Random(f"length:{seed}:{started}").lognormvariate(0, 0.5)
            heapq.heappush(running, (now + length, started, handle, assignment))
            started += 1
        if not running:
            break
        now, number, handle, assignment = heapq.heappop(running)
        value = task.measure(assignment, Random(f"{task.name}:{seed}:{number}"))
        begin = time.process_time()
        optimizer.tell(handle, value)
        cpu += time.process_time() - begin
        if value < best:
            best, regret = value, task.regret(assignment)
        curve.append(regret)
    return curve + [regret] * (trials - len(curve)), cpu


def run_all(args: argparse.Namespace) -> None:
    """Run what is missing, seed by seed."""
    marks = [mark for mark in MARKS if mark <= args.trials]
    known = {run.key for run in read_results() if len(run.regrets) >= len(marks)}
    names = _task_names(args.tasks)
    versions = {name: version_of(name) for name in args.optimizers}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    end = time.monotonic() + 60 * args.minutes
    make_task = cache(_make_task)
    runs: Any = product(seeds, args.parallel, names, args.optimizers)
    for seed, parallel, name, optimizer in runs:
        if (name, optimizer, versions[optimizer], parallel, seed) in known:
            continue
        if time.monotonic() > end:
            break
        try:
            curve, cpu = search(optimizer, make_task(name), seed, args.trials, parallel)
        except Exception as error:  # noqa: BLE001 - the others continue
            print(f"{optimizer}, {name}, seed {seed}: {error!r}", file=sys.stderr)
            continue
        regrets = [round(curve[mark - 1], 5) for mark in marks]
        run = Run(name, optimizer, versions[optimizer], seed, parallel, regrets, round(cpu, 3))
        append_result(run)
        print(f"{optimizer}, {name}, seed {seed}, {parallel} at a time: {regrets[-1]}, {cpu:.1f} s")


def _make_task(name: str) -> Task:
    return TASKS[name]()


def _task_names(names: Iterable[str]) -> list[str]:
    chosen: dict[str, None] = {}
    for name in names:
        if name not in GROUPS and name not in TASKS:
            sys.exit(f"unknown task or group {name}; these exist: {', '.join([*GROUPS, *TASKS])}")
        chosen |= dict.fromkeys(GROUPS.get(name, [name]))
    return list(chosen)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "table"):
        command = commands.add_parser(name)
        command.add_argument(
            "--optimizers", nargs="+", choices=[*OPTIMIZERS], default=[], required=name == "run"
        )
        command.add_argument("--tasks", nargs="+", default=["all"], help="names or groups")
        command.add_argument("--parallel", nargs="+", type=int, default=[1])
        command.add_argument("--trials", type=int, default=100, choices=MARKS[1:])
        if name == "table":
            command.add_argument("--by", choices=["kind", "task"], default="kind")
            continue
        command.add_argument("--seeds", type=int, default=20)
        command.add_argument("--first-seed", type=int, default=0)
        command.add_argument("--minutes", type=float, default=math.inf, help="stop after them")
    commands.add_parser("store")
    args = parser.parse_args()
    threadpool_limits(1)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    match args.command:
        case "run":
            run_all(args)
        case "table":
            print_tables(
                _task_names(args.tasks),
                args.optimizers,
                args.parallel,
                trials=args.trials,
                by_task=args.by == "task",
            )
        case _:
            store_results()


if __name__ == "__main__":
    main()
