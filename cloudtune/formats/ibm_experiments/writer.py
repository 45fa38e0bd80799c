"""Writes a study as an experiment of IBM's API v3, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.exponents import list_log_values, write_power
from cloudtune.formats.fields import Json, Report
from cloudtune.formats.ibm_experiments.names import HOME, METHODS, OPTIMIZATION, REFERENCES
from cloudtune.formats.model import compact, native_block, report_unsupported
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import format_value, list_values, resolve_scale
from cloudtune.study.study import Study

_CODE = "put it into the training definition or its command"
_UNSUPPORTED = {
    "constants": _CODE,
    "early_stopping": "IBM's experiments stop no trials early",
    "initial_trials": "an experiment takes no first trials",
    "warm_start": "an experiment does not learn from others",
    "limits.timeout": "an experiment has no time limit",
    "limits.trial_timeout": "an experiment has no time limit",
    "limits.max_failed_trials": "an experiment has no limit for failures",
    "limits.patience": "an experiment does not end without improvement",
    "limits.max_cost": "an experiment knows no cost",
    "strategy.seed": "an experiment has no seed",
    "strategy.method": "IBM chose the algorithm itself",
    "trial.metrics": "IBM reads a file that the script writes, and no log",
    "trial.select": "IBM keeps the values of other metrics as they are",
    "trial.script": _CODE,
    "trial.module": _CODE,
    "trial.command": _CODE,
    "trial.args": _CODE,
    "trial.env": _CODE,
    "trial.inputs": "name the training data in the experiment",
    "trial.requirements": _CODE,
    "trial.switches": "values are in config.json as they are",
    "trial.arguments": "values are in config.json",
    "trial.resources": "set compute_configuration",
}


def write_experiment(study: Study, report: Report) -> Json:
    """Return the experiment of a study, with ``providers.ibm-experiments.native`` merged in."""
    native = native_block(study, HOME)
    inner = native.get("entity", native)
    report_unsupported(study, report, _UNSUPPORTED)
    if (study.limits.parallel_trials or 1) > 1:
        reason = "IBM ran the trials of an experiment one at a time"
        report.drop("limits.parallel_trials", reason)
    kept: list[Json] = inner.get(REFERENCES) or [{}]
    name: str | None = kept[0].get("name") or study.name
    if "training_definition_url" not in kept[0]:
        path = f"providers.{HOME}.native.{REFERENCES}.0.training_definition_url"
        report.warn(path, "absent: an experiment needs the address of a stored definition")
    reference = {**compact(name=name), OPTIMIZATION: _optimization(study, report)}
    settings = compact(name=study.name, description=study.description)
    experiment = {**compact(settings=settings), REFERENCES: [reference]}
    if "entity" in native:
        experiment = {"entity": experiment}
    return cast("Json", merge_json(experiment, native))


def _optimization(study: Study, report: Report) -> Json:
    methods = {ours: theirs for theirs, ours in METHODS.items()}
    method = methods.get(study.strategy.name)
    if method is None:
        reason = f"IBM's experiments have no {study.strategy.name} search"
        report.refuse("strategy.name", reason)
    values: dict[str, Any] = {}
    if len(study.objectives) != 1:
        report.refuse("objective", "an experiment has exactly one objective")
    else:
        (objective,) = study.objectives
        values = {"objective": objective.metric, "maximize_or_minimize": objective.goal}
        if objective.target is not None:
            report.drop("objective.target", "an experiment does not end at a target")
        if objective.select != "last":
            report.approximate("objective.select", "which measurement IBM compares is not known")
    parameters: list[Json] = [
        {"name": name, "string_value": value} for name, value in values.items()
    ]
    if study.limits.max_trials:
        steps = {"name": "num_optimizer_steps", "int_value": study.limits.max_trials}
        parameters.append(steps)
    return {
        "method": {**compact(name=method), "parameters": parameters},
        "hyper_parameters": [
            {"name": name, **_parameter(name, variants, report)}
            for name, variants in study.parameters.items()
        ],
    }


def _parameter(name: str, variants: list[Parameter], report: Report) -> Json:
    path = f"parameters.{name}"
    parameter = variants[0]
    if len(variants) > 1 or parameter.when:
        report.refuse(path, "an experiment has no conditional parameters")
    match parameter:
        case FloatParameter():
            return _values("double", path, parameter, report)
        case IntParameter():
            return _values("int", path, parameter, report)
        case DiscreteParameter():
            whole = all(isinstance(value, int) for value in parameter.values)
            return {"int_values" if whole else "double_values": parameter.values}
        case CategoricalParameter() | BoolParameter():
            values = list(map(format_value, list_values(parameter) or ()))
            if isinstance(parameter, BoolParameter):
                report.note(path, "written as the words False and True")
            return {"string_values": values}


def _values(kind: str, path: str, parameter: FloatParameter | IntParameter, report: Report) -> Json:
    scale = resolve_scale(parameter)
    if scale == "reverse_log":
        report.approximate(f"{path}.scale", "an experiment has no reversed scale: it is linear")
    if scale == "log" and parameter.min < parameter.max:
        power = None
        if isinstance(parameter, FloatParameter) and parameter.step is None:
            power = write_power(parameter.min, parameter.max)
        if power is not None:
            base, low, high = power
            return {f"{kind}_range": {"min_value": low, "max_value": high, "power": base}}
        return {f"{kind}_values": list_log_values(path, parameter, report)}
    step = parameter.step if kind == "double" or parameter.step != 1 else None
    bounds = {"min_value": parameter.min, "max_value": parameter.max}
    return {f"{kind}_range": {**bounds, **compact(step=step)}}
