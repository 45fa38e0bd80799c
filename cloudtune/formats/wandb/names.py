"""The names of Weights & Biases that its reader and its writer share."""

from __future__ import annotations

HOME = "wandb"
CUSTOM = "custom"
METHODS = {"bayes": "bayesian", "grid": "grid", "random": "random", CUSTOM: "bayesian"}
"""The strategy of each method; with custom, a scheduler outside chooses."""
EXPONENTS = frozenset(["log_uniform", "inv_log_uniform", "q_log_uniform"])
"""The distributions whose bounds are exponents of e."""
INVERSE = "inv_log_uniform"
LOG_STYLES = frozenset(
    ["log_uniform", "log_uniform_values", "inv_log_uniform", "inv_log_uniform_values"]
)
"""The distributions of a range with a log scale."""
ARGUMENTS = {"${args}": "equals", "${args_no_hyphens}": "assign", "${args_json}": "json"}
"""The style of arguments of each macro of a command that a study can name."""
DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
ETA = 3
"""``eta`` of early termination where a sweep has none."""
