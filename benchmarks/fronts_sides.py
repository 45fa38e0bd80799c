"""Searches with several objectives, each with its own defaults through its public API.

The packages of the competitors are not in the extra `bench`: install ax-platform, smac and torch
(for Optuna's Gaussian process) to compare with them.
"""

from __future__ import annotations

import heapq
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Protocol

from benchmarks import optimizers
from benchmarks.fronts_tasks import Task
from benchmarks.quality_tasks import study_of
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, list_nodes
from cloudtune.study.study import Study


class Search(Protocol):
    """Chooses trials and learns from their values."""

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return a handle of the next trial, and its assignment."""
        ...

    def record(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        ...


def race(
    make: Callable[[Task, int, int], Search], task: Task, seed: int, trials: int, parallel: int
) -> tuple[list[float], float]:
    """Run trials of random length; return the regret after each and the CPU seconds of the search.

    All searches see the same noise and the same lengths, which derive from the seed and the trial.
    """
    cpu = time.process_time()
    search = make(task, seed, trials)
    seconds = time.process_time() - cpu
    running: list[tuple[float, int, Any, Mapping[str, Value]]] = []
    assignments: list[Mapping[str, Value]] = []
    now, started = 0.0, 0
    while len(assignments) < trials:
        cpu = time.process_time()
        while len(running) < parallel and started < trials:
            handle, assignment = search.ask()
            length = Random(f"length:{seed}:{started}").lognormvariate(0, 0.5)
            heapq.heappush(running, (now + length, started, handle, assignment))
            started += 1
        seconds += time.process_time() - cpu
        now, number, handle, assignment = heapq.heappop(running)
        values = task.measure(assignment, Random(f"{task.name}:{seed}:{number}"))
        cpu = time.process_time()
        search.record(handle, values)
        seconds += time.process_time() - cpu
        assignments.append(assignment)
    return task.regrets(assignments), seconds


class Cloudtune:
    """A strategy of cloudtune."""

    def __init__(self, strategy: Any, task: Task, seed: int, trials: int) -> None:
        self._names = _names(task)
        study = Study.model_validate(
            {
                "objective": [{"metric": name, "goal": "minimize"} for name in self._names],
                "parameters": task.parameters,
                "strategy": strategy,
            },
            context={"parts_only": True},
        )
        self._strategy = make_strategy(study, seed)
        self._count = 0

    def ask(self) -> tuple[int, Mapping[str, Value]]:
        """Return the number of the next trial, and its assignment."""
        suggestion = self._strategy.ask(self._count)
        assert isinstance(suggestion, Suggestion)
        self._count += 1
        parameters = suggestion.parameters
        self._strategy.tell(Started(self._count, 0.0, parameters, memory=suggestion.memory))
        return self._count, parameters

    def record(self, handle: int, values: Sequence[float]) -> None:
        """Record a trial's values."""
        metrics = dict(zip(self._names, values, strict=True))
        self._strategy.tell(Measured(handle, 0.0, 1, metrics))
        self._strategy.tell(Ended(handle, 0.0, "completed"))


class Optuna(optimizers.Optuna):
    """A sampler of Optuna."""

    def __init__(self, sampler: str, options: Any, task: Task, seed: int, trials: int) -> None:
        optuna: Any = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        own = getattr(optuna.samplers, sampler)(seed=seed, **options)
        self._study = optuna.create_study(sampler=own, directions=["minimize"] * task.objectives)
        self._nodes = list_nodes(study_of(task.parameters))

    def record(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._study.tell(handle, values)


class Ax(optimizers.Ax):
    """Ax with its defaults: expected hypervolume improvement of BoTorch's Gaussian processes."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        own: Any = task
        super().__init__(own, seed, trials)
        api: Any = import_module("ax.api.client")
        self._names = _names(task)
        self._client = api.Client(random_seed=seed)
        self._client.configure_experiment([self._parameter(node) for node in self._nodes])
        self._client.configure_optimization(", ".join(f"-{name}" for name in self._names))
        logging.disable(logging.ERROR)

    def record(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._client.complete_trial(handle, dict(zip(self._names, values, strict=True)))


class Smac(optimizers.Smac):
    """SMAC's facade for hyperparameters, with ParEGO."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        smac: Any = import_module("smac")
        parego: Any = import_module("smac.multi_objective.parego")
        history: Any = import_module("smac.runhistory")
        self._value = history.TrialValue
        self._nodes = list_nodes(study_of(task.parameters))
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        scenario = smac.Scenario(
            self._space(import_module("ConfigSpace"), seed),
            deterministic=True,
            objectives=_names(task),
            n_trials=trials + 1,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        self._facade = smac.HyperparameterOptimizationFacade(
            scenario,
            _no_training,
            multi_objective_algorithm=parego.ParEGO(scenario),
            logging_level=50,
            overwrite=True,
        )

    def record(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._facade.tell(handle, self._value(cost=list(values)), save=False)


def _no_training(config: Any, seed: int = 0) -> list[float]:
    return []


def _names(task: Task) -> list[str]:
    return [f"m{i}" for i in range(task.objectives)]


def _cloudtune(name: str, method: str | None = None) -> Any:
    return partial(Cloudtune, {"name": name, "method": method})


SIDES: Mapping[str, Callable[[Task, int, int], Search]] = {
    "bayesian": _cloudtune("bayesian"),
    "bayesian-gp": _cloudtune("bayesian", "gp"),
    "bayesian-tpe": _cloudtune("bayesian", "tpe"),
    "genetic": _cloudtune("genetic"),
    "genetic-nsga3": _cloudtune("genetic", "nsga3"),
    "random": _cloudtune("random"),
    "NSGA-II": partial(Optuna, "NSGAIISampler", {}),
    "NSGA-II-10": partial(Optuna, "NSGAIISampler", {"population_size": 10}),
    "NSGA-II-20": partial(Optuna, "NSGAIISampler", {"population_size": 20}),
    "NSGA-III": partial(Optuna, "NSGAIIISampler", {}),
    "MOTPE": partial(Optuna, "TPESampler", {}),
    "Optuna-GP": partial(Optuna, "GPSampler", {}),
    "Ax": Ax,
    "SMAC": Smac,
}
"""The searches by name: `bayesian` to `random` are cloudtune's, the others' names are those of
their packages or samplers."""
