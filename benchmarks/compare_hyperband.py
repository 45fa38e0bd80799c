"""Search quality of `hyperband` and of other packages at equal epochs. Run by hand.

    python -m benchmarks.compare_hyperband run --optimizers hyperband bayesian random
    python -m benchmarks.compare_hyperband run --optimizers smac --tables svm --seeds 3
    python -m benchmarks.compare_hyperband table --marks 5 10 20

``run`` appends each result to the cache and skips those that exist. ``--tables`` takes the first
letters of the names of tables (quantised_curves.py, misleading_curves.py, learning_curves.py, and
development_curves.py, whose names start with dev), ``--trainings`` ends the searches early.
`bayesian` and `random` train each trial fully, `hyperband-9` starts at nine epochs. ``store``
writes the results of the other packages to hyperband_competitors.json, which ``table`` reads too.

Only epochs that run count; marks are numbers of full trainings of 27 epochs. The regret of the best
complete training is 0 for the best assignment of the table and 1 for a typical one. A run is stuck
if its regret exceeds what nine of ten random searches with full trainings reach. Ranks compare the
mean regrets of a table; their 95 % bootstrap intervals resample tables and seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from benchmarks import development_curves, learning_curves, misleading_curves, quantised_curves
from benchmarks.learning_curves import EPOCHS, FOLDER
from benchmarks.multifidelity_optimizers import PACKAGES
from benchmarks.quality_hyperband import MARKS, Race, Search, Task, cloudtune_search

_RESULTS = FOLDER / "hyperband.jsonl"
_STORED = Path(__file__).with_name("hyperband_competitors.json")
_BASIS = "random"
_OWN: Mapping[str, Search] = {
    "hyperband": cloudtune_search({"name": "hyperband", "max": EPOCHS, "resource": "epochs"}),
    "hyperband-9": cloudtune_search(
        {"name": "hyperband", "min": 9, "max": EPOCHS, "resource": "epochs"}
    ),
    "hyperband-steps": cloudtune_search({"name": "hyperband", "max": EPOCHS}),
    "bayesian": cloudtune_search("bayesian"),
    _BASIS: cloudtune_search("random"),
}
_FIELDS = ("table", "optimizer", "parallel", "seed", "version", "cpu", "regrets")

Rows = dict[tuple[str, str, int], dict[int, Any]]
"""By table, optimizer and parallel trials: the results by seed."""


def run_all(args: argparse.Namespace) -> None:
    """Run what is missing."""
    known = _read()
    optimizers: list[str] = args.optimizers
    for seed, (parallel, task, name) in product(
        range(args.seeds), [*_combinations(args.parallel, _tasks(args.tables), optimizers)]
    ):
        row = known.get((task.name, name, parallel), {}).get(seed)
        if row and len(row["regrets"]) >= sum(mark <= args.trainings for mark in MARKS):
            continue
        search, package = PACKAGES[name] if name in PACKAGES else (_OWN[name], "")
        begin = time.process_time()
        best = search(task, seed, Race(EPOCHS * args.trainings, parallel, -math.inf))
        cpu = time.process_time() - begin
        marks = [mark for mark in MARKS if mark <= args.trainings]
        regrets = [round(min(1.0, task.regret(best[EPOCHS * mark - 1])), 5) for mark in marks]
        version = metadata.version(package) if package else ""
        values = (task.name, name, parallel, seed, version, round(cpu, 2), regrets)
        with _RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(zip(_FIELDS, values, strict=True))) + "\n")
        print(f"{name}, {task.name}, seed {seed}, {parallel} at a time: {regrets}, {cpu:.1f} s")


def _combinations(
    parallels: Sequence[int], tasks: Sequence[Task], optimizers: Sequence[str]
) -> Iterable[tuple[int, Task, str]]:
    yield from ((p, task, name) for p in parallels for task in tasks for name in optimizers)


def print_tables(args: argparse.Namespace) -> None:
    """Print ranks, mean regrets, the share of stuck runs and CPU seconds."""
    from benchmarks.comparison_results import rank

    rows, columns = _read(), [MARKS.index(mark) for mark in args.marks]
    tables = [task.name for task in _tasks(args.tables)]
    for parallel in args.parallel:
        regrets: dict[str, list[Any]] = {}
        cpu: dict[str, float] = {}
        for name in args.optimizers:
            runs = [list(rows.get((t, name, parallel), {}).values()) for t in tables]
            runs = [[r for r in rs if len(r["regrets"]) > columns[-1]] for rs in runs]
            if all(runs):
                regrets[name] = [np.array([r["regrets"] for r in rs])[:, columns] for rs in runs]
                cpu[name] = float(np.median([r["cpu"] for rs in runs for r in rs]))
        bounds = [np.quantile(r, 0.9, axis=0) for r in regrets[_BASIS]]
        names = list(regrets)
        means = np.array([[r.mean(axis=0) for r in regrets[name]] for name in names])
        ranks = rank(means).mean(axis=1)
        low, high = _intervals([regrets[name] for name in names], rank)
        heads = [f"{what} after {mark}" for what in ("rank", "regret") for mark in args.marks]
        print(f"\n{parallel} at a time, {len(tables)} tables: {', '.join(tables)}\n")
        print(f"| optimizer | seeds | {' | '.join(heads)} | stuck | CPU s |")
        print("|---|---|" + "---|" * (len(heads) + 2))
        for i in np.argsort(ranks.mean(axis=1)).tolist():
            own = regrets[names[i]]
            cells = [
                f"{ranks[i, c]:.1f} [{low[i, c]:.1f} to {high[i, c]:.1f}]"
                for c in range(len(columns))
            ]
            cells += [f"{value:.3f}" for value in means[i].mean(axis=0)]
            stuck = [
                (r[:, -1] > bound[-1] + 1e-9).mean() for r, bound in zip(own, bounds, strict=True)
            ]
            cells += [f"{np.mean(stuck):.0%}", f"{cpu[names[i]]:.2g}"]
            print(f"| {names[i]} | {min(map(len, own))} | {' | '.join(cells)} |")


def _intervals(regrets: Sequence[Sequence[Any]], rank: Any, rounds: int = 1_000) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    samples: list[Any] = []
    for _ in range(rounds):
        tables = random.integers(len(regrets[0]), size=len(regrets[0]))
        means = [
            [own[t][random.integers(len(own[t]), size=len(own[t]))].mean(axis=0) for t in tables]
            for own in regrets
        ]
        samples.append(rank(np.array(means)).mean(axis=1))
    return np.quantile(samples, 0.025, axis=0), np.quantile(samples, 0.975, axis=0)


def store(_: argparse.Namespace) -> None:
    """Write the results of the other packages to the repository."""
    lines = [
        json.dumps([row[field] for field in _FIELDS], separators=(",", ":"))
        for (_, name, _), rows in sorted(_read().items())
        for row in rows.values()
        if name in PACKAGES
    ]
    _STORED.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    print(f"{_STORED}: {_STORED.stat().st_size / 1000:.0f} kB")


def _read() -> Rows:
    rows: Rows = {}
    stored: Iterable[Any] = json.loads(_STORED.read_text("utf-8")) if _STORED.exists() else ()
    found = [dict(zip(_FIELDS, values, strict=True)) for values in stored]
    if _RESULTS.exists():
        found += [json.loads(line) for line in _RESULTS.read_text("utf-8").splitlines()]
    for row in found:
        known = rows.setdefault((row["table"], row["optimizer"], row["parallel"]), {})
        if len(known.get(row["seed"], {"regrets": ()})["regrets"]) <= len(row["regrets"]):
            known[row["seed"]] = row
    return rows


def _tasks(prefixes: Sequence[str]) -> list[Task]:
    modules = quantised_curves, misleading_curves, learning_curves, development_curves
    tables = [table for module in modules for table in module.TABLES]
    return [Task(table) for table in tables if table.name.startswith(tuple(prefixes))]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["run", "table", "store"])
    names = [*_OWN, *PACKAGES]
    parser.add_argument("--optimizers", nargs="+", choices=names, default=names)
    parser.add_argument("--tables", nargs="+", default=["linear", "ensembles", "svm"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--parallel", type=int, nargs="+", default=[1])
    parser.add_argument("--trainings", type=int, choices=MARKS, default=MARKS[-1])
    parser.add_argument("--marks", type=int, nargs="+", choices=MARKS, default=[*MARKS])
    args = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with threadpool_limits(1):
        {"run": run_all, "table": print_tables, "store": store}[args.command](args)


if __name__ == "__main__":
    main()
