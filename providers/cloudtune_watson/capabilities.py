"""What IBM Watson can do, managed by WML Accelerator and driven by ours; and where that is written.

The capabilities hold both modes. Which of them there is depends on ``providers.watson.backend``:
`cloudtune_watson.rules` refuses the other.
"""

from __future__ import annotations

from dataclasses import replace

from cloudtune.fitting.capabilities import DRIVEN, Capabilities, ModeCapabilities

CLIENT = "ibm-wmla 0.1.1, wmla_api_v1.py, start_hpo, read 2026-11-25"
"""IBM's client of the Accelerator's API, which describes each field of a search."""
NOTEBOOKS = (
    "IBM/wmla-assets at fe322c8, notebooks on hyperparameters (01_hpo, 02_hpo_custom_experiment, "
    "WMLA-HPO-state, CPD3.5.0-model-hyperparameter-optimization-via-wmla-api), read 2026-11-25"
)
"""Searches that IBM ran, with their requests, their answers and remarks."""
ALGORITHMS = (
    "https://www.ibm.com/docs/en/SSFHA8_4.0/us/dli_hpo_default_search_algorithms.html, "
    "read 2026-11-24"
)
"""The page on its search algorithms and their parameters."""
TRAININGS = (
    "IBM/watsonx-ai-samples at 2974caf, cpd4.0 to cpd5.1, deep_learning notebooks, read 2026-11-24"
)
"""IBM's notebooks, the only description of a training that runs one's own script."""

MANAGED = ModeCapabilities(
    parameters={
        "float": frozenset({"linear", "log"}),
        # A range's base raises whole exponents alone; the rules say what is sent instead.
        "int": frozenset({"linear", "log"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    steps=True,
    conditions="none",
    text_only=True,
    single_values=False,
    strategies=frozenset({"bayesian", "random", "grid", "hyperband"}),
    grid_of_values=False,
    methods=frozenset({"uniform", "tpe"}),
    seeds=True,
    objectives=1,
    targets=False,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset(),
    # The service keeps all of them but max_cost, which cloudtune watches.
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "max_cost"}),
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=True,
    grid_of_trials=True,
)

CAPABILITIES = Capabilities(
    provider="watson",
    title="IBM Watson",
    verified="offline only",
    managed=MANAGED,
    # Values travel as words of a command: of 1 and "1", one would arrive as the other.
    driven=replace(DRIVEN, text_only=True),
)
