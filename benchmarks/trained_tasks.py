"""Tasks made from real trainings: conditional spaces, and scores with steps and ties.

    python -m benchmarks.trained_tasks                 trains all tables, about 15 minutes
    python -m benchmarks.trained_tasks svc_digits      trains the named tables

Each table trains a grid of assignments once and keeps the errors in the cache. A task looks up an
assignment by linear interpolation between the knots of its ordered parameters, then rounds an
error rate to whole test cases. `svc_digits_real` trains each trial instead.

The tables whose names start with ``held_out_`` were not used to choose constants of the search.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from random import Random
from typing import Any

import numpy as np

from benchmarks.quality_tasks import CACHE, Params, Task, assignment_key, study_of
from benchmarks.trained_data import Data, load_data
from benchmarks.trained_models import (
    BOOSTING,
    BOOSTING_KNOTS,
    MLP,
    MLP_KNOTS,
    MODELS,
    MODELS_KNOTS,
    PIPELINE,
    PIPELINE_KNOTS,
    TREES,
    TREES_KNOTS,
    svc_knots,
    svc_space,
    train_mlp,
    train_models,
    train_pipeline,
    train_svc,
    train_trees,
)
from cloudtune.search.axes import build_axes
from cloudtune.search.sampling import complete_assignment
from cloudtune.study.search_space import Space, list_nodes

Train = Callable[[Data, Params], float]
"""Returns the error of one assignment on the test cases."""


@dataclass(frozen=True)
class Table:
    """A grid of trainings on one data set."""

    name: str
    data: str
    parameters: Mapping[str, Any]
    """As in a study file."""
    knots: Mapping[str, Sequence[float]]
    """The trained values of each numeric parameter."""
    train: Train

    @cached_property
    def _trained(self) -> Mapping[str, Any]:
        """The errors by `assignment_key`, and the number of test cases; trained at first use."""
        path = CACHE / f"trained-{self.name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            begin = time.process_time()
            text = json.dumps(self._train_grid())
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(text, "utf-8")
            partial.replace(path)
            print(f"{self.name}: trained in {time.process_time() - begin:.0f} s", file=sys.stderr)
        trained: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return trained

    @property
    def errors(self) -> Mapping[str, float]:
        """The errors of the grid, by `assignment_key`."""
        errors: Mapping[str, float] = self._trained["errors"]
        return errors

    def _load(self) -> Data:
        return load_data(self.data)

    def _train_grid(self) -> dict[str, Any]:
        data = self._load()
        grid: dict[str, Any] = {
            name: {
                "type": "discrete",
                "values": list(self.knots[name]),
                **({"when": definition["when"]} if "when" in definition else {}),
            }
            if name in self.knots
            else definition
            for name, definition in self.parameters.items()
        }
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            errors = {
                assignment_key(params): self.train(data, params)
                for params in Space(list_nodes(study_of(grid))).grid()
            }
        return {"cases": data.cases, "errors": errors}

    def error(self, params: Params) -> float:
        """Return the error of an assignment."""
        total = self.interpolate(self.errors, params)
        cases: int | None = self._trained["cases"]
        return round(total * cases) / cases if cases else total

    def interpolate(self, values: Mapping[str, float], params: Params) -> float:
        """Return the value of an assignment from those of the grid."""
        total = 0.0
        choices = [self._corners(name, value) for name, value in params.items()]
        for corner in product(*choices):
            weight = math.prod(share for _, _, share in corner)
            if weight:
                total += weight * values[assignment_key({n: v for n, v, _ in corner})]
        return total

    def _corners(self, name: str, value: Any) -> list[tuple[str, Any, float]]:
        """Return the knots next to a value, with their weights."""
        if name not in self.knots:
            return [(name, value, 1.0)]
        knots = self.knots[name]
        right = min(max(bisect_right(knots, value), 1), len(knots) - 1)
        low, high = knots[right - 1], knots[right]
        if self.parameters[name].get("scale") == "log":
            share = math.log(value / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return [(name, low, 1 - share), (name, high, share)]

    def task(self) -> Task:
        """Return the task."""
        space, random = Space.from_study(study_of(self.parameters)), Random(1)
        axes = build_axes(space)
        sample = sorted(
            self.error(complete_assignment(axes, space, {}, random)) for _ in range(1_001)
        )
        return Task(
            self.name,
            self.parameters,
            measure=lambda params, random: self.error(params),
            true_value=self.error,
            best=min(self.errors.values()),
            typical=sample[500],
        )


_ALL_KERNELS = svc_space("linear", "rbf", "poly", "sigmoid")
_COARSE = svc_knots(1, coef0=True)
TABLES = [
    Table("svc_digits", "digits", svc_space("linear", "rbf", "poly"), svc_knots(2), train_svc),
    Table("svc_breast_cancer", "breast_cancer", _ALL_KERNELS, _COARSE, train_svc),
    Table("models_digits", "digits", MODELS, MODELS_KNOTS, train_models),
    Table("pipeline_digits", "digits", PIPELINE, PIPELINE_KNOTS, train_pipeline),
    Table("boosting_diabetes", "diabetes", BOOSTING, BOOSTING_KNOTS, train_trees),
    Table("trees_breast_cancer", "breast_cancer", TREES, TREES_KNOTS, train_trees),
    Table("mlp_wine", "wine", MLP, MLP_KNOTS, train_mlp),
    Table("held_out_svc_clusters", "clusters", _ALL_KERNELS, _COARSE, train_svc),
    Table("held_out_models_votes", "votes", MODELS, MODELS_KNOTS, train_models),
    Table("held_out_pipeline_clusters", "clusters", PIPELINE, PIPELINE_KNOTS, train_pipeline),
    Table("held_out_boosting_prices", "prices", BOOSTING, BOOSTING_KNOTS, train_trees),
    Table("held_out_trees_unions", "unions", TREES, TREES_KNOTS, train_trees),
    Table("held_out_mlp_clusters", "clusters", MLP, MLP_KNOTS, train_mlp),
]
FRESH_TABLES = [
    Table("fresh_svc_unions", "unions", _ALL_KERNELS, _COARSE, train_svc),
    Table("fresh_models_cancer", "breast_cancer", MODELS, MODELS_KNOTS, train_models),
    Table("fresh_trees_clusters", "clusters", TREES, TREES_KNOTS, train_trees),
    Table("fresh_pipeline_votes", "votes", PIPELINE, PIPELINE_KNOTS, train_pipeline),
    Table("fresh_mlp_votes", "votes", MLP, MLP_KNOTS, train_mlp),
]
"""The same models on other data, added after the last change of the search."""


def svc_digits_real() -> Task:
    """Return the task `svc_digits` with a training for each trial."""
    table = TABLES[0].task()
    data = load_data("digits")

    @lru_cache(None)
    def train(params: tuple[tuple[str, Any], ...]) -> float:
        return train_svc(data, dict(params))

    def error(params: Params) -> float:
        return train(tuple(params.items()))

    return Task(
        "svc_digits_real",
        table.parameters,
        measure=lambda params, random: error(params),
        true_value=error,
        best=table.best,
        typical=table.typical,
    )


if __name__ == "__main__":
    for chosen in [*TABLES, *FRESH_TABLES]:
        if chosen.name in (sys.argv[1:] or [chosen.name]):
            print(f"{chosen.name}: {len(chosen.errors)} trainings", flush=True)
