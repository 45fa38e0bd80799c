"""The capabilities of Azure: its sweep jobs, or command jobs with trials that cloudtune chooses."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from cloudtune.formats import LINEAR_AND_LOG
from cloudtune.provider import (
    DRIVEN,
    ENFORCED_MANAGED,
    LAUNCHER_FIELDS,
    Adjustment,
    BoolParameter,
    Capabilities,
    CategoricalParameter,
    Limit,
    ModeCapabilities,
    Parameter,
    format_value,
    list_values,
)
from cloudtune_azure.native.names import RULES, WORDS

_LIMITS = (
    "https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters, as known "
    "2026-11-30"
)
STOPPING_FIELDS = (
    *("early_stopping.min_step", "early_stopping.interval"),
    *("early_stopping.bandit.slack", "early_stopping.bandit.slack_amount"),
)


def adjust_bools(parameter: Parameter, *, launched: bool) -> Adjustment | None:
    """Return words instead of booleans, which the schema of a choice does not have.

    Args:
        parameter: The parameter.
        launched: Whether cloudtune's launcher restores the types.
    """
    values = list_values(parameter) if isinstance(parameter, BoolParameter) else None
    if values is not None:
        words = ["True", "False"]
        new = CategoricalParameter(type="categorical", values=[*words], when=parameter.when)
        return Adjustment("note", "", "written as the words True and False", new)
    if isinstance(parameter, CategoricalParameter) and any(
        isinstance(value, bool) for value in parameter.values
    ):
        texts = parameter.model_copy(update={"values": [*map(format_value, parameter.values)]})
        reason = "a choice of Azure has no booleans, so all values are written as text"
        return Adjustment("note" if launched else "approximated", "values", reason, texts)
    return None


MANAGED = ModeCapabilities(
    parameters={"float": LINEAR_AND_LOG, "int": LINEAR_AND_LOG, "categorical": frozenset()},
    steps=True,
    log_steps=False,
    aligned_steps=True,
    conditions="choices",
    # The script gets the values as text, which does not distinguish 1 and "1".
    text_only=True,
    title="Azure",
    single_values=True,
    strategies=WORDS.names,
    # "Grid sampling can only be applied when all hyperparameters are discrete": lists are certain
    # (learn.microsoft.com/training, Configure a sampling method, read 2026-11-30).
    grid_of_values=True,
    methods=frozenset({"uniform", "sobol"}),
    seeds=True,
    objectives=1,
    targets=False,
    select=frozenset({"last"}),
    early_stopping=frozenset({"auto", *RULES.values()}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "trial_timeout"}),
    enforced_here=ENFORCED_MANAGED - {"timeout"},
    initial_trials=False,
    warm_start=frozenset(),
    max_trials=Limit(1_000, _LIMITS),
    max_parallel_trials=Limit(1_000, _LIMITS),
    max_parameters=None,
    max_values=None,
    max_name_length=None,
    unattended=True,
    fields=LAUNCHER_FIELDS | {*STOPPING_FIELDS},
    reasons={
        "objective": "a sweep has exactly one objective",
        "strategy.name": "a sweep has random, grid and bayesian search",
        "initial_trials": "a sweep takes no first trials",
        "warm_start": "a sweep does not learn from other jobs",
        "early_stopping.min_trials": "Azure's policies have no number of trials",
    },
    adjust=partial(adjust_bools, launched=True),
)

CAPABILITIES = Capabilities(
    provider="azure",
    title="Azure Machine Learning",
    verified="offline only",
    managed=MANAGED,
    # A job gets values as words of a command, which do not distinguish 1 and "1".
    driven=replace(DRIVEN, text_only=True),
)
