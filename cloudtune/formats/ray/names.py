"""The names of Ray Tune that its reader and its writer share."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.study.yaml_reader import is_list, is_map

HOME = "ray"
TUNER_FIELDS = frozenset({"param_space", "tune_config", "run_config"})
"""The fields of ``providers.ray.native`` that belong to Ray Tune, not to the provider ``ray``."""
OBJECT = "__object__"
"""The key of an object of a module that JSON does not have; its value is the class."""
MODES = {"min": "minimize", "max": "maximize"}
RANGES = {
    **dict.fromkeys(("uniform", "loguniform", "randint", "lograndint"), 2),
    **dict.fromkeys(("quniform", "qloguniform", "qrandint", "qlograndint"), 3),
}
"""The ranges, and how many numbers each has."""
LISTS = frozenset(["choice", "grid_search"])
REFUSED = {
    "randn": "a study has no normal distributions",
    "qrandn": "a study has no normal distributions",
    "sample_from": "a study has no values that code computes",
}
_DOMAINS = RANGES.keys() | LISTS | REFUSED.keys()
SEARCHERS: dict[str, Json] = {
    "random": {"name": "random"},
    "optuna": {"name": "bayesian", "method": "tpe"},
    "hyperopt": {"name": "bayesian", "method": "tpe"},
    "bayesopt": {"name": "bayesian", "method": "gp"},
}
"""The strategy of each search algorithm that a study can name, by Ray's short name."""
INSTEAD = {"genetic": "optuna"}
"""By strategy without an algorithm, the one that is written for it."""
SIMILAR: dict[str, Json] = {
    name: {"name": "bayesian"} for name in ("ax", "bohb", "hebo", "nevergrad", "zoopt")
}
"""The strategy that is most like each of the other search algorithms."""
SHORT = {
    "variant_generator": "random",
    "basicvariantgenerator": "random",
    "optunasearch": "optuna",
    "hyperoptsearch": "hyperopt",
    "bayesoptsearch": "bayesopt",
    "axsearch": "ax",
    "tunebohb": "bohb",
    "hebosearch": "hebo",
    "nevergradsearch": "nevergrad",
    "zooptsearch": "zoopt",
    "fifoscheduler": "fifo",
    "asynchyperbandscheduler": "async_hyperband",
    "ashascheduler": "async_hyperband",
    "asynchyperband": "async_hyperband",
    "medianstoppingrule": "median_stopping_rule",
    "medianstopping": "median_stopping_rule",
    "hyperbandscheduler": "hyperband",
    "hyperbandforbohb": "hyperband",
    "hb_bohb": "hyperband",
}
"""The short name of each class, and of other short names, in lower case."""
SEEDS = {
    "random": "random_state",
    "optuna": "seed",
    "hyperopt": "random_state_seed",
    "bayesopt": "random_state",
}
"""The argument of each search algorithm that is the seed."""
ASHA, MEDIAN, HYPERBAND, FIFO = "async_hyperband", "median_stopping_rule", "hyperband", "fifo"
DEFAULTS = {ASHA: {"max_t": 100, "grace_period": 1, "reduction_factor": 4}}
"""The arguments of schedulers where they are absent."""
ITERATION = "training_iteration"
"""What counts the results of a trial."""


def is_domain(value: Any) -> bool:
    """Return whether a value is a function of ``ray.tune`` with its arguments."""
    if not is_map(value) or len(value) != 1:
        return False
    ((name, arguments),) = value.items()
    return name in _DOMAINS and (is_list(arguments) or isinstance(arguments, str))


def short_name(name: str) -> str:
    """Return Ray's short name of a scheduler or a search algorithm.

    >>> short_name("ASHAScheduler"), short_name("optuna"), short_name("Mine")
    ('async_hyperband', 'optuna', 'mine')
    """
    return SHORT.get(name.lower(), name.lower())
