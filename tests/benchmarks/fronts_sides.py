"""Searches with several objectives, each with its own defaults through its public API.

The packages of the competitors are not in the extra `bench`: install ax-platform, smac and torch
(for Optuna's Gaussian process) to compare with them.
"""

from __future__ import annotations

import heapq
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Protocol

from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Value, is_active, list_nodes
from cloudtune.study.study import Study
from tests.benchmarks.fronts_tasks import Task
from tests.benchmarks.quality import suggest_assignment
from tests.benchmarks.quality_tasks import study_of


class Searcher(Protocol):
    """Starts trials and learns from their values."""

    def start(self, index: int) -> tuple[Any, Mapping[str, Value]]:
        """Return a trial's handle and its assignment."""
        ...

    def end(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        ...


def race(
    make: Callable[[Task, int, int], Searcher], task: Task, seed: int, trials: int, parallel: int
) -> tuple[list[float], float]:
    """Run trials of random length; return the regret after each and the CPU seconds of the search.

    All searches see the same noise and the same lengths, which derive from the seed and the trial.
    """
    cpu = time.process_time()
    searcher = make(task, seed, trials)
    seconds = time.process_time() - cpu
    running: list[tuple[float, int, Any, Mapping[str, Value]]] = []
    assignments: list[Mapping[str, Value]] = []
    now, started = 0.0, 0
    while len(assignments) < trials:
        cpu = time.process_time()
        while len(running) < parallel and started < trials:
            handle, assignment = searcher.start(started)
            length = Random(f"length:{seed}:{started}").lognormvariate(0, 0.5)
            heapq.heappush(running, (now + length, started, handle, assignment))
            started += 1
        seconds += time.process_time() - cpu
        now, number, handle, assignment = heapq.heappop(running)
        values = task.measure(assignment, Random(f"{task.name}:{seed}:{number}"))
        cpu = time.process_time()
        searcher.end(handle, values)
        seconds += time.process_time() - cpu
        assignments.append(assignment)
    return task.regrets(assignments), seconds


class Cloudtune:
    """A strategy of cloudtune."""

    def __init__(self, strategy: Any, task: Task, seed: int, trials: int) -> None:
        self._names = [f"m{i}" for i in range(task.objectives)]
        study = Study.model_validate(
            {
                "objective": [{"metric": name, "goal": "minimize"} for name in self._names],
                "parameters": task.parameters,
                "strategy": strategy,
            },
            context={"parts_only": True},
        )
        self._strategy = make_strategy(study, seed)

    def start(self, index: int) -> tuple[int, Mapping[str, Value]]:
        """Return a trial's number and its assignment."""
        suggestion = self._strategy.ask(index)
        assert isinstance(suggestion, Suggestion)
        number, parameters = index + 1, suggestion.parameters
        self._strategy.tell(Started(number, 0.0, parameters, memory=suggestion.memory))
        return number, parameters

    def end(self, handle: int, values: Sequence[float]) -> None:
        """Record a trial's values."""
        metrics = dict(zip(self._names, values, strict=True))
        self._strategy.tell(Measured(handle, 0.0, 1, metrics))
        self._strategy.tell(Ended(handle, 0.0, "completed"))


class Optuna:
    """A sampler of Optuna."""

    def __init__(self, sampler: str, options: Any, task: Task, seed: int, trials: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            sampler=getattr(optuna.samplers, sampler)(seed=seed, **options),
            directions=["minimize"] * task.objectives,
        )
        self._nodes = list_nodes(study_of(task.parameters))

    def start(self, index: int) -> tuple[Any, Mapping[str, Value]]:
        """Return a trial and its assignment."""
        trial = self._study.ask()
        return trial, suggest_assignment(trial, self._nodes)

    def end(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._study.tell(handle, values)


class Ax:
    """Ax with its defaults: expected hypervolume improvement of BoTorch's Gaussian processes.

    It sees a value of inactive parameters too: its conditional spaces allow one parent only.
    """

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        import_module("logging").disable(40)
        api: Any = import_module("ax.api.client")
        configs: Any = import_module("ax.api.configs")
        self._client = api.Client(random_seed=seed)
        self._nodes = list_nodes(study_of(task.parameters))
        self._numbers: dict[str, Any] = {}
        parameters: list[Any] = []
        for node in self._nodes:
            parameter: Any = node.parameter
            if parameter.type in {"float", "int"}:
                parameters.append(
                    configs.RangeParameterConfig(
                        name=node.name,
                        bounds=(parameter.min, parameter.max),
                        parameter_type=parameter.type,
                        scaling="log" if parameter.scale == "log" else "linear",
                    )
                )
                continue
            values = [False, True] if parameter.type == "bool" else list(parameter.values)
            kind = {bool: "bool", str: "str", int: "int", float: "float"}[type(values[0])]
            parameters.append(
                configs.ChoiceParameterConfig(
                    name=node.name,
                    values=values,
                    parameter_type=kind,
                    is_ordered=parameter.type == "discrete",
                )
            )
        self._client.configure_experiment(parameters=parameters)
        self._names = [f"m{i}" for i in range(task.objectives)]
        self._client.configure_optimization(", ".join(f"-{name}" for name in self._names))

    def start(self, index: int) -> tuple[int, Mapping[str, Value]]:
        """Return a trial's index and its assignment."""
        ((handle, values),) = self._client.get_next_trials(max_trials=1).items()
        assignment: dict[str, Value] = {}
        for node in self._nodes:
            if is_active(node, assignment):
                assignment[node.name] = values[node.name]
        return handle, assignment

    def end(self, handle: int, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._client.complete_trial(handle, dict(zip(self._names, values, strict=True)))


class Smac:
    """SMAC's facade for hyperparameter optimization, with ParEGO."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        space: Any = import_module("ConfigSpace")
        smac: Any = import_module("smac")
        parego: Any = import_module("smac.multi_objective.parego")
        self._info: Any = import_module("smac.runhistory.dataclasses")
        self._nodes = list_nodes(study_of(task.parameters))
        self._lists: dict[str, list[Value]] = {}
        config_space = space.ConfigurationSpace(seed=seed)
        made: dict[str, Any] = {}
        for node in self._nodes:
            parameter: Any = node.parameter
            log = getattr(parameter, "scale", "") == "log"
            if parameter.type == "float":
                made[node.name] = space.Float(node.name, (parameter.min, parameter.max), log=log)
            elif parameter.type == "int":
                made[node.name] = space.Integer(node.name, (parameter.min, parameter.max), log=log)
            elif parameter.type == "discrete":
                self._lists[node.name] = list(parameter.values)
                made[node.name] = space.Integer(node.name, (0, len(parameter.values) - 1))
            else:
                values = [False, True] if parameter.type == "bool" else list(parameter.values)
                self._lists[node.name] = values
                made[node.name] = space.Categorical(node.name, [str(value) for value in values])
        config_space.add(list(made.values()))
        for node in self._nodes:
            conditions = [
                space.InCondition(
                    made[node.name],
                    made[parent],
                    [
                        str(value) if self._is_category(made[parent]) else value
                        for value in (values if isinstance(values, list | tuple) else [values])
                    ],
                )
                for parent, values in node.when.items()
            ]
            if conditions:
                joined = conditions[0] if len(conditions) == 1 else None
                config_space.add(joined or space.AndConjunction(*conditions))
        scenario = smac.Scenario(
            config_space,
            deterministic=True,
            objectives=[f"m{i}" for i in range(task.objectives)],
            n_trials=trials + 1,
            seed=seed,
            output_directory=Path(tempfile.mkdtemp()),
        )
        self._facade = smac.HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed=0: [0.0] * task.objectives,
            multi_objective_algorithm=parego.ParEGO(scenario),
            logging_level=40,
            overwrite=True,
        )

    def start(self, index: int) -> tuple[Any, Mapping[str, Value]]:
        """Return a trial's description and its assignment."""
        info = self._facade.ask()
        values = dict(info.config)
        assignment: dict[str, Value] = {}
        for node in self._nodes:
            if node.name in values and is_active(node, assignment):
                assignment[node.name] = self._value(node, values[node.name])
        return info, assignment

    def end(self, handle: Any, values: Sequence[float]) -> None:
        """Record a trial's values."""
        self._facade.tell(handle, self._info.TrialValue(cost=list(values)))

    def _value(self, node: Any, value: Any) -> Value:
        kind = node.parameter.type
        if kind in {"float", "int"}:
            return float(value) if kind == "float" else int(value)
        values: list[Value] = self._lists[node.name]
        if kind == "discrete":
            return values[int(value)]
        return next(own for own in values if str(own) == value)

    @staticmethod
    def _is_category(parameter: Any) -> bool:
        return "Categorical" in type(parameter).__name__


def _cloudtune(name: str, method: str | None = None) -> Any:
    return partial(Cloudtune, {"name": name, "method": method})


SIDES: Mapping[str, Callable[[Task, int, int], Searcher]] = {
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


def json_line(**fields: Any) -> str:
    """Return one line of the file of results."""
    return json.dumps(fields) + "\n"
