"""The names of Hydra's Optuna sweeper that the reader and the dialect share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.study.yaml_reader import is_list, is_map

HOME = "hydra"
SWEEPER = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
PREFIX = "optuna.samplers."
SAMPLERS: dict[str, Json] = {
    f"{PREFIX}TPESampler": {"name": "bayesian", "method": "tpe"},
    f"{PREFIX}GPSampler": {"name": "bayesian", "method": "gp"},
    f"{PREFIX}CmaEsSampler": {"name": "bayesian", "method": "cmaes"},
    f"{PREFIX}RandomSampler": {"name": "random"},
    f"{PREFIX}QMCSampler": {"name": "random", "method": "sobol"},
    f"{PREFIX}GridSampler": {"name": "grid"},
    f"{PREFIX}NSGAIISampler": {"name": "genetic", "method": "nsga2"},
    f"{PREFIX}NSGAIIISampler": {"name": "genetic", "method": "nsga3"},
}
"""The strategy of each sampler, by its class."""
CHOICES = {
    "tpe": f"{PREFIX}TPESampler",
    "random": f"{PREFIX}RandomSampler",
    "cmaes": f"{PREFIX}CmaEsSampler",
    "nsgaii": f"{PREFIX}NSGAIISampler",
    "grid": f"{PREFIX}GridSampler",
}
"""The class of each choice of ``hydra/sweeper/sampler``."""
DEFAULT = f"{PREFIX}TPESampler"
TRIALS, JOBS = 20, 2
"""``n_trials`` and ``n_jobs`` where a configuration has none."""
METRIC = "value"
"""The metric for what the function returns, unless the configuration names one."""
METRIC_KEY = "optimized_metric"
"""A key that many configurations have for the name of this metric; Hydra does not read it."""


def default_of(document: Mapping[str, Any], group: str) -> str | None:
    """Return the choice of a group in the defaults of a configuration, None if there is none."""
    defaults = document.get("defaults")
    for entry in defaults if is_list(defaults) else []:
        for key, value in entry.items() if is_map(entry) else ():
            if str(key).removeprefix("override").strip().lstrip("/") == group:
                return str(value)
    return None


def uses_optuna(document: Mapping[str, Any]) -> bool:
    """Return whether a configuration names the class of the sweeper."""
    hydra = document.get("hydra")
    sweeper = hydra.get("sweeper") if is_map(hydra) else None
    return is_map(sweeper) and "OptunaSweeper" in str(sweeper.get("_target_"))
