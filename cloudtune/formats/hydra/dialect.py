"""How a study is written as a configuration of Hydra's Optuna sweeper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, choice_values, choose_one, separate_values
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import NOTHING, Adjustment
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json
from cloudtune.formats.hydra.expressions import write_element, write_expression
from cloudtune.formats.hydra.names import (
    CHOICES,
    HOME,
    METRIC,
    METRIC_KEY,
    PREFIX,
    SAMPLERS,
    SWEEPER,
    TRIALS,
    default_of,
)
from cloudtune.formats.model import compact
from cloudtune.study.schema import Parameter
from cloudtune.study.study import Study

_CODE = "the code is the program that is started with --multirun"


_TRIAL = tuple(
    f"trial.{key}"
    for key in (
        *("source", "script", "module", "command", "requirements", "args", "metrics", "select"),
        *("inputs", "env", "resources", "retry", "switches"),
    )
)


def _adjust(parameter: Parameter) -> Adjustment | None:
    return choose_one(parameter) or separate_values(parameter, "Optuna")


_CHOICE_OF = {word: choice for choice, word in CHOICES.items()}
_PLAINEST = "random"
"""A choice whose only argument all samplers have: the plugin checks the arguments against it."""
_WORDS = Words(strategies=SAMPLERS, plain={"random": "uniform"})
_CAPABILITIES = replace(
    NOTHING,
    parameters=RANGES_AND_CHOICES,
    steps=True,
    log_steps=False,
    adjust=_adjust,
    strategies=_WORDS.names,
    grid_of_values=True,  # of a range, the plugin leaves the last value out
    seeds=True,
    objectives=1_000,
    limits=frozenset({"max_trials", "parallel_trials"}),
    fields=frozenset({"constants", "trial.arguments", "trial.seed_argument"}),
    reasons={
        "description": "a configuration has no description",
        "initial_trials": "the sweeper takes no first trials",
        "warm_start": "name the storage and the study_name of the earlier sweep in the file",
        "parameters.when": "Hydra has conditional parameters only in code: custom_search_space",
        "early_stopping": "the sweeper stops no trials early",
        "objective.target": "a sweep does not end at a value",
        "objective.select": "Hydra takes what the function returns",
        "limits": "the sweeper has no such limit",
        **dict.fromkeys(_TRIAL, _CODE),
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    sweeper: Json = {
        "_target_": SWEEPER,
        **compact(sampler=_sampler(study, map_at(rest, "hydra", "sweeper", "sampler"))),
        **_direction(study),
        **compact(study_name=study.name),
        "n_trials": study.limits.max_trials or TRIALS,
        "n_jobs": study.limits.parallel_trials or 1,
        "params": {
            **{
                name: write_expression(variants[0], choice_values(variants[0]))
                for name, variants in study.parameters.items()
            },
            **{
                name: write_element(value) if isinstance(value, str) else value
                for name, value in study.constants.items()
            },
        },
    }
    defaults: list[Json] = rest.pop("defaults", [])
    if default_of({"defaults": defaults}, "hydra/sweeper") is None:
        defaults = [*defaults, {"override hydra/sweeper": "optuna"}]
    choice = _CHOICE_OF.get(_WORDS.strategy(study.strategy) or "", _PLAINEST)
    document: Json = {
        "defaults": [*defaults, {"override hydra/sweeper/sampler": choice}],
        "hydra": {"sweeper": sweeper},
    }
    metrics = [objective.metric for objective in study.objectives]
    if len(metrics) == 1 and (metrics != [METRIC] or METRIC_KEY in rest):
        rest.pop(METRIC_KEY, None)
        document = {METRIC_KEY: metrics[0]} | document
    return document


def _sampler(study: Study, kept: Json) -> Json | None:
    """Return the arguments of the sampler, and its class if the plugin has no choice for it."""
    word = _WORDS.strategy(study.strategy)
    kept.pop("_target_", None)
    return compact(_target_=None if word in _CHOICE_OF else word, seed=study.strategy.seed) or None


def _direction(study: Study) -> Json:
    goals = [objective.goal for objective in study.objectives]
    return compact(direction=goals[0] if len(goals) == 1 else goals)


def _rules(fitted: FittedStudy, _: Native) -> Iterator[Finding | Note]:
    study = fitted.study
    if not study.objectives:
        text = "absent, so Hydra minimizes what the function returns"
        yield Note("objective", text, "warning")
    if len(study.objectives) > 1:
        text = "Hydra has no names of several metrics: return them in this order"
        yield Finding("approximated", "objective", text)
    if (word := _WORDS.strategy(study.strategy)) and word not in _CHOICE_OF:
        # The metadata of hydra-optuna-sweeper 1.3.0, read 2026-11-30: optuna<3.0.0,>=2.10.0
        sampler = word.removeprefix(PREFIX)
        text = f"hydra-optuna-sweeper 1.3.0 installs Optuna 2, which has no {sampler}"
        yield Note("strategy.method", text, "warning")
    if study.limits.max_trials is None:
        yield Note("limits.max_trials", f"absent, so Hydra's default {TRIALS}", "warning")
    if study.trial.arguments != "assign":
        text = f"Hydra passes name=value, and not {study.trial.arguments}"
        yield Finding("approximated", "trial.arguments", text)


HYDRA = Dialect(
    name=HOME,
    title="Hydra",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    rules=_rules,
)
