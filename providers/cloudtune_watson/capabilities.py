"""The capabilities of IBM Watson, managed by WML Accelerator or driven, with their sources.

The available mode depends on ``providers.watson.backend``: `cloudtune_watson.rules` refuses the
other mode.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from cloudtune.formats import LINEAR_AND_LOG, list_log_scale
from cloudtune.provider import (
    DRIVEN,
    ENFORCED_MANAGED,
    LAUNCHER_FIELDS,
    Capabilities,
    ModeCapabilities,
)

CLIENT = "ibm-wmla 0.1.1, wmla_api_v1.py, start_hpo, read 2026-11-25"
"""IBM's client of the Accelerator's API, which describes each field of a search."""
NOTEBOOKS = (
    "IBM/wmla-assets at fe322c8, notebooks on hyperparameters (01_hpo, 02_hpo_custom_experiment, "
    "WMLA-HPO-state, CPD3.5.0-model-hyperparameter-optimization-via-wmla-api), read 2026-11-25"
)
"""Searches that IBM ran, with requests and responses."""
ALGORITHMS = (
    "https://www.ibm.com/docs/en/SSFHA8_4.0/us/dli_hpo_default_search_algorithms.html, "
    "read 2026-11-24"
)
"""The page on search algorithms and their parameters."""
TRAININGS = (
    "IBM/watsonx-ai-samples at 2974caf, cpd4.0 to cpd5.1, deep_learning notebooks, read 2026-11-24"
)
"""IBM's notebooks, the only description of a training with a custom script."""

TITLE = "WML Accelerator"

MANAGED = ModeCapabilities(
    parameters={
        "float": LINEAR_AND_LOG,
        "int": frozenset({"linear"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=True,
    conditions="none",
    text_only=True,
    single_values=False,
    strategies=frozenset({"bayesian", "random", "grid", "list", "hyperband"}),
    grid_of_values=False,
    methods=frozenset({"uniform", "tpe"}),
    seeds=True,
    objectives=1,
    targets=False,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset(),
    limits=frozenset({"max_trials", "parallel_trials", "timeout"}),
    enforced_here=ENFORCED_MANAGED - {"timeout"},
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=True,
    grid_of_trials=True,
    title=TITLE,
    fields=LAUNCHER_FIELDS | {"strategy.resource", "strategy.max", "strategy.eta"},
    reasons={
        "early_stopping": "WML Accelerator stops trials early only in Hyperband",
        "initial_trials": "a search takes no first trials",
        "objective": "a search has exactly one objective",
        "strategy.min": "WML Accelerator's Hyperband has only a maximum; its minimum is 1",
        "warm_start": "a search does not learn from other searches",
    },
    # For an int, the base of a range has only whole exponents; a step applies to the exponents.
    adjust=partial(list_log_scale, title=TITLE),
    log_steps=False,
)

CAPABILITIES = Capabilities(
    provider="watson",
    title="IBM Watson",
    verified="offline only",
    managed=MANAGED,
    # A training gets values as words of a command, which do not distinguish 1 and "1".
    driven=replace(DRIVEN, text_only=True),
)
