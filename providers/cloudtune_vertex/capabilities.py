"""What Vertex AI can do, managed by its own tuner and driven by ours; and where that is written."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.fitting.capabilities import (
    ALL_LIMITS,
    ALL_SCALES,
    DRIVEN,
    Capabilities,
    Limit,
    ModeCapabilities,
)

TYPES = "google-cloud-aiplatform 2.7.0, google/cloud/aiplatform_v1/types, read 2026-11-25"
"""Google's own description of each field of a job, with the limits that stand there."""

MANAGED = ModeCapabilities(
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES,
        "discrete": ALL_SCALES,
        "categorical": frozenset(),
    },
    steps=False,
    conditions="tree",
    # Numbers are numbers; but categories are text, and so is every flag that a script gets.
    text_only=True,
    single_values=True,
    strategies=frozenset({"bayesian", "random", "grid"}),
    # A grid takes no float ranges; whole numbers may stay a range, so the rules look at this.
    grid_of_values=False,
    methods=frozenset(),
    seeds=False,
    # Nobody documents a greatest number.
    objectives=1_000,
    targets=False,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset({"auto", "median"}),
    # The service keeps all of them but max_cost, which cloudtune watches.
    limits=ALL_LIMITS,
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=None,
    max_parallel_trials=None,
    max_parameters=None,
    # Written of discrete values; for categories none is written, and the same is taken.
    max_values=Limit(1_000, TYPES),
    max_name_length=None,
    unattended=True,
)

CAPABILITIES = Capabilities(
    provider="vertex",
    title="Vertex AI",
    verified="offline only",
    managed=MANAGED,
    # Values travel as flags in a custom job too: of 1 and "1", one would arrive as the other.
    driven=replace(DRIVEN, text_only=True),
)
