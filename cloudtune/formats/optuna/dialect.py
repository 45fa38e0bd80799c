"""How a study is written as the facts of an Optuna study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, map_entries, native_of, take_block
from cloudtune.dialect.ranges import RANGES_AND_CHOICES, separate_values
from cloudtune.dialect.words import Words, inverse
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json
from cloudtune.formats.model import compact
from cloudtune.formats.optuna.distributions import write_distribution
from cloudtune.formats.optuna.names import (
    BUDGET,
    DEFAULT_SAMPLER,
    HALVING,
    HALVING_ETA,
    HOME,
    HYPERBAND,
    PRUNERS,
    RULES,
    SAMPLERS,
    SIMILAR_SAMPLERS,
    default_metrics,
)
from cloudtune.study.study import Study

_CODE = "Optuna calls an objective function of your program"
_ETA = 3
"""``eta`` of halving where a study has none."""
_WORDS = Words(
    strategies=SAMPLERS,
    similar=SIMILAR_SAMPLERS,
    plain={"random": "uniform"},
    rules=RULES,
    automatic="median",
)
_CAPABILITIES = replace(
    NOTHING,
    parameters=RANGES_AND_CHOICES,
    conditions="one_definition",
    steps=True,
    log_steps=False,
    adjust=partial(separate_values, title="Optuna"),
    strategies=_WORDS.names | {"list", "hyperband"},
    seeds=True,
    objectives=1_000,
    early_stopping=frozenset({"auto", *RULES.values()}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout"}),
    initial_trials=True,
    fields=frozenset(
        [
            *("constants", "trial.seed_argument", "strategy.resource"),
            *(f"strategy.{key}" for key in BUDGET),
            *(
                f"early_stopping.{RULES[name]}.{f}"
                for name, to in PRUNERS.items()
                for f in to.values()
            ),
        ]
    ),
    reasons={
        "constraints": "an Optuna program sets them with Trial.set_constraint",
        "description": "an Optuna study has no description; use set_user_attr",
        "warm_start": "add the trials of other studies with add_trials",
        "objective.target": "write a callback that ends the study at a value",
        "objective.select": "Optuna takes what the objective function returns",
        "limits.trial_timeout": _CODE,
        "limits.max_failed_trials": "the argument catch of optimize decides about failures",
        "limits.patience": "write a callback that ends the study",
        "trial": _CODE,
        "parameters.when": "an Optuna parameter has one distribution, whatever the condition",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    constants = {
        name: {"name": "CategoricalDistribution", "attributes": {"choices": [value]}}
        for name, value in study.constants.items()
    }
    distributions = {
        name: native.written(name, variants[0], write_distribution(variants[0]))
        for name, variants in study.parameters.items()
    }
    conditions = {
        name: {parent: list(values) for parent, values in variants[0].when.items()}
        for name, variants in study.parameters.items()
        if variants[0].when
    }
    return {
        **compact(study_name=study.name),
        **_objectives(study),
        "distributions": distributions | constants,
        **compact(conditions=conditions),
        **_sampler(study, native),
        **_pruner(study),
        **compact(
            n_trials=study.limits.max_trials,
            timeout=study.limits.timeout,
            n_jobs=study.limits.parallel_trials,
            enqueued_trials=list(study.initial_trials),
        ),
    }


def _objectives(study: Study) -> Json:
    metrics = [objective.metric for objective in study.objectives]
    is_default = metrics == default_metrics(len(metrics))
    return compact(
        directions=[objective.goal for objective in study.objectives],
        metric_names=[] if is_default else metrics,
    )


def _sampler(study: Study, native: Native) -> Json:
    strategy, kept = study.strategy, map_at(native.rest, "sampler")
    grid = map_at(kept, "arguments", "search_space")
    for each in grid.keys() - {*study.parameters, *study.constants}:
        del grid[each]
    seed = {} if strategy.seed is None else {"seed": strategy.seed}
    name = kept.get("name")
    if strategy.name not in {"list", "hyperband"}:
        if not _WORDS.means(name, strategy):
            kept.pop("name", None)
            name = None
        if name is None and (strategy.name, strategy.method) != ("bayesian", None):
            name = _WORDS.strategy(strategy)
    if name is None and not seed:
        return {}
    return {"sampler": {"name": name or DEFAULT_SAMPLER, **compact(arguments=seed)}}


def _pruner(study: Study) -> Json:
    strategy, stopping = study.strategy, study.early_stopping
    if strategy.name == "hyperband":
        budget = compact(**{name: getattr(strategy, key) for key, name in BUDGET.items()})
        return {"pruner": {"name": HYPERBAND, "arguments": budget}}
    if stopping is None:
        return {}
    name = inverse(RULES, stopping.rule)
    arguments = {key: getattr(stopping, field) for key, field in PRUNERS[name].items()}
    if name == HALVING:
        eta = arguments["reduction_factor"] or _ETA
        arguments["reduction_factor"] = None if eta == HALVING_ETA else eta
    found = {key: value for key, value in arguments.items() if value is not None}
    return {"pruner": {"name": name, **compact(arguments=found)}}


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    block = take_block(rest, "distributions")
    return Native(rest, block, map_entries(block))


def _rules(fitted: FittedStudy, _: Native) -> Iterator[Finding | Note]:
    study, strategy = fitted.study, fitted.study.strategy
    if not study.objectives:
        text = "absent, so Optuna minimizes what the function returns"
        yield Note("objective", text, "warning")
    for name in study.constants:
        yield Note(f"constants.{name}", "written as a choice of one value")
    if any(variants[0].when for variants in study.parameters.values()):
        reason = "Optuna has conditions only in code: suggest a parameter if its condition holds"
        yield Finding("approximated", "parameters", reason)
    if strategy.name == "list":
        reason = "Optuna has no listed trials: after the enqueued ones, its sampler chooses"
        yield Finding("approximated", "strategy.name", reason)
    if strategy.resource is not None:
        reason = f"Optuna counts steps and passes no {strategy.resource}"
        yield Finding("dropped", "strategy.resource", reason)
    if strategy.name == "hyperband" and study.early_stopping:
        reason = "Optuna has one pruner, which is that of hyperband"
        yield Finding("dropped", "early_stopping", reason)


OPTUNA = Dialect(
    name=HOME,
    title="Optuna",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
