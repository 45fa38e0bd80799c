"""The capabilities of SageMaker, in managed and in driven mode."""

from __future__ import annotations

from dataclasses import replace

from cloudtune.provider import (
    ALL_SCALES,
    DRIVEN,
    ENFORCED_MANAGED,
    LAUNCHER_FIELDS,
    Adjustment,
    Capabilities,
    FloatParameter,
    Limit,
    ModeCapabilities,
    Parameter,
)

MODEL = "botocore 1.44.8, service model sagemaker 2017-07-24"
QUOTAS = (
    "https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html, "
    "read 2026-11-24"
)

_MEDIAN = "SageMaker's median rule decides this"


def _adjust_reversed(parameter: Parameter) -> Adjustment | None:
    """Return a linear range instead of a reversed one that SageMaker refuses."""
    if not isinstance(parameter, FloatParameter) or parameter.scale != "reverse_log":
        return None
    if 0 <= parameter.min <= parameter.max < 1:
        return None
    reason = "SageMaker has reverse_log only from 0 to below 1: linear is used"
    linear = parameter.model_copy(update={"scale": "linear"})
    return Adjustment("approximated", "scale", reason, linear)


MANAGED = ModeCapabilities(
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES - {"reverse_log"},
        "categorical": frozenset(),
    },
    steps=False,
    conditions="one_root",
    text_only=True,
    single_values=False,
    strategies=frozenset({"bayesian", "random", "grid", "hyperband"}),
    grid_of_values=True,
    methods=frozenset({"uniform"}),
    seeds=True,
    objectives=1,
    targets=True,
    select=frozenset({"last"}),
    early_stopping=frozenset({"auto", "median"}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "trial_timeout", "patience"}),
    enforced_here=ENFORCED_MANAGED - {"timeout", "patience", "target"},
    initial_trials=False,
    warm_start=frozenset({"same", "transfer"}),
    # Of random search with a raised quota; the rules know what holds without.
    max_trials=Limit(10_000, QUOTAS),
    max_parallel_trials=Limit(100, QUOTAS),
    max_parameters=Limit(30, QUOTAS),
    max_values=Limit(30, QUOTAS),
    # A name may have 256 characters (botocore's model), and one in a study has at most 200.
    max_name_length=None,
    unattended=True,
    fields=LAUNCHER_FIELDS | {"strategy.resource", "strategy.min", "strategy.max"},
    reasons={
        "initial_trials": "a tuning job takes no first trials",
        "objective": "a tuning job has one objective",
        "strategy.name": "SageMaker has Bayesian, Random, Grid, Hyperband",
        "strategy.eta": "SageMaker decides how many trials continue",
        **{f"early_stopping.{key}": _MEDIAN for key in ("min_step", "interval", "min_trials")},
    },
    adjust=_adjust_reversed,
)

CAPABILITIES = Capabilities(
    provider="sagemaker",
    title="SageMaker",
    verified="offline only",
    managed=MANAGED,
    # Values travel as text in a training job too: of 1 and "1", one would arrive as the other.
    driven=replace(DRIVEN, text_only=True),
)
