"""Writes a study as the facts of an Optuna study, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.fields import Json, Report
from cloudtune.formats.model import compact, native_block, report_objectives, report_unsupported
from cloudtune.formats.optuna.distributions import write_distribution
from cloudtune.formats.optuna.names import (
    BUDGET,
    HALVING,
    HALVING_ETA,
    HOME,
    HYPERBAND,
    MEDIAN,
    PRUNERS,
    RULES,
    SAMPLERS,
    SIMILAR_SAMPLERS,
    default_metrics,
)
from cloudtune.study.merge import merge_json
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_CODE = "Optuna calls an objective function of your program"
_UNSUPPORTED = {
    "description": "an Optuna study has no description; use set_user_attr",
    "warm_start": "add the trials of other studies with add_trials",
    "limits.trial_timeout": _CODE,
    "limits.max_failed_trials": "the argument catch of optimize decides about failures",
    "limits.patience": "write a callback that ends the study",
    "limits.max_cost": "Optuna knows no cost",
    "trial": _CODE,
}


def write_study(study: Study, report: Report) -> Json:
    """Return the facts of a study, with its ``providers.optuna.native`` merged in."""
    report_unsupported(study, report, _UNSUPPORTED)
    native: Json = native_block(study, HOME)
    facts: Json = {
        **compact(study_name=study.name),
        **_objectives(study, report),
        "distributions": _distributions(study, report),
        **compact(conditions=_conditions(study, report)),
        **_sampler(study, native, report),
        **_pruner(study, report),
        **compact(
            n_trials=study.limits.max_trials,
            timeout=study.limits.timeout,
            n_jobs=study.limits.parallel_trials,
            enqueued_trials=list(study.initial_trials),
        ),
    }
    return cast("Json", merge_json(facts, native))


def _objectives(study: Study, report: Report) -> Json:
    report_objectives(
        study,
        report,
        target="write a callback that ends the study at a value",
        select="Optuna takes what the objective function returns",
    )
    if not study.objectives:
        report.warn("objective", "absent, so Optuna minimizes what the function returns")
    metrics = [objective.metric for objective in study.objectives]
    is_default = metrics == default_metrics(len(metrics))
    return compact(
        directions=[objective.goal for objective in study.objectives],
        metric_names=[] if is_default else metrics,
    )


def _distributions(study: Study, report: Report) -> Json:
    found: Json = {}
    for name, variants in study.parameters.items():
        if len(variants) > 1:
            reason = "an Optuna parameter has one distribution, whatever the condition"
            report.refuse(f"parameters.{name}", reason)
        found[name] = write_distribution(f"parameters.{name}", variants[0], report)
    for name, value in study.constants.items():
        report.note(f"constants.{name}", "written as a choice of one value")
        attributes = {"choices": [value]}
        found[name] = {"name": "CategoricalDistribution", "attributes": attributes}
    return found


def _conditions(study: Study, report: Report) -> Json:
    conditions: Json = {
        name: {parent: list(values) for parent, values in variants[0].when.items()}
        for name, variants in study.parameters.items()
        if variants[0].when
    }
    if conditions:
        reason = "Optuna has conditions only in code: suggest a parameter if its condition holds"
        report.approximate("parameters", reason)
    return conditions


def _sampler(study: Study, native: Json, report: Report) -> Json:
    strategy = study.strategy
    kept: Any = native.get("sampler")
    before = kept.get("name") if is_map(kept) else None
    if strategy.name in {"list", "hyperband"} or (strategy.name, strategy.method, before) == (
        "bayesian",
        None,
        None,
    ):
        arguments = compact(arguments={} if strategy.seed is None else {"seed": strategy.seed})
        return {"sampler": {"name": before or "TPESampler", **arguments}} if arguments else {}
    wanted = {key: value for key in ("name", "method") if (value := getattr(strategy, key))}
    known = SAMPLERS | SIMILAR_SAMPLERS
    if before is not None and known.get(before) != wanted:
        del kept["name"]
        before = None
    name = before or next((name for name, each in SAMPLERS.items() if each == wanted), None)
    if name is None:
        similar = (name for name, each in SAMPLERS.items() if each["name"] == strategy.name)
        name = next(similar, "")
        if strategy.method not in {None, "uniform"}:
            report.approximate("strategy.method", f"Optuna runs {name}, not {strategy.method}")
    seed = {} if strategy.seed is None else {"seed": strategy.seed}
    return {"sampler": {"name": name, **compact(arguments=seed)}}


def _pruner(study: Study, report: Report) -> Json:
    strategy, stopping = study.strategy, study.early_stopping
    if strategy.name == "hyperband":
        if strategy.resource is not None:
            reason = f"Optuna counts steps and passes no {strategy.resource}"
            report.approximate("strategy.resource", reason)
        budget = compact(**{name: getattr(strategy, key) for key, name in BUDGET.items()})
        return {"pruner": {"name": HYPERBAND, "arguments": budget}}
    if stopping is None:
        return {}
    kinds = {"auto": MEDIAN} | {rule: name for name, rule in RULES.items()}
    name = kinds.get(stopping.rule)
    if name is None:
        report.drop("early_stopping", f"Optuna has no rule {stopping.rule}")
        return {}
    fields = PRUNERS[name]
    arguments = {key: getattr(stopping, field) for key, field in fields.items()}
    if name == HALVING and arguments["reduction_factor"] == HALVING_ETA:
        del arguments["reduction_factor"]
    for field in {"min_step", "interval", "min_trials", "eta"} - set(fields.values()):
        if getattr(stopping, field) is not None:
            report.drop(f"early_stopping.{field}", f"{name} has no such argument")
    found = {key: value for key, value in arguments.items() if value is not None}
    return {"pruner": {"name": name, **compact(arguments=found)}}
