"""The names of Optuna that its reader and its writer share."""

from __future__ import annotations

from cloudtune.formats.fields import Json
from cloudtune.study.schema import StoppingRule

HOME = "optuna"
DEFAULT_SAMPLER = "TPESampler"
SAMPLERS: dict[str, Json] = {
    DEFAULT_SAMPLER: {"name": "bayesian", "method": "tpe"},
    "GPSampler": {"name": "bayesian", "method": "gp"},
    "CmaEsSampler": {"name": "bayesian", "method": "cmaes"},
    "RandomSampler": {"name": "random"},
    "QMCSampler": {"name": "random", "method": "sobol"},
    "BruteForceSampler": {"name": "grid"},
    "NSGAIISampler": {"name": "genetic", "method": "nsga2"},
    "NSGAIIISampler": {"name": "genetic", "method": "nsga3"},
}
"""The strategy of each sampler that a study can name."""
SIMILAR_SAMPLERS: dict[str, Json] = {"GridSampler": {"name": "grid"}}
"""Samplers with arguments that a strategy does not have."""
MEDIAN = "MedianPruner"
HALVING = "SuccessiveHalvingPruner"
HYPERBAND = "HyperbandPruner"
PRUNERS: dict[str, dict[str, str]] = {
    MEDIAN: {
        "n_warmup_steps": "min_step",
        "interval_steps": "interval",
        "n_min_trials": "min_trials",
    },
    HALVING: {"min_resource": "min_step", "reduction_factor": "eta"},
}
"""Of each pruner that a study can name, the field of each argument."""
RULES: dict[str, StoppingRule] = {MEDIAN: "median", HALVING: "halving"}
BUDGET = {"min": "min_resource", "max": "max_resource", "eta": "reduction_factor"}
"""The arguments of the hyperband pruner."""
HALVING_ETA = 4
"""``reduction_factor`` of successive halving where it is absent."""
DISTRIBUTIONS = frozenset(
    [
        *("FloatDistribution", "IntDistribution", "CategoricalDistribution"),
        # Of versions before 3, which Optuna still reads.
        *("UniformDistribution", "LogUniformDistribution", "DiscreteUniformDistribution"),
        *("IntUniformDistribution", "IntLogUniformDistribution"),
    ]
)


def default_metrics(count: int) -> list[str]:
    """Return the names that ``Study.trials_dataframe`` has for metrics without a name.

    >>> default_metrics(1), default_metrics(2)
    (['value'], ['values_0', 'values_1'])
    """
    return ["value"] if count == 1 else [f"values_{number}" for number in range(count)]
