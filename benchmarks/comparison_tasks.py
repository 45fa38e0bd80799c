"""The tasks of compare.py, by name and by group."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks import branch_tasks, development_tasks, quality_tasks, trained_tasks
from benchmarks.quality_tasks import CACHE, Params, Task, study_of
from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space

_FAMILIES: Mapping[str, Mapping[str, Callable[[], Task]]] = {
    "trained": {table.name: table.task for table in trained_tasks.TABLES},
    "conditional_synthetic": quality_tasks.conditional(),
    "functions": quality_tasks.functions(),
    "tables": quality_tasks.tables(),
    "development": {table.name: table.task for table in development_tasks.TABLES},
    "fresh": {table.name: table.task for table in trained_tasks.FRESH_TABLES},
    "branches": branch_tasks.TASKS,
}
TASKS: Mapping[str, Callable[[], Task]] = {
    **{name: task for family in _FAMILIES.values() for name, task in family.items()},
    "svc_digits_real": trained_tasks.svc_digits_real,
}
_CLEAR_GAP = 0.1
_SOME_TABLES = ("vehicle", "segment", "protein_structure", "slice_localization", "cifar100")
GROUPS: Mapping[str, Sequence[str]] = {
    **{name: list(family) for name, family in _FAMILIES.items()},
    "held_out": [name for name in TASKS if name.startswith("held_out_")],
    "all": [
        name
        for family, tasks in _FAMILIES.items()
        for name in tasks
        if (family != "tables" or name in _SOME_TABLES)
        and family not in {"fresh", "development", "branches"}
    ],
}


@cache
def kind_of(name: str) -> str:
    """Return whether the space is conditional, numeric or mixed."""
    definitions = TASKS[name]().parameters.values()
    if any("when" in definition for definition in definitions):
        return "conditional"
    kinds = {definition["type"] for definition in definitions}
    return "mixed" if kinds & {"categorical", "bool"} else "numeric"


@cache
def stuck_bounds(name: str) -> Mapping[int, float]:
    """Return, by the number of trials, the regret above which a search is stuck.

    Nine of ten random searches reach it. Where parameters depend on another one, a search is also
    stuck if it does no better than the second-best value of that parameter allows.
    """
    path = CACHE / "stuck-bounds.json"
    known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    name = name.removesuffix("_real")
    if name not in known:
        known[name] = _random_regrets(TASKS[name]())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1))
    return {int(count): regret for count, regret in known[name].items()}


def _random_regrets(task: Task, counts: Sequence[int] = (25, 40, 50, 100)) -> dict[str, float]:
    space, random = Space.from_study(study_of(task.parameters)), Random(5)
    axes = build_axes(space)
    sample = [complete_assignment(axes, space, {}, random) for _ in range(20_000)]
    values = np.array([task.measure(params, random) for params in sample])
    regrets = np.array([task.regret(params) for params in sample])
    numbers = np.random.default_rng(0)
    limit = min((_second_best(parent, sample, regrets) for parent in _parents(task)), default=1e9)
    bounds: dict[str, float] = {}
    for trials in counts:
        rows = numbers.integers(len(sample), size=(4_000, trials))
        best = rows[np.arange(len(rows)), values[rows].argmin(axis=1)]
        bounds[str(trials)] = round(min(float(np.quantile(regrets[best], 0.9)), limit), 5)
    return bounds


def _parents(task: Task) -> set[str]:
    """Return the parameters that decide whether others exist."""
    return {
        parent for definition in task.parameters.values() for parent in definition.get("when", {})
    }


def _second_best(parent: str, sample: Sequence[Params], regrets: NDArray[np.float64]) -> float:
    """Return a regret just below the second-best value of a parameter, if a tenth is between."""
    values = np.array([repr(params.get(parent)) for params in sample])
    best, second = sorted(float(regrets[values == value].min()) for value in set(values))[:2]
    return 0.99 * second if second - best >= _CLEAR_GAP else 1e9
