"""Multi-fidelity optimizers of other packages, each with its own defaults.

Each runs through its public interface and gets the space in its native form: with conditions in
ConfigSpace (SMAC3, DEHB); Syne Tune gets all parameters at once, and inactive ones are ignored.
Its schedulers MOBSTER, HyperTune and DyHPO exist up to version 0.13, the others need 0.16.

SMAC3 and DEHB train an assignment again at each of its budgets. Here it continues from the epochs
that it has been trained for, so only the others cost anything.
"""

from __future__ import annotations

import datetime
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning_curves import EPOCHS
from benchmarks.quality_hyperband import Race, Running, Search, Task
from benchmarks.quality_tasks import study_of
from cloudtune.study.search_space import Node, Value, is_active, list_nodes


def _nodes(task: Task) -> Sequence[Node]:
    return list_nodes(study_of(task.curves.parameters))


def _assignment(nodes: Sequence[Node], values: Mapping[str, Any]) -> dict[str, Value]:
    """Return the assignment of the active parameters, with the values of the study."""
    assignment: dict[str, Value] = {}
    for node in nodes:
        if is_active(node, assignment):
            parameter: Any = node.parameter
            own: Sequence[Value] = [False, True] if parameter.type == "bool" else parameter.values
            value = values[node.name]
            assignment[node.name] = next(v for v in own if v == value or str(v) == value)
    return assignment


def _config_space(nodes: Sequence[Node], seed: int) -> Any:
    module: Any = import_module("ConfigSpace")
    known: dict[str, Any] = {}
    conditions: list[Any] = []
    for node in nodes:
        parameter: Any = node.parameter
        values = ["False", "True"] if parameter.type == "bool" else [*parameter.values]
        is_ordered = parameter.type == "discrete"
        kind = module.OrdinalHyperparameter if is_ordered else module.CategoricalHyperparameter
        own = known[node.name] = kind(node.name, values)
        conditions += [module.InCondition(own, known[p], [*v]) for p, v in node.when.items()]
    space = module.ConfigurationSpace(seed=seed)
    space.add([*known.values(), *conditions])
    return space


def _budgets(
    task: Task,
    race: Race,
    ask: Callable[[], tuple[Any, Mapping[str, Any], float]],
    tell: Callable[[Any, float], None],
) -> list[float]:
    """Run an optimizer that asks for the loss of an assignment after a number of epochs."""
    nodes = _nodes(task)
    epochs: dict[Any, int] = {}

    def start() -> Running:
        while True:
            job, values, budget = ask()
            assignment = _assignment(nodes, values)
            losses, until = task.losses(assignment), round(budget)
            known = epochs.get(key := task.curves.key(assignment), 0)
            if known < until:
                epochs[key] = until
                return Running(job, losses, until, known)
            tell(job, losses[until - 1])

    def end(trial: Running, _: bool) -> None:
        tell(trial.trial, trial.losses[trial.until - 1])

    try:
        return race.run(start, lambda _, __: False, end)
    except StopIteration:  # all assignments have been tried
        return race.best + race.best[-1:] * (race.epochs - len(race.best))


def _dehb(task: Task, seed: int, race: Race) -> list[float]:
    dehb: Any = import_module("dehb")
    import_module("loguru").logger.remove()
    with tempfile.TemporaryDirectory(prefix="dehb-") as folder:
        space = _config_space(_nodes(task), seed)
        optimizer = dehb.DEHB(
            cs=space,
            dimensions=len(space),
            f=None,
            min_fidelity=1,
            max_fidelity=EPOCHS,
            n_workers=race.parallel,
            seed=seed,
            output_path=folder,
            save_freq=None,
        )

        def ask() -> tuple[Any, Mapping[str, Any], float]:
            job = optimizer.ask()
            return job, dict(job["config"]), job["fidelity"]

        def tell(job: Any, loss: float) -> None:
            optimizer.tell(job, {"fitness": loss, "cost": job["fidelity"]})

        return _budgets(task, race, ask, tell)


def _unused(_: Any, seed: int = 0, budget: float = 0.0) -> float:
    """Is the objective of SMAC3, which needs one, although it is asked and told."""
    return 0.0


def _smac(task: Task, seed: int, race: Race) -> list[float]:
    smac: Any = import_module("smac")
    value: Any = import_module("smac.runhistory").TrialValue
    exhausted: Any = import_module("smac.main.exceptions").ConfigurationSpaceExhaustedException
    with tempfile.TemporaryDirectory(prefix="smac-") as folder:
        facade = smac.MultiFidelityFacade(
            smac.Scenario(
                _config_space(_nodes(task), seed),
                output_directory=Path(folder),
                deterministic=True,
                n_trials=100_000,
                min_budget=1,
                max_budget=EPOCHS,
                n_workers=race.parallel,
                seed=seed,
            ),
            _unused,
            logging_level=50,
            overwrite=True,
        )

        def ask() -> tuple[Any, Mapping[str, Any], float]:
            try:
                info = facade.ask()
            except exhausted as error:
                raise StopIteration from error
            return info, dict(info.config), info.budget

        def tell(info: Any, loss: float) -> None:
            facade.tell(info, value(cost=loss), save=False)

        return _budgets(task, race, ask, tell)


def _syne_tune(name: str, options: Mapping[str, Any], task: Task, seed: int, race: Race) -> Any:
    baselines: Any = import_module("syne_tune.optimizer.baselines")
    spaces: Any = import_module("syne_tune.config_space")
    trials: Any = import_module("syne_tune.backend.trial_status")
    logging.disable(logging.WARNING)
    nodes = _nodes(task)
    is_old = "searcher_kwargs" not in options and name in {"MOBSTER", "HyperTune", "DyHPO"}
    scheduler = getattr(baselines, name)(
        {node.name: _domain(spaces, node) for node in nodes},
        metric="loss",
        max_t=EPOCHS,
        random_seed=seed,
        **options,
    )
    numbers = count()
    paused: dict[int, Running] = {}

    def start() -> Running:
        number = next(numbers)
        found = scheduler.suggest(number) if is_old else scheduler.suggest()
        if is_old and not found.spawn_new_trial_id:
            return paused.pop(found.checkpoint_trial_id)
        trial = trials.Trial(number, found.config, datetime.datetime.now(datetime.UTC))
        scheduler.on_trial_add(trial)
        return Running(trial, task.losses(_assignment(nodes, found.config)))

    def report(trial: Running, loss: float) -> bool:
        result = {"loss": loss, "epoch": trial.epoch}
        decision = scheduler.on_trial_result(trial.trial, result)
        if decision != "CONTINUE":
            scheduler.on_trial_remove(trial.trial)
        elif trial.epoch == EPOCHS:
            scheduler.on_trial_complete(trial.trial, result)
        if decision == "PAUSE" and trial.epoch < EPOCHS:
            paused[trial.trial.trial_id] = trial
        return bool(decision != "CONTINUE")

    return race.run(start, report, lambda _, __: None)


def _domain(spaces: Any, node: Node) -> Any:
    parameter: Any = node.parameter
    match parameter.type:
        case "discrete":
            make = spaces.logordinal if parameter.scale == "log" else spaces.ordinal
            return make([*parameter.values])
        case "bool":
            return spaces.choice(["False", "True"])
        case _:
            return spaces.choice([*parameter.values])


def _seeded(search: Search) -> Search:
    """Set the global random state of numpy, which some packages use in spite of their seed."""

    def seeded(task: Task, seed: int, race: Race) -> list[float]:
        np.random.seed(seed)
        return search(task, seed, race)

    return seeded


_OLD = {"resource_attr": "epoch"}
_NEW = {"time_attr": "epoch"}
PACKAGES: Mapping[str, tuple[Search, str]] = {
    "dehb": (_seeded(_dehb), "DEHB"),
    "smac": (_seeded(_smac), "smac"),
    "syne-tune-asha": (_seeded(partial(_syne_tune, "ASHA", _NEW)), "syne-tune"),
    "syne-tune-bohb": (_seeded(partial(_syne_tune, "BOHB", _NEW)), "syne-tune"),
    "syne-tune-asha-bore": (_seeded(partial(_syne_tune, "ASHABORE", _NEW)), "syne-tune"),
    "syne-tune-asha-cqr": (_seeded(partial(_syne_tune, "ASHACQR", _NEW)), "syne-tune"),
    "syne-tune-mobster": (_seeded(partial(_syne_tune, "MOBSTER", _OLD)), "syne-tune"),
    "syne-tune-hyper-tune": (_seeded(partial(_syne_tune, "HyperTune", _OLD)), "syne-tune"),
    "syne-tune-dyhpo": (_seeded(partial(_syne_tune, "DyHPO", _OLD)), "syne-tune"),
}
"""Searches by name, with the name of their package."""
