"""Writes a study as a hyperparameter search of WML Accelerator, with only what the study says."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, cast

from cloudtune.provider import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    Input,
    IntParameter,
    Json,
    Parameter,
    Report,
    Space,
    Study,
    Value,
    compact,
    count_values,
    format_value,
    list_log_values,
    list_values,
    merge_json,
    native_block,
    report_unsupported,
    resolve_scale,
    write_power,
)
from cloudtune_watson.native.model_spec import MAIN, write_options
from cloudtune_watson.native.names import ALGORITHMS, BOUNDS, DATA, GRID, LISTS, SELECTS
from cloudtune_watson.settings import NAME

_MAX_LISTED = 1_000
_UNSUPPORTED = {
    "description": "a search has no description",
    "early_stopping": "WML Accelerator stops trials early only in Hyperband",
    "warm_start": "a search does not learn from other searches",
    "limits.trial_timeout": "a search limits only its own time",
    "limits.max_failed_trials": "a search has no limit for failures",
    "limits.patience": "a search does not end without improvement",
    "limits.max_cost": "WML Accelerator knows no cost",
    "strategy.min": "Hyperband starts at 1",
    "trial.metrics": "WML Accelerator reads no log; the code must report with IBM's monitor",
    "trial.module": "WML Accelerator starts a script",
    "trial.command": "WML Accelerator starts a Python script",
    "trial.requirements": "WML Accelerator installs no packages",
    "trial.env": "a search has no variables",
    "trial.switches": "values are in config.json as they are",
    "trial.arguments": "values are in config.json",
    "trial.resources": "set worker_devices",
}


def write_search(study: Study, report: Report) -> Json:
    """Return the ``data`` of a search, with ``providers.watson.native.data`` merged in."""
    native = native_block(study, NAME).get(DATA, {})
    report_unsupported(study, report, _UNSUPPORTED)
    settings = study.providers.get(NAME, {})
    algorithm = _algorithm(study, report)
    kept = native.get("algoDef", {})
    if str(kept.get("algorithm", "")).lower() != algorithm.get("algorithm", "").lower():
        kept.pop("algorithm", None)
    search: Json = compact(hpoName=study.name)
    search |= compact(modelSpec=_model(study, settings, native, report))
    if study.strategy.eta and kept.pop("hyperbandEta", None) is not None:
        algorithm["hyperbandEta"] = float(study.strategy.eta)
    elif study.strategy.eta:
        eta = {"name": "eta", "value": str(study.strategy.eta)}
        algorithm["algoParams"] = [*algorithm.get("algoParams", []), eta]
    search["algoDef"] = algorithm
    if algorithm.get("algorithm") == GRID:
        search["experiments"] = _experiments(study, report)
    else:
        if study.initial_trials:
            report.drop("initial_trials", "a search takes no first trials")
        search["hyperParams"] = [
            {"name": name, **_parameter(name, variants, report)}
            for name, variants in study.parameters.items()
        ]
    return cast("Json", merge_json(search, native))


def _algorithm(study: Study, report: Report) -> Json:
    strategy, limits = study.strategy, study.limits
    algorithm: Json = compact(
        algorithm=_algorithm_name(study, report),
        maxRunTime=_minutes(limits.timeout, report),
        maxJobNum=limits.max_trials,
        maxParalleJobNum=limits.parallel_trials,
    )
    if len(study.objectives) != 1:
        report.refuse("objective", "a search has exactly one objective")
    else:
        (objective,) = study.objectives
        algorithm |= {"objectiveMetric": objective.metric, "objective": objective.goal}
        if objective.target is not None:
            report.drop("objective.target", "a search does not end at a target")
        if objective.select != "last":
            text = "which measurement WML Accelerator compares is not documented"
            report.approximate("objective.select", text)
    words = {ours: theirs for theirs, ours in SELECTS.items()}
    additional = {name: words[select] for name, select in study.trial.select.items()}
    params: dict[str, Any] = {}
    if strategy.seed is not None:
        params["RandomSeed"] = strategy.seed
    if strategy.name == "hyperband":
        if strategy.resource is None or strategy.max is None:
            reason = "IBM's Hyperband needs a resource that it passes to the script, and its max"
            report.refuse("strategy.resource", reason)
        params |= compact(ResourceName=strategy.resource, ResourceValue=strategy.max)
    listed = [{"name": name, "value": str(value)} for name, value in params.items()]
    return {**algorithm, **compact(additionalMetrics=additional, algoParams=listed)}


def _algorithm_name(study: Study, report: Report) -> str | None:
    strategy = study.strategy
    if strategy.name == "grid":
        report.note("strategy.name", "the search lists the trials of the grid")
        return GRID
    known = {(each["name"], each.get("method")): name for name, each in ALGORITHMS.items()}
    name = known.get((strategy.name, strategy.method), known.get((strategy.name, None)))
    if name is None:
        report.refuse("strategy.name", f"WML Accelerator has no algorithm for {strategy.name}")
    elif ALGORITHMS[name].get("method") != strategy.method and strategy.method != "uniform":
        text = f"WML Accelerator runs {name}, not {strategy.method}"
        report.approximate("strategy.method", text)
    return name


def _minutes(seconds: float | None, report: Report) -> int | None:
    if not seconds:
        return None
    minutes = math.ceil(seconds / 60)
    if minutes * 60 != seconds:
        report.approximate("limits.timeout", f"WML Accelerator counts minutes: {minutes}")
    return minutes


def _experiments(study: Study, report: Report) -> list[Json]:
    trials: Sequence[Mapping[str, Value]]
    trials = _grid(study, report) if study.strategy.name == "grid" else study.initial_trials
    kinds = {
        name: _type(variants[0])
        for name, variants in study.parameters.items()
        if len(variants) == 1
    }
    return [
        {
            "id": number,
            "hyperParams": [
                {
                    "name": name,
                    "dataType": (kind := kinds.get(name) or _value_type(value)),
                    "fixedVal": format_value(value) if kind == "STR" else value,
                }
                for name, value in trial.items()
            ],
        }
        for number, trial in enumerate(trials, start=1)
    ]


def _grid(study: Study, report: Report) -> Sequence[Mapping[str, Value]]:
    for name, variants in study.parameters.items():
        if any(count_values(each) is None for each in variants):
            report.refuse(f"parameters.{name}", "a grid needs a step or a list of values")
            return []
    count = min(study.limits.max_trials or _MAX_LISTED, _MAX_LISTED)
    trials = list(islice(Space.from_study(study).grid(), count + 1))
    if len(trials) > count:
        report.approximate("strategy.name", f"the search lists the first {count} trials")
    return trials[:count]


def _value_type(value: Value) -> str:
    if isinstance(value, float):
        return "DOUBLE"
    return "INT" if isinstance(value, int) and not isinstance(value, bool) else "STR"


def _type(parameter: Parameter) -> str:
    match parameter:
        case IntParameter():
            return "INT"
        case FloatParameter():
            return "DOUBLE"
        case DiscreteParameter():
            return _value_type(parameter.values[0])
        case _:
            return "STR"


def _parameter(name: str, variants: list[Parameter], report: Report) -> Json:
    path = f"parameters.{name}"
    parameter = variants[0]
    if len(variants) > 1 or parameter.when:
        report.refuse(path, "WML Accelerator has no conditional parameters")
    kind = _type(parameter)
    match parameter:
        case FloatParameter() | IntParameter():
            return _range(path, parameter, kind, report)
        case DiscreteParameter():
            return {"type": "Discrete", "dataType": kind, LISTS[kind]: parameter.values}
        case CategoricalParameter() | BoolParameter():
            if isinstance(parameter, BoolParameter):
                report.note(path, "written as the words True and False")
            values = list_values(parameter) or ()
            return {"type": "Discrete", "dataType": kind, LISTS[kind]: [*map(format_value, values)]}


def _range(path: str, parameter: FloatParameter | IntParameter, kind: str, report: Report) -> Json:
    low, high = BOUNDS[kind]
    scale = resolve_scale(parameter)
    if scale == "reverse_log":
        report.approximate(f"{path}.scale", "WML Accelerator has no reversed scale: it is linear")
    if scale == "log" and parameter.min < parameter.max:
        if isinstance(parameter, IntParameter) or parameter.step is not None:
            values = list_log_values(path, parameter, report)
            return {"type": "Discrete", "dataType": kind, LISTS[kind]: values}
        if power := write_power(parameter.min, parameter.max):
            base, first, last = power
            bounds = {low: first, high: last, "power": str(base)}
            return {"type": "Range", "dataType": kind, **bounds}
    number = int if kind == "INT" else float
    fields: Json = {low: number(parameter.min), high: number(parameter.max)}
    if parameter.step is not None and (kind == "DOUBLE" or parameter.step != 1):
        fields["step"] = format_value(parameter.step)
    return {"type": "Range", "dataType": kind, **fields}


def _model(
    study: Study, settings: Mapping[str, Any], native: Mapping[str, Any], report: Report
) -> Json:
    model = compact(sigName=settings.get("instance_group"))
    if "args" in native.get("modelSpec", {}) or not study.trial.script:
        for field, value in (("constants", study.constants), ("trial.args", study.trial.args)):
            if value:
                report.drop(field, f"put them into providers.{NAME}.native.data.modelSpec.args")
        if "args" not in native.get("modelSpec", {}):
            text = "absent: a search needs the arguments of a script that is uploaded with it"
            report.warn(f"providers.{NAME}.native.data.modelSpec.args", text)
        return model
    paths = [uri for uri in map(_address, study.trial.inputs.values()) if uri]
    if len(paths) > 1:
        report.drop("trial.inputs", "a search has one path of data: the first one is written")
    path = paths[0] if paths else None
    options = write_options(settings.get("exec_start"), settings.get("worker_devices"), path)
    fixed = [f"--{name}={format_value(value)}" for name, value in study.constants.items()]
    words = [*options, MAIN, study.trial.script, *study.trial.args, *fixed]
    report.warn("trial.script", "upload the script with the search, as an archive .modelDir.tar")
    return {**model, "args": shlex.join(words)}


def _address(addresses: Mapping[str, Input]) -> str | None:
    found = addresses.get(NAME) or addresses.get("*")
    return found.uri if found else None
