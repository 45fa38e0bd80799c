"""The names of Syne Tune that its reader and its writer share."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.study.yaml_reader import is_map

HOME = "syne-tune"
MODES = {"min": "minimize", "max": "maximize"}
GRID = "GridSearch"
GRID_VALUES = f"{GRID} of Syne Tune takes at most 5 values of a range of numbers"
"""``DEFAULT_NSAMPLE`` of its ``GridSearcher``, which Syne Tune 0.16.0 no longer has."""
SCHEDULERS: dict[str, Json] = {
    "RandomSearch": {"name": "random"},
    "TPE": {"name": "bayesian", "method": "tpe"},
    "BOTorch": {"name": "bayesian", "method": "gp"},
    GRID: {"name": "grid"},
}
"""The strategy of each scheduler that a study can name."""
SIMILAR: dict[str, Json] = {
    "KDE": {"name": "bayesian", "method": "tpe"},
    "BayesianOptimization": {"name": "bayesian", "method": "gp"},
    "BORE": {"name": "bayesian"},
    "CQR": {"name": "bayesian"},
    "EHVI": {"name": "bayesian"},
    "REA": {"name": "genetic"},
    "RegularizedEvolution": {"name": "genetic"},
}
"""The strategy that is most like each of the other schedulers."""
HALVING: dict[str, Json] = {
    "ASHA": {"name": "random"},
    "AsynchronousSuccessiveHalving": {"name": "random"},
    "ASHABORE": {"name": "bayesian"},
    "ASHACQR": {"name": "bayesian"},
    "BOHB": {"name": "bayesian", "method": "tpe"},
    "MOBSTER": {"name": "bayesian", "method": "gp"},
}
"""The schedulers with asynchronous successive halving, with the strategy of each."""
ETA = 3
"""``reduction_factor`` of these where it is absent."""
MEDIAN = "MedianStoppingRule"
LOG, REVERSE = "LogUniform", "ReverseLogUniform"
BASE = 2.718281828459045
"""``base`` of a logarithmic sampler, which has no effect."""
QUANTIZED = "Quantized"
STATE = (
    *("searcher", "trial_info", "brackets", "num_stopped", "metric_multiplier", "config_space"),
    *("sorted_results", "scheduler", "trial_to_results"),
)
"""The attributes of a scheduler that are its state, or repeat other fields."""


def is_domain(value: Any) -> bool:
    """Return whether a value is a domain, not a constant."""
    return is_map(value) and "domain_cls" in value


def parse_space(value: Any) -> Json | None:
    """Return a configuration space, which the metadata has as text; None if it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if is_map(value) else None
