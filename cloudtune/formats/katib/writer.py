"""Writes a study as a Katib Experiment, with only what the study says."""

from __future__ import annotations

import re
from typing import cast

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.katib.names import (
    ALGORITHMS,
    API_VERSION,
    EXTREMES,
    HOME,
    default_expression,
)
from cloudtune.formats.katib.parameters import read_parameter
from cloudtune.formats.kept import take_kept
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
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study

_SETTINGS = {"max": "r_l", "eta": "eta", "resource": "resource_name"}
_UNSUPPORTED = {
    "description": "an Experiment has no description; use an annotation",
    "constants": "Katib passes only parameters; put it into the command of the trial template",
    "initial_trials": "Katib takes no first trials",
    "warm_start": "Katib does not learn from other experiments",
    "limits.timeout": "an Experiment has no time limit",
    "limits.trial_timeout": "set activeDeadlineSeconds in the trial template",
    "limits.patience": "an Experiment does not end without improvement",
    "limits.max_cost": "Katib knows no cost",
    "trial.requirements": "put them into the image",
    "trial.arguments": "name the parameters in the command of the trial template",
    "trial.args": "put them into the command of the trial template",
    "trial.env": "put them into the trial template",
    "trial.inputs": "mount them in the trial template",
    "trial.resources": "put them into the trial template",
}


def write_experiment(study: Study, report: Report) -> Json:
    """Return the Experiment of a study, with its ``providers.katib.native`` merged in."""
    native = native_block(study, HOME)
    report_unsupported(study, report, _UNSUPPORTED)
    experiment: Json = {"apiVersion": API_VERSION, "kind": "Experiment"}
    if study.name and "generateName" not in native.get("metadata", {}):
        experiment["metadata"] = {"name": study.name}
    whole = _whole_parameters(study, native)
    spec: Json = {
        **_objective(study, _take_defaults(native), report),
        "algorithm": _algorithm(study, report),
        **compact(earlyStopping=_early_stopping(study, report)),
        "parallelTrialCount": study.limits.parallel_trials or 1,
        **compact(maxTrialCount=study.limits.max_trials),
    }
    if study.limits.max_failed_trials is not None:
        spec["maxFailedTrialCount"] = study.limits.max_failed_trials
    spec["parameters"] = [
        {"name": name, **({} if name in whole else _parameter(name, variants, report))}
        for name, variants in study.parameters.items()
    ]
    _add_resource(study, spec["parameters"], whole)
    inner = native.get("spec", {})
    if "metricsCollectorSpec" not in inner:
        spec |= _collector(study, report)
    if inner.get("trialTemplate") is None:
        if "trialTemplate" not in inner:  # null if an imported Experiment has none
            parameters = [{"name": name, "reference": name} for name in study.parameters]
            spec["trialTemplate"] = {"trialParameters": parameters}
        report.warn(
            f"providers.{HOME}.native.spec.trialTemplate",
            "absent: Katib needs a trialSpec with an image that has the code; add it to the file",
        )
    experiment["spec"] = spec
    return cast("Json", merge_json(experiment, native))


def _whole_parameters(study: Study, native: Json) -> set[str]:
    """Return the parameters whose definition is kept as it is, and has not changed since."""
    spec = native.get("spec", {})
    names: set[str] = set()
    for entry in [each for each in spec.get("parameters", []) if "parameterType" in each]:
        name = entry.get("name")
        variants = study.parameters.get(name)
        again = read_parameter(Fields(entry, Report())) if variants else None
        if variants and take_kept(entry, variants[0], again) is None:
            spec["parameters"].remove(entry)
        else:
            names.add(name)
    return names


def _take_defaults(native: Json) -> set[str]:
    """Take the metrics whose strategy the imported Experiment has, although it is the default."""
    objective = native.get("spec", {}).get("objective", {})
    return {each.get("name") for each in objective.pop("metricStrategies", [])}


def _objective(study: Study, defaults: set[str], report: Report) -> Json:
    if len(study.objectives) != 1:
        report.refuse("objective", "an Experiment has exactly one objective")
        return {}
    (objective,) = study.objectives
    extreme = EXTREMES[objective.goal]
    selects = study.trial.select
    names = dict.fromkeys([*selects, *study.trial.metrics])
    additional = [name for name in names if name != objective.metric]
    strategies = {objective.metric: extreme if objective.select == "best" else "latest"}
    for name in additional:
        select = selects.get(name, "last")
        strategies[name] = "latest" if select == "last" else select
    return {
        "objective": {
            "type": objective.goal,
            **({} if objective.target is None else {"goal": objective.target}),
            "objectiveMetricName": objective.metric,
            **compact(
                additionalMetricNames=additional,
                metricStrategies=[
                    {"name": name, "value": value}
                    for name, value in strategies.items()
                    if value != extreme or name in defaults
                ],
            ),
        }
    }


def _algorithm(study: Study, report: Report) -> Json:
    strategy = study.strategy
    known = {(each["name"], each.get("method")): name for name, each in ALGORITHMS.items()}
    name = known.get((strategy.name, strategy.method))
    if name is None and (strategy.name, None) in known:
        name = known[strategy.name, None]
        if strategy.method not in {"uniform", "gp"}:
            report.approximate("strategy.method", f"Katib runs {name}, not {strategy.method}")
    if name is None:
        report.refuse("strategy.name", f"Katib has no algorithm for {strategy.name}")
        return {}
    settings = [] if strategy.seed is None else [("random_state", strategy.seed)]
    if strategy.name == "hyperband":
        if strategy.resource is None:
            reason = "Katib's hyperband needs a resource that it passes to the script"
            report.refuse("strategy.resource", reason)
        settings += [
            (setting, getattr(strategy, key))
            for key, setting in _SETTINGS.items()
            if getattr(strategy, key) is not None
        ]
    listed = [{"name": key, "value": str(value)} for key, value in settings]
    return {"algorithmName": name, **compact(algorithmSettings=listed)}


def _add_resource(study: Study, parameters: list[Json], whole: set[str]) -> None:
    strategy = study.strategy
    if strategy.resource is None or strategy.max is None:
        return
    definition = {
        "parameterType": "int",
        "feasibleSpace": {"min": str(strategy.min or 1), "max": str(strategy.max)},
    }
    own = {} if strategy.resource in whole else definition
    parameters.append({"name": strategy.resource, **own})


def _early_stopping(study: Study, report: Report) -> Json:
    stopping = study.early_stopping
    if stopping is None:
        return {}
    if stopping.rule not in {"auto", "median"}:
        report.drop("early_stopping", f"Katib has only the median rule, not {stopping.rule}")
        return {}
    if stopping.interval not in {None, 1}:
        report.drop("early_stopping.interval", "Katib checks every measurement")
    settings = [
        {"name": name, "value": str(value)}
        for name, value in (
            ("min_trials_required", stopping.min_trials),
            ("start_step", stopping.min_step),
        )
        if value is not None
    ]
    return {"algorithmName": "medianstop", **compact(algorithmSettings=settings)}


def _parameter(name: str, variants: list[Parameter], report: Report) -> Json:
    path = f"parameters.{name}"
    parameter = variants[0]
    if len(variants) > 1 or parameter.when:
        report.refuse(path, "Katib has no conditional parameters")
    match parameter:
        case FloatParameter() | IntParameter():
            kind = "double" if isinstance(parameter, FloatParameter) else "int"
            space: Json = {"min": format_value(parameter.min), "max": format_value(parameter.max)}
            if parameter.step is not None:
                space["step"] = format_value(parameter.step)
            log = _is_log(path, parameter.scale, parameter.min, parameter.max, report)
        case DiscreteParameter():
            kind = "discrete"
            space = {"list": list(map(format_value, parameter.values))}
            values = parameter.values
            log = _is_log(path, parameter.scale, values[0], values[-1], report)
        case CategoricalParameter():
            kind, log = "categorical", False
            space = {"list": list(map(format_value, parameter.values))}
        case BoolParameter():
            kind, log = "categorical", False
            space = {"list": ["True", "False"]}
            report.note(path, "written as the words True and False")
    if log:
        space["distribution"] = "logUniform"
    return {"parameterType": kind, "feasibleSpace": space}


def _is_log(path: str, scale: str, low: float, high: float, report: Report) -> bool:
    if scale == "reverse_log":
        report.approximate(f"{path}.scale", "Katib has no reversed log scale; it uses a linear one")
    return scale == "log" or (scale == "auto" and low > 0 and high / low >= 100)


def _collector(study: Study, report: Report) -> Json:
    """Return the collector for expressions that are not Katib's own."""
    formats: list[str] = []
    metrics = study.trial.metrics
    if all(found == [default_expression(name)] for name, found in metrics.items()):
        return {}
    for name, expressions in metrics.items():
        for expression in expressions:
            literal = next((w for w in (re.escape(name), name) if w in expression), None)
            head = expression.partition("(")[0]
            if literal is None or literal not in head:
                reason = (
                    "Katib's expressions have two groups, the name and the value; this one does "
                    "not contain the name before the value"
                )
                report.drop(f"trial.metrics.{name}", reason)
            else:
                formats.append(expression.replace(literal, f"({literal})", 1))
    if not formats:
        return {}
    return {
        "metricsCollectorSpec": {
            "source": {"filter": {"metricsFormat": formats}},
            "collector": {"kind": "StdOut"},
        }
    }
