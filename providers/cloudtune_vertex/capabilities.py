"""The capabilities of Vertex AI, in managed and in driven mode, with their sources."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from cloudtune.formats import adjust_reversed
from cloudtune.provider import (
    ALL_SCALES,
    DRIVEN,
    ENFORCED_MANAGED,
    LAUNCHER_FIELDS,
    Capabilities,
    Limit,
    ModeCapabilities,
)

TYPES = "google-cloud-aiplatform 2.7.0, google/cloud/aiplatform_v1/types, read 2026-11-25"
"""Google's description of each field of a job, with limits."""

_MEDIAN = "Vertex AI's median rule decides this"

MANAGED = ModeCapabilities(
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES,
        "discrete": ALL_SCALES,
        "categorical": frozenset(),
    },
    steps=False,
    conditions="tree",
    # The service returns numbers as numbers; categories and the flags of a script are text.
    text_only=True,
    single_values=True,
    strategies=frozenset({"bayesian", "random", "grid"}),
    # A grid takes int ranges but no float ranges; the rules check this.
    grid_of_values=False,
    methods=frozenset({"uniform"}),
    seeds=False,
    # No maximum is documented.
    objectives=1_000,
    targets=False,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset({"auto", "median"}),
    limits=frozenset(
        {
            "max_trials",
            "parallel_trials",
            "timeout",
            "trial_timeout",
            "max_failed_trials",
            "patience",
        }
    ),
    # The service checks these two only before it starts a trial, if tuning jobs apply them at all.
    enforced_here=ENFORCED_MANAGED - {"max_failed_trials"},
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    # Documented for discrete values, and assumed for categories.
    max_values=Limit(1_000, TYPES),
    max_name_length=None,
    unattended=True,
    fields=LAUNCHER_FIELDS,
    reasons={
        "initial_trials": "a tuning job takes no first trials",
        "warm_start": "a tuning job does not learn from other jobs",
        "strategy.name": "Vertex AI has bayesian, random and grid search",
        "strategy.seed": "Vertex AI has no seeds",
        **{f"early_stopping.{key}": _MEDIAN for key in ("min_step", "interval", "min_trials")},
    },
    adjust=partial(adjust_reversed, title="Vertex AI"),
)

CAPABILITIES = Capabilities(
    provider="vertex",
    title="Vertex AI",
    verified="offline only",
    managed=MANAGED,
    # A custom job gets values as flags, which do not distinguish 1 and "1".
    driven=replace(DRIVEN, text_only=True),
)
