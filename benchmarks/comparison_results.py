"""The results of compare.py and their tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison_tasks import TASKS, kind_of, stuck_bounds
from benchmarks.optimizers import OPTIMIZERS
from benchmarks.quality_tasks import CACHE

MARKS = (10, 25, 40, 50, 100)
"""The numbers of trials after which the regret is recorded."""
RESULTS = CACHE / "comparison.jsonl"
STORED = Path(__file__).with_name("competitors.json")


@dataclass(frozen=True)
class Run:
    """The result of one search."""

    task: str
    optimizer: str
    version: str
    seed: int
    parallel: int
    regrets: Sequence[float]
    """After each mark."""
    cpu: float

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What identifies the run."""
        return self.task, self.optimizer, self.version, self.parallel, self.seed


def append_result(run: Run) -> None:
    """Add a result to the cache."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(vars(run)) + "\n")


def read_results() -> list[Run]:
    """Return the results of the cache and of the repository."""
    runs: dict[Any, Run] = {}
    if STORED.exists():
        for row in json.loads(STORED.read_text("utf-8"))["runs"]:
            task, optimizer, version, parallel, cpu, seeds = row
            for seed, regrets in seeds.items():
                run = Run(task, optimizer, version, int(seed), parallel, regrets, cpu)
                runs[run.key] = run
    if RESULTS.exists():
        for line in RESULTS.read_text("utf-8").splitlines():
            run = Run(**json.loads(line))
            if run.key not in runs or len(runs[run.key].regrets) <= len(run.regrets):
                runs[run.key] = run
    return list(runs.values())


def store_results() -> None:
    """Write the results of the other packages to the repository, with their median CPU."""
    groups: dict[tuple[str, str, str, int], list[Run]] = {}
    for run in read_results():
        if not run.optimizer.startswith("cloudtune"):
            key = run.task, run.optimizer, run.version, run.parallel
            groups.setdefault(key, []).append(run)
    rows = [
        [
            *key,
            float(f"{np.median([run.cpu for run in runs]):.3g}"),
            {
                run.seed: [float(f"{r:.3g}") for r in run.regrets]
                for run in sorted(runs, key=lambda run: run.seed)
            },
        ]
        for key, runs in sorted(groups.items())
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    STORED.write_text(f'{{"marks": {list(MARKS)}, "runs": [\n{lines}\n]}}\n', "utf-8")
    print(f"{STORED}: {STORED.stat().st_size / 1000:.0f} kB")


Regrets = dict[str, dict[str, NDArray[np.float64]]]
"""By optimizer and task: a row for each seed, a column for each mark."""


def print_tables(
    wanted: Sequence[str],
    names: Sequence[str],
    parallels: Sequence[int],
    *,
    trials: int,
    by_task: bool,
) -> None:
    """Print the tables."""
    marks = [mark for mark in (25, 50, 100) if mark < trials] + [trials]
    for parallel in parallels:
        runs = [r for r in read_results() if r.parallel == parallel and r.task in wanted]
        runs = [r for r in runs if len(r.regrets) > MARKS.index(trials)]
        runs = [r for r in runs if not names or r.optimizer in names]
        latest = {run.optimizer: run.version for run in runs}
        runs = [run for run in runs if run.version == latest[run.optimizer]]
        optimizers = [name for name in names or OPTIMIZERS if name in latest]
        regrets: Regrets = {
            optimizer: _by_task(
                (run for run in runs if run.optimizer == optimizer), MARKS.index(trials) + 1
            )
            for optimizer in optimizers
        }
        tasks = [n for n in TASKS if n in wanted and all(n in regrets[o] for o in optimizers)]
        if not tasks:
            sys.exit(f"no task has results of all of {', '.join(optimizers)}")
        cpu = {
            o: float(np.median([r.cpu for r in runs if r.optimizer == o and r.task in tasks]))
            for o in optimizers
        }
        print(f"\n{parallel} at a time; {', '.join(f'{o} {latest[o]}' for o in optimizers)}")
        if by_task:
            _print_by_task(regrets, optimizers, tasks, marks)
            continue
        for kind in ("conditional", "mixed", "numeric", None):
            chosen = [name for name in tasks if kind in {None, kind_of(name)}]
            if chosen:
                _print_table(kind or "all", regrets, optimizers, chosen, marks=marks, cpu=cpu)


def _by_task(runs: Iterable[Run], length: int) -> dict[str, NDArray[np.float64]]:
    rows: dict[str, list[Sequence[float]]] = {}
    for run in runs:
        rows.setdefault(run.task, []).append(run.regrets[:length])
    return {task: np.array(values) for task, values in rows.items()}


def _print_table(
    kind: str,
    regrets: Regrets,
    optimizers: Sequence[str],
    tasks: Sequence[str],
    *,
    marks: Sequence[int],
    cpu: Mapping[str, float],
) -> None:
    columns = [MARKS.index(mark) for mark in marks]
    bounds = {task: stuck_bounds(task)[marks[-1]] for task in tasks}
    means = np.array([[regrets[o][t].mean(axis=0) for t in tasks] for o in optimizers])
    ranks = rank(means).mean(axis=1)
    low, high = _rank_intervals(regrets, optimizers, tasks)
    print(f"\n{kind}, {len(tasks)} tasks\n")
    heads = [f"rank after {mark}" for mark in marks] + [f"regret after {mark}" for mark in marks]
    print(f"| optimizer | seeds | {' | '.join(heads)} | stuck | CPU s |")
    print("|---|---|" + "---|" * (len(heads) + 2))
    order: list[int] = np.argsort(ranks[:, columns].mean(axis=1)).tolist()
    for i in order:
        name = optimizers[i]
        counts = [len(regrets[name][task]) for task in tasks]
        seeds = (
            str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        )
        cells = [f"{ranks[i, c]:.1f} [{low[i, c]:.1f} to {high[i, c]:.1f}]" for c in columns]
        cells += [f"{means[i, :, c].mean():.3f}" for c in columns]
        shares = [stuck_share(regrets[name][t][:, columns[-1]], bounds[t]) for t in tasks]
        print(
            f"| {name} | {seeds} | {' | '.join(cells)} | {np.mean(shares):.0%} | {cpu[name]:.2g} |"
        )


def _print_by_task(
    regrets: Regrets, optimizers: Sequence[str], tasks: Sequence[str], marks: Sequence[int]
) -> None:
    counts = " / ".join(map(str, marks))
    print(f"\nmean regret after {counts} trials, and the share of stuck runs at the end\n")
    print("| task | " + " | ".join(optimizers) + " |\n|---|" + "---|" * len(optimizers))
    for task in tasks:
        bound = stuck_bounds(task)[marks[-1]]
        columns = [MARKS.index(mark) for mark in marks]
        cells: list[str] = []
        for name in optimizers:
            rows = regrets[name][task]
            levels = " / ".join(f"{rows[:, column].mean():.3f}" for column in columns)
            cells.append(f"{levels}, {stuck_share(rows[:, columns[-1]], bound):.0%}")
        print(f"| {task} | {' | '.join(cells)} |")


def stuck_share(regrets: NDArray[np.float64], bound: float) -> float:
    """Return the share of regrets above a bound; stored regrets have three digits."""
    return float((regrets > 1.005 * bound + 1e-5).mean())


def rank(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks along the first axis, equal for equal values."""
    values = np.round(means, 4)
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal + 1) / 2
    return ranks


def _rank_intervals(
    regrets: Regrets, optimizers: Sequence[str], tasks: Sequence[str], rounds: int = 1_000
) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    means = np.empty(
        (rounds, len(optimizers), len(tasks), regrets[optimizers[0]][tasks[0]].shape[1])
    )
    for i, optimizer in enumerate(optimizers):
        for j, task in enumerate(tasks):
            rows = regrets[optimizer][task]
            means[:, i, j] = rows[random.integers(len(rows), size=(rounds, len(rows)))].mean(axis=1)
    samples = np.array(
        [rank(m)[:, random.integers(len(tasks), size=len(tasks))].mean(axis=1) for m in means]
    )
    return np.quantile(samples, 0.025, axis=0), np.quantile(samples, 0.975, axis=0)
