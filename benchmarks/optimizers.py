"""Strategies of cloudtune and optimizers of other packages, each with its own defaults.

Each runs through its public interface and gets the space in its native form. Conditions are native
in cloudtune, Optuna and SMAC, and in Ax if each parameter depends on one value of one parent. The
others get all parameters at once, and inactive ones are ignored. Optimizers whose package is not
installed cannot be created.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from importlib import import_module, metadata
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import cloudtune.search
from benchmarks.quality import suggest_assignment
from benchmarks.quality_tasks import Task, study_of
from cloudtune.results.events import Ended, Measured, Started
from cloudtune.search.factory import make_strategy
from cloudtune.search.protocol import Suggestion
from cloudtune.study.search_space import Node, Value, is_active, list_nodes, resolve_scale


class Optimizer(Protocol):
    """Chooses trials."""

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return a handle of the next trial, and its assignment."""
        ...

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        ...


class Cloudtune:
    """A strategy of cloudtune."""

    def __init__(self, strategy: Any, task: Task, seed: int, trials: int) -> None:
        self._strategy = make_strategy(study_of(task.parameters, strategy), seed)
        self._numbers = count(1)

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the number of the next trial, and its assignment."""
        number = next(self._numbers)
        suggestion = self._strategy.ask(number - 1)
        if not isinstance(suggestion, Suggestion):
            raise StopIteration
        self._strategy.tell(Started(number, 0.0, suggestion.parameters, memory=suggestion.memory))
        return number, suggestion.parameters

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._strategy.tell(Measured(handle, 0.0, 1, {"loss": value}))
        self._strategy.tell(Ended(handle, 0.0, "completed"))


class Optuna:
    """A sampler of Optuna; discrete values are whole numbers."""

    def __init__(self, sampler: str, task: Task, seed: int, trials: int) -> None:
        optuna: Any = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed))
        self._nodes = list_nodes(study_of(task.parameters))

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the next trial and its assignment."""
        trial = self._study.ask()
        return trial, suggest_assignment(trial, self._nodes)

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._study.tell(handle, value)


def active_values(nodes: Sequence[Node], values: Mapping[str, Any]) -> dict[str, Value]:
    """Return the assignment of the active parameters, with the values of the study."""
    assignment: dict[str, Value] = {}
    for node in nodes:
        if is_active(node, assignment):
            assignment[node.name] = _own_value(node.parameter, values[node.name])
    return assignment


def _own_value(parameter: Any, value: Any) -> Value:
    if parameter.type == "bool":
        return str(value) in {"True", "1"}
    if parameter.type in {"categorical", "discrete"}:
        own: Value = next(item for item in parameter.values if item == value)
        return own
    number = float(value) if parameter.type == "float" else round(float(value))
    low: float = parameter.min
    high: float = parameter.max
    return min(max(number, low), high)


class Smac:
    """SMAC3's facade for hyperparameters: a random forest, each configuration evaluated once."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        space: Any = import_module("ConfigSpace")
        smac: Any = import_module("smac")
        history: Any = import_module("smac.runhistory")
        self._value = history.TrialValue
        self._nodes = list_nodes(study_of(task.parameters))
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        facade = smac.HyperparameterOptimizationFacade
        self._facade = facade(
            smac.Scenario(
                self._space(space, seed),
                output_directory=Path(self._folder.name),
                deterministic=True,
                n_trials=trials,
                seed=seed,
            ),
            _no_training,  # ask and tell do not call it
            logging_level=50,
            overwrite=True,
        )

    def _space(self, module: Any, seed: int) -> Any:
        space = module.ConfigurationSpace(seed=seed)
        known: dict[str, Any] = {}
        conditions: list[Any] = []
        for node in self._nodes:
            own = known[node.name] = _smac_parameter(module, node)
            each = [module.InCondition(own, known[p], [*values]) for p, values in node.when.items()]
            conditions += [module.AndConjunction(*each)] if len(each) > 1 else each
        space.add([*known.values(), *conditions])
        return space

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the next trial and its assignment."""
        info = self._facade.ask()
        return info, active_values(self._nodes, dict(info.config))

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._facade.tell(handle, self._value(cost=value), save=False)


def _no_training(config: Any, seed: int = 0) -> float:
    return 0.0


def _smac_parameter(module: Any, node: Node) -> Any:
    parameter: Any = node.parameter
    match parameter.type:
        case "float" | "int":
            kind = "UniformFloat" if parameter.type == "float" else "UniformInteger"
            log = resolve_scale(parameter) == "log"
            make = getattr(module, f"{kind}Hyperparameter")
            return make(node.name, parameter.min, parameter.max, log=log)
        case "discrete":
            return module.OrdinalHyperparameter(node.name, [*parameter.values])
        case "bool":
            return module.CategoricalHyperparameter(node.name, [False, True])
        case _:
            return module.CategoricalHyperparameter(node.name, [*parameter.values])


class Hebo:
    """HEBO; it sees no pending trials."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        torch: Any = import_module("torch")
        spaces: Any = import_module("hebo.design_space.design_space")
        optimizer: Any = import_module("hebo.optimizers.hebo")
        np.random.seed(seed)
        torch.manual_seed(seed)
        self._nodes = list_nodes(study_of(task.parameters))
        space = spaces.DesignSpace().parse([self._parameter(node) for node in self._nodes])
        self._hebo = optimizer.HEBO(space, scramble_seed=seed)

    @staticmethod
    def _parameter(node: Node) -> dict[str, Any]:
        parameter: Any = node.parameter
        match parameter.type:
            case "float" | "int":
                log = resolve_scale(parameter) == "log"
                kinds = {"float": ("num", "pow"), "int": ("int", "pow_int")}
                bounds = {"lb": parameter.min, "ub": parameter.max}
                more = {"base": 10} if log else {}
                return {"name": node.name, "type": kinds[parameter.type][log], **bounds, **more}
            case "discrete":
                last = len(parameter.values) - 1
                return {"name": node.name, "type": "int", "lb": 0, "ub": last}
            case "bool":
                return {"name": node.name, "type": "bool"}
            case _:
                return {"name": node.name, "type": "cat", "categories": [*parameter.values]}

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the next suggestion and its assignment."""
        rows = self._hebo.suggest(n_suggestions=1)
        return rows, active_values(self._nodes, _indexed(self._nodes, rows.iloc[0].to_dict()))

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._hebo.observe(handle, np.array([[value]]))


def _indexed(nodes: Sequence[Node], values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the indices of discrete values by the values."""
    kinds: dict[str, Any] = {
        node.name: node.parameter for node in nodes if node.parameter.type == "discrete"
    }
    return {
        name: kinds[name].values[int(value)] if name in kinds else value
        for name, value in values.items()
    }


class Ax:
    """Ax's client."""

    def __init__(self, task: Task, seed: int, trials: int) -> None:
        api: Any = import_module("ax.api.client")
        self._configs: Any = import_module("ax.api.configs")
        logging.disable(logging.INFO)
        self._nodes = list_nodes(study_of(task.parameters))
        # Ax refuses a parameter that exists under several values.
        self._is_tree = all(
            sum(len(values) for values in node.when.values()) <= 1 for node in self._nodes
        )
        self._client = api.Client(random_seed=seed)
        self._client.configure_experiment([self._parameter(node) for node in self._nodes])
        self._client.configure_optimization("-loss")

    def _parameter(self, node: Node) -> Any:
        parameter: Any = node.parameter
        if parameter.type in {"float", "int"}:
            return self._configs.RangeParameterConfig(
                name=node.name,
                bounds=(parameter.min, parameter.max),
                parameter_type=parameter.type,
                scaling="log" if resolve_scale(parameter) == "log" else None,
            )
        values = [False, True] if parameter.type == "bool" else [*parameter.values]
        children: dict[Any, list[str]] = {}
        for other in self._nodes if self._is_tree else ():
            for value in other.when.get(node.name, ()):
                children.setdefault(value, []).append(other.name)
        return self._configs.ChoiceParameterConfig(
            name=node.name,
            values=values,
            parameter_type={bool: "bool", str: "str", int: "int", float: "float"}[type(values[0])],
            is_ordered=parameter.type == "discrete" or None,
            dependent_parameters=children or None,
        )

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the index of the next trial, and its assignment."""
        [(index, values)] = self._client.get_next_trials(1).items()
        return index, active_values(self._nodes, values)

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._client.complete_trial(handle, {"loss": value})


class SyneTune:
    """A scheduler of Syne Tune for complete trainings."""

    def __init__(self, scheduler: str, task: Task, seed: int, trials: int) -> None:
        spaces: Any = import_module("syne_tune.config_space")
        baselines: Any = import_module("syne_tune.optimizer.baselines")
        schedulers: Any = import_module("syne_tune.optimizer.schedulers.ask_tell_scheduler")
        self._nodes = list_nodes(study_of(task.parameters))
        self._scheduler = schedulers.AskTellScheduler(
            getattr(baselines, scheduler)(
                {node.name: syne_tune_domain(spaces, node) for node in self._nodes},
                metric="loss",
                random_seed=seed,
            )
        )

    def ask(self) -> tuple[Any, Mapping[str, Value]]:
        """Return the next trial and its assignment."""
        trial = self._scheduler.ask()
        return trial, active_values(self._nodes, trial.config)

    def tell(self, handle: Any, value: float) -> None:
        """Record the value of a trial."""
        self._scheduler.tell(handle, {"loss": value})


def syne_tune_domain(spaces: Any, node: Node) -> Any:
    """Return the domain of a parameter in Syne Tune."""
    parameter: Any = node.parameter
    log = parameter.type not in {"bool", "categorical"} and resolve_scale(parameter) == "log"
    match parameter.type:
        case "float":
            return (spaces.loguniform if log else spaces.uniform)(parameter.min, parameter.max)
        case "int":
            return (spaces.lograndint if log else spaces.randint)(parameter.min, parameter.max)
        case "discrete":
            return (spaces.logordinal if log else spaces.ordinal)([*parameter.values])
        case "bool":
            return spaces.choice(["False", "True"])
        case _:
            return spaces.choice([*parameter.values])


Make = Callable[[Task, int, int], Optimizer]
"""Takes a task, a seed and the number of trials."""

OPTIMIZERS: Mapping[str, tuple[Make, str]] = {
    "cloudtune": (partial(Cloudtune, "bayesian"), "cloudtune"),
    "cloudtune-gp": (partial(Cloudtune, {"name": "bayesian", "method": "gp"}), "cloudtune"),
    "cloudtune-tpe": (partial(Cloudtune, {"name": "bayesian", "method": "tpe"}), "cloudtune"),
    "cloudtune-cmaes": (partial(Cloudtune, {"name": "bayesian", "method": "cmaes"}), "cloudtune"),
    "cloudtune-genetic": (partial(Cloudtune, "genetic"), "cloudtune"),
    "cloudtune-random": (partial(Cloudtune, "random"), "cloudtune"),
    "optuna-tpe": (partial(Optuna, "TPESampler"), "optuna"),
    "optuna-gp": (partial(Optuna, "GPSampler"), "optuna"),
    "optuna-cmaes": (partial(Optuna, "CmaEsSampler"), "optuna"),
    "optuna-nsga2": (partial(Optuna, "NSGAIISampler"), "optuna"),
    "optuna-random": (partial(Optuna, "RandomSampler"), "optuna"),
    "smac": (Smac, "smac"),
    "hebo": (Hebo, "HEBO"),
    "ax": (Ax, "ax-platform"),
    "syne-tune-bore": (partial(SyneTune, "BORE"), "syne-tune"),
    "syne-tune-cqr": (partial(SyneTune, "CQR"), "syne-tune"),
}
"""The optimizers by name, with the package whose version counts."""


def version_of(name: str) -> str:
    """Return the version of an optimizer: for cloudtune, a digest of its search code."""
    package = OPTIMIZERS[name][1]
    if package != "cloudtune":
        return metadata.version(package)
    folder = Path(str(cloudtune.search.__file__)).parent
    texts = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return sha256(texts).hexdigest()[:8]


def make_optimizer(name: str, task: Task, seed: int, trials: int) -> Optimizer:
    """Return an optimizer.

    Raises:
        ModuleNotFoundError: If its package is not installed.
    """
    warnings.simplefilter("ignore")
    with contextlib.suppress(ModuleNotFoundError):
        import_module("torch").set_num_threads(1)
    return OPTIMIZERS[name][0](task, seed, trials)
