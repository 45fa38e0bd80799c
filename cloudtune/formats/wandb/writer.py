"""Writes a study as a sweep of Weights & Biases, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.fields import Json, Report
from cloudtune.formats.kept import read_alone, take_kept
from cloudtune.formats.model import compact, native_block, report_unsupported
from cloudtune.formats.nesting import Nesting
from cloudtune.formats.ranges import Range, logarithm, range_or_values
from cloudtune.formats.wandb.names import ARGUMENTS, HOME, INVERSE, LOG_STYLES, METHODS
from cloudtune.formats.wandb.parameters import ParametersReader
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import (
    Objective,
    Parameter,
)
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_UNSUPPORTED = {
    "initial_trials": "a sweep takes no first trials",
    "warm_start": "set prior runs when you create the sweep",
    "limits.parallel_trials": "start that many agents",
    "limits.timeout": "a sweep has no time limit",
    "limits.trial_timeout": "a sweep has no time limit of a run",
    "limits.max_failed_trials": "a sweep has no limit of failed runs",
    "limits.patience": "a sweep does not end without improvement",
    "limits.max_cost": "a sweep knows no cost",
    "strategy.seed": "W&B has no seed",
    "early_stopping.interval": "W&B has no interval",
    "early_stopping.min_trials": "W&B has no number of trials",
    "trial.metrics": "W&B reads what wandb.log() writes; add it to the script",
    "trial.select": "W&B decides which value of a metric counts",
    "trial.source": "start the agent in the folder of the code",
    "trial.env": "set variables where the agent starts",
    "trial.inputs": "a sweep has no inputs; put their paths into command",
    "trial.resources": "a sweep has no resources",
    "trial.requirements": "install them where the agent starts",
}


def write_sweep(study: Study, report: Report) -> Json:
    """Return the sweep of a study, with its ``providers.wandb.native`` merged in."""
    report_unsupported(study, report, _UNSUPPORTED)
    native: Json = native_block(study, HOME)
    sweep: Json = {
        "method": _method(study, native, report),
        **compact(name=study.name, description=study.description),
        **_code(study, native, report),
        **_metrics(study, report),
        "parameters": _parameters(study, native, report),
        **compact(early_terminate=_early_terminate(study, native, report)),
        **compact(run_cap=study.limits.max_trials),
    }
    return cast("Json", merge_json(sweep, native))


def _method(study: Study, native: Json, report: Report) -> str:
    strategy = study.strategy
    names = {name: method for method, name in METHODS.items() if method != "custom"}
    method = names.get(strategy.name)
    if method != "bayes":
        native.pop("method", None)
    if method is None:
        report.refuse("strategy.name", f"W&B has no method for {strategy.name}")
        return ""
    if strategy.method not in {None, "uniform", "gp"}:
        reason = f"W&B runs {method}, not {strategy.method}"
        report.approximate("strategy.method", reason)
    return method


def _code(study: Study, native: Json, report: Report) -> Json:
    trial = study.trial
    if trial.script is None:
        if not {"program", "command", "job", "image_uri"} & native.keys():
            path = f"providers.{HOME}.native.program"
            report.warn(path, "absent: W&B needs a program; add it to the file")
        return {}
    if "command" in native:
        return {"program": trial.script}
    macros = {style: macro for macro, style in ARGUMENTS.items()} | {"flags": "${args}"}
    macro = macros.get(trial.arguments)
    if macro is None:
        reason = f"W&B does not pass parameters as {trial.arguments}; read them from wandb.config"
        report.approximate("trial.arguments", reason)
    if macro == "${args}" and not trial.args:
        return {"program": trial.script}
    words = ["${env}", "${interpreter}", "${program}", *trial.args, *([macro] if macro else [])]
    return {"program": trial.script, "command": words}


def _metrics(study: Study, report: Report) -> Json:
    entries = [_metric(objective, report) for objective in study.objectives]
    if len(entries) > 1:
        if study.providers.get(HOME, {}).get("native", {}).get("method") != "custom":
            report.refuse("objective", "only the method custom has several metrics")
        return {"metrics": entries}
    if not entries and study.strategy.name == "bayesian":
        report.warn("objective", "absent: the method bayes needs a metric")
    return {"metric": entries[0]} if entries else {}


def _metric(objective: Objective, report: Report) -> Json:
    if objective.select != "last":
        report.drop("objective.select", "W&B decides which value of a metric counts")
    target = {} if objective.target is None else {"target": objective.target}
    return {"name": objective.metric, "goal": objective.goal, **target}


def _early_terminate(study: Study, native: Json, report: Report) -> Json:
    stopping = study.early_stopping
    if stopping is None:
        return {}
    if stopping.rule not in {"auto", "halving"}:
        report.drop("early_stopping", f"W&B has only hyperband, not the rule {stopping.rule}")
        return {}
    kept = native.get("early_terminate")
    counts_backwards = is_map(kept) and {"max_iter", "s"} <= kept.keys()
    first = {} if counts_backwards else {"min_iter": stopping.min_step or 1}
    return {"type": "hyperband", **first, **compact(eta=stopping.eta)}


def _parameters(study: Study, native: Json, report: Report) -> Json:
    kept = native.setdefault("parameters", {})
    nesting = Nesting(kept, "parameters")
    found: Json = {}
    for name, variants in study.parameters.items():
        path = f"parameters.{name}"
        if len(variants) > 1 or variants[0].when:
            report.refuse(path, "W&B has no conditional parameters")
        nesting.put(found, name, _definition(path, variants[0], nesting.entry(name), report))
    for name, value in study.constants.items():
        nesting.put(found, name, {"value": value})
    if not kept:
        del native["parameters"]
    return found


def _definition(path: str, parameter: Parameter, kept: Any, report: Report) -> Json:
    if is_map(kept) and {"min", "values", "value"} & kept.keys():
        again = read_alone(ParametersReader(Report()), kept)
        if (same := take_kept(kept, parameter, again)) is not None:
            return same
    style = kept.pop("distribution", None) if is_map(kept) else None
    found = range_or_values(path, parameter, report, "W&B")
    weights = kept.get("probabilities") if is_map(kept) else None
    if is_list(weights) and (isinstance(found, Range) or len(weights) != len(found)):
        del kept["probabilities"]
        report.drop(f"{path}.values", "the probabilities are those of other values")
    return _range(found, style) if isinstance(found, Range) else {"values": found}


def _range(found: Range, style: str | None) -> Json:
    low, high, step = found.low, found.high, found.step
    if found.is_int and step is None:
        if not found.is_log:
            return {"distribution": "int_uniform", "min": low, "max": high}
        step = 1
    if step is None:
        if not found.is_log:
            return {"distribution": "uniform", "min": low, "max": high}
        name = style if style in LOG_STYLES else "log_uniform_values"
        return {"distribution": name, **_bounds(name, low, high)}
    name = "q_uniform"
    if found.is_log:
        name = "q_log_uniform" if style == "q_log_uniform" else "q_log_uniform_values"
    return {"distribution": name, **_bounds(name, low, high), "q": step}


def _bounds(distribution: str, low: float, high: float) -> Json:
    if distribution == INVERSE:
        return {"min": -logarithm(high), "max": -logarithm(low)}
    if distribution in {"log_uniform", "q_log_uniform"}:
        return {"min": logarithm(low), "max": logarithm(high)}
    return {"min": low, "max": high}
