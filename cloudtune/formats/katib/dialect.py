"""How a study is written as a Katib Experiment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, named_entries, native_of, take_block
from cloudtune.dialect.words import Words, inverse
from cloudtune.fitting.capabilities import NOTHING
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.documents import walk
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.katib.collector import read_collector
from cloudtune.formats.katib.names import (
    ALGORITHMS,
    API_VERSION,
    EXTREMES,
    HOME,
    RULES,
    SIMILAR,
    default_expression,
)
from cloudtune.formats.katib.parameters import MAX_LISTED, read_parameter, step_obstacle
from cloudtune.formats.model import compact
from cloudtune.study.schema import (
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import count_values, format_value, list_values
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_list, is_map

_SETTINGS = {"max": "r_l", "eta": "eta", "resource": "resource_name"}
_TEMPLATE = "put it into the trial template"
_REFERENCE = "${{trialParameters.{}}}"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")
"""A name of a Kubernetes object (RFC 1123)."""
_CAPABILITIES = replace(
    NOTHING,
    parameters={
        "float": frozenset({"linear", "log"}),
        "int": frozenset({"linear", "log"}),
        "discrete": frozenset({"linear", "log"}),
        "categorical": frozenset(),
    },
    steps=True,
    log_steps=False,
    text_only=True,
    seeds=True,
    targets=True,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset({"auto", "median"}),
    limits=frozenset({"max_trials", "parallel_trials", "max_failed_trials"}),
    fields=frozenset(
        [
            *("strategy.resource", "strategy.min", "strategy.max", "strategy.eta"),
            *("early_stopping.min_step", "early_stopping.min_trials"),
            *("trial.metrics", "trial.select"),
        ]
    ),
    reasons={
        "description": "an Experiment has no description; use an annotation",
        "constants": "Katib passes only parameters; put it into the command of the trial template",
        "initial_trials": "Katib takes no first trials",
        "warm_start": "Katib does not learn from other experiments",
        "limits.timeout": "an Experiment has no time limit",
        "limits.trial_timeout": "set activeDeadlineSeconds in the trial template",
        "limits.patience": "an Experiment does not end without improvement",
        "early_stopping.interval": "Katib checks every measurement",
        "objective": "an Experiment has exactly one objective",
        "trial.source": "the code is in the image of the trial template",
        "trial.script": _TEMPLATE,
        "trial.module": _TEMPLATE,
        "trial.command": _TEMPLATE,
        "trial.requirements": "put them into the image",
        "trial.arguments": "name the parameters in the command of the trial template",
        "trial.switches": "values are passed as they are",
        "trial.args": "put them into the command of the trial template",
        "trial.env": "put them into the trial template",
        "trial.inputs": "mount them in the trial template",
        "trial.resources": "put them into the trial template",
        "trial.retry": "set a retry policy in the trial template",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    spec = map_at(native.rest, "spec")
    experiment: Json = {"apiVersion": API_VERSION, "kind": "Experiment"}
    if study.name and "generateName" not in map_at(native.rest, "metadata"):
        experiment["metadata"] = {"name": study.name}
    part: Json = {
        "objective": _objective(study, _take_defaults(spec)),
        "algorithm": _algorithm(study, spec),
        **compact(earlyStopping=_early_stopping(study)),
        "parallelTrialCount": study.limits.parallel_trials or 1,
        **compact(maxTrialCount=study.limits.max_trials),
    }
    if study.limits.max_failed_trials is not None:
        part["maxFailedTrialCount"] = study.limits.max_failed_trials
    algorithm = part["algorithm"]["algorithmName"]
    part["parameters"] = [
        {"name": name, **native.written(name, variants[0], _parameter(variants[0], algorithm))}
        for name, variants in study.parameters.items()
    ] + _resource(study, native)
    if "metricsCollectorSpec" not in spec:
        part |= _collector(study)
    template: Any = spec.get("trialTemplate")
    names = [each["name"] for each in part["parameters"]]
    if is_map(template):
        template["trialParameters"] = _references(template, names)
    elif "trialTemplate" not in spec:  # null if an imported Experiment has none
        parameters = [{"name": name, "reference": name} for name in study.parameters]
        part["trialTemplate"] = {"trialParameters": parameters}
    return experiment | {"spec": part}


def _objective(study: Study, defaults: set[str]) -> Json:
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


def _take_defaults(spec: Json) -> set[str]:
    """Take the metrics whose strategy the imported Experiment has, although it is the default."""
    return set(named_entries(take_block(spec, "objective", "metricStrategies"), "name"))


def _algorithm(study: Study, spec: Json) -> Json:
    strategy, kept = study.strategy, map_at(spec, "algorithm")
    if not _WORDS.means(kept.get("algorithmName"), strategy):
        kept.pop("algorithmName", None)
    settings = [] if strategy.seed is None else [("random_state", strategy.seed)]
    settings += [
        (setting, getattr(strategy, key))
        for key, setting in _SETTINGS.items()
        if getattr(strategy, key) is not None
    ]
    listed = [{"name": key, "value": str(value)} for key, value in settings]
    return {"algorithmName": _WORDS.strategy(strategy), **compact(algorithmSettings=listed)}


def _resource(study: Study, native: Native) -> list[Json]:
    """Return the parameter that hyperband sets."""
    strategy = study.strategy
    if strategy.resource is None or strategy.max is None:
        return []
    low = strategy.min or 1
    for kept in native.entries.get(strategy.resource, ()):
        if (_reread(kept) or {}).get("min") == low:
            return [kept]
    space = {"min": str(low), "max": str(strategy.max)}
    return [{"name": strategy.resource, "parameterType": "int", "feasibleSpace": space}]


def _early_stopping(study: Study) -> Json:
    if (stopping := study.early_stopping) is None:
        return {}
    settings = [
        {"name": name, "value": str(value)}
        for name, value in (
            ("min_trials_required", stopping.min_trials),
            ("start_step", stopping.min_step),
        )
        if value is not None
    ]
    return {"algorithmName": inverse(RULES, "median"), **compact(algorithmSettings=settings)}


def _obstacle(parameter: Parameter, algorithm: str) -> str:
    """Return why the values of a step have to be listed, empty if not."""
    if not isinstance(parameter, FloatParameter | IntParameter) or parameter.scale == "log":
        return ""
    return step_obstacle(parameter.min, parameter.max, parameter.step, algorithm)


def _parameter(parameter: Parameter, algorithm: str) -> Json:
    scale = getattr(parameter, "scale", "linear")
    is_listed = _obstacle(parameter, algorithm) and (count_values(parameter) or 0) <= MAX_LISTED
    match parameter:
        case FloatParameter() | IntParameter() if not is_listed:
            kind = "double" if isinstance(parameter, FloatParameter) else "int"
            space: Json = {"min": format_value(parameter.min), "max": format_value(parameter.max)}
            if parameter.step is not None and scale != "log":
                space["step"] = format_value(parameter.step)
        case _:
            is_discrete = is_listed or isinstance(parameter, DiscreteParameter)
            kind = "discrete" if is_discrete else "categorical"
            space = {"list": list(map(format_value, list_values(parameter) or ()))}
    if scale == "log":
        space["distribution"] = "logUniform"
    return {"parameterType": kind, "feasibleSpace": space}


def _collector(study: Study) -> Json:
    """Return the collector for expressions that are not Katib's own."""
    metrics = study.trial.metrics
    if all(found == [default_expression(name)] for name, found in metrics.items()):
        return {}
    formats = [
        expression.replace(literal, f"({literal})", 1)
        for name, expressions in metrics.items()
        for expression in expressions
        if (literal := _literal(name, expression))
    ]
    source = {"filter": {"metricsFormat": formats}}
    return {"metricsCollectorSpec": {"source": source, "collector": {"kind": "StdOut"}}}


def _literal(name: str, expression: str) -> str | None:
    """Return the name of a metric as an expression has it before its value."""
    head = expression.partition("(")[0]
    return next((each for each in (re.escape(name), name) if each in head), None)


def _is_outdated(study: Study) -> bool:
    """Return whether the collector of an imported Experiment reads other metrics than the study."""
    kept = native_of(study, HOME, "spec").get("metricsCollectorSpec")
    metrics, objectives = study.trial.metrics, [each.metric for each in study.objectives]
    names = dict.fromkeys([*objectives, *study.trial.select, *metrics])
    return is_map(kept) and read_collector(kept, list(names)) != metrics


def _references(template: Json, names: list[str]) -> list[Json]:
    """Return the parameters of a template that refer to parameters of the Experiment."""
    listed: Any = template.get("trialParameters")
    found = list(filter(is_map, listed if is_list(listed) else []))
    return [each for each in found if not _is_dangling(each.get("reference"), names)]


def _is_dangling(reference: Any, names: list[str]) -> bool:
    """Return whether a reference is to a parameter that is gone; ``${...}`` is to metadata."""
    return not str(reference).startswith("${") and reference not in names


def _reread(entry: Any) -> Json | None:
    return read_parameter(Fields(entry, Report())) if "parameterType" in entry else None


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    block = take_block(rest, "spec", "parameters")
    if _is_outdated(study):
        take_block(rest, "spec", "metricsCollectorSpec")
    return Native(rest, block, named_entries(block, "name"), _reread)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, strategy = fitted.study, fitted.study.strategy
    if not study.objectives:
        yield Finding("refused", "objective", "an Experiment has exactly one objective")
    if strategy.name == "hyperband" and strategy.resource is None:
        reason = "Katib's hyperband needs a resource that it passes to the script"
        yield Finding("refused", "strategy.resource", reason)
    if study.name and not _NAME.fullmatch(study.name):
        text = "a name in Kubernetes has small letters, digits and hyphens only: change it"
        yield Note("name", text, "warning")
    for name, expressions in study.trial.metrics.items():
        is_default = expressions == [default_expression(name)]
        if not is_default and not all(_literal(name, each) for each in expressions):
            reason = (
                "Katib's expressions have two groups, the name and the value; this one does "
                "not contain the name before the value"
            )
            yield Finding("dropped", f"trial.metrics.{name}", reason)
    algorithm = str(_WORDS.strategy(strategy))
    for name, (parameter, *_) in study.parameters.items():
        obstacle = _obstacle(parameter, algorithm)
        if obstacle and native.whole(name, parameter) is None:
            count = count_values(parameter) or 0
            if count > MAX_LISTED:
                text = f"{obstacle}, and {count:,} values are too many for a list"
                yield Finding("approximated", f"parameters.{name}.step", text)
            else:
                yield Note(f"parameters.{name}.step", f"{obstacle}: it becomes a list")
    if _is_outdated(fitted.original):
        text = "left out, since trial.metrics has other expressions"
        yield Note(f"providers.{HOME}.native.spec.metricsCollectorSpec", text)
    template: Any = map_at(native.rest, "spec").get("trialTemplate")
    path = f"providers.{HOME}.native.spec.trialTemplate"
    if not is_map(template):
        text = "absent: Katib needs a trialSpec with an image that has the code; add it to the file"
        yield Note(path, text, "warning")
        return
    yield from _template_notes(template, [*study.parameters, str(strategy.resource)], path)


def _template_notes(template: Json, names: list[str], path: str) -> Iterator[Note]:
    left = _references(template, names)
    texts = [value for _, value in walk(template) if isinstance(value, str)]
    listed: Any = template.get("trialParameters")
    for each in filter(is_map, listed if is_list(listed) else []):
        if each not in left and any(_REFERENCE.format(each.get("name")) in t for t in texts):
            text = f"uses {_REFERENCE.format(each['name'])}, of a parameter that is gone: remove it"
            yield Note(path, text, "warning")
    for name in names:
        if name != "None" and name not in [each.get("reference") for each in left]:
            text = f"{name} is not passed to the trial: add it to trialParameters and the command"
            yield Note(path, text, "warning")


_WORDS = Words(
    strategies=ALGORITHMS,
    similar=SIMILAR,
    plain={"random": "uniform", "bayesian": "gp"},
    rules=RULES,
    automatic="median",
)
KATIB = Dialect(
    name=HOME,
    title="Katib",
    capabilities=replace(_CAPABILITIES, strategies=_WORDS.names),
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
