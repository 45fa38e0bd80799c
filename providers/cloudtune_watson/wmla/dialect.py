"""How a study is written as a hyperparameter search of WML Accelerator."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from cloudtune.provider import (
    LINEAR_AND_LOG,
    Dialect,
    DiscreteParameter,
    Finding,
    FittedStudy,
    FloatParameter,
    Input,
    IntParameter,
    Json,
    Native,
    Note,
    Parameter,
    Space,
    Study,
    Value,
    Words,
    compact,
    count_values,
    format_value,
    inverse,
    list_log_scale,
    list_values,
    map_at,
    named_entries,
    native_of,
    other_sources,
    take_block,
    write_power,
)
from cloudtune_watson.capabilities import MANAGED
from cloudtune_watson.settings import NAME
from cloudtune_watson.wmla.native.model_spec import MAIN, write_options
from cloudtune_watson.wmla.native.names import ALGORITHMS, BOUNDS, DATA, GRID, LISTS, SELECTS

_MAX_LISTED = 1_000
_WORDS = Words(
    strategies=ALGORITHMS,
    instead={"grid": GRID},
    plain={"random": "uniform"},
    selects=SELECTS,
)
_CAPABILITIES = replace(
    MANAGED,
    launcher=False,
    enforced_here=frozenset(),
    parameters={
        "float": LINEAR_AND_LOG,
        "int": frozenset({"linear"}),
        "discrete": frozenset({"linear"}),
        "categorical": frozenset(),
    },
    adjust=partial(list_log_scale, title="WML Accelerator"),
    log_steps=False,
    single_values=True,
    select=frozenset({"last"}),
    initial_trials=True,
    fields=frozenset(
        [
            *("constants", "strategy.resource", "strategy.max", "strategy.eta"),
            *("trial.source", "trial.script", "trial.args", "trial.select", "trial.inputs"),
        ]
    ),
    reasons={
        "description": "a search has no description",
        "early_stopping": "WML Accelerator stops trials early only in Hyperband",
        "warm_start": "a search does not learn from other searches",
        "objective": "a search has exactly one objective",
        "objective.target": "a search does not end at a target",
        "objective.select": "which measurement WML Accelerator compares is not documented",
        "parameters.when": "WML Accelerator has no conditional parameters",
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
        "trial.retry": "a search does not start a trial again",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    settings = map_at(study.providers, NAME)
    algorithm = _algorithm(study)
    kept = map_at(rest, "algoDef")
    if str(kept.get("algorithm", "")).lower() != str(algorithm["algorithm"]).lower():
        kept.pop("algorithm", None)
    search: Json = compact(hpoName=study.name)
    search |= compact(modelSpec=_model(study, settings, rest))
    if study.strategy.eta and kept.pop("hyperbandEta", None) is not None:
        algorithm["hyperbandEta"] = float(study.strategy.eta)
    elif study.strategy.eta:
        eta = {"name": "eta", "value": str(study.strategy.eta)}
        algorithm["algoParams"] = [*algorithm.get("algoParams", []), eta]
    search["algoDef"] = algorithm
    if algorithm["algorithm"] == GRID:
        search["experiments"] = _experiments(study)
    else:
        search["hyperParams"] = [
            {"name": name, **native.written(name, variants[0], _parameter(variants[0]))}
            for name, variants in study.parameters.items()
        ]
    return search


def _algorithm(study: Study) -> Json:
    strategy, limits = study.strategy, study.limits
    (objective,) = study.objectives
    additional = {name: inverse(SELECTS, each) for name, each in study.trial.select.items()}
    params: dict[str, Any] = {}
    if strategy.seed is not None:
        params["RandomSeed"] = strategy.seed
    if strategy.name == "hyperband":
        params |= compact(ResourceName=strategy.resource, ResourceValue=strategy.max)
    listed = [{"name": name, "value": str(value)} for name, value in params.items()]
    return {
        **compact(
            algorithm=_WORDS.strategy(strategy),
            maxRunTime=math.ceil(limits.timeout / 60) if limits.timeout else None,
            maxJobNum=limits.max_trials,
            maxParalleJobNum=limits.parallel_trials,
        ),
        "objectiveMetric": objective.metric,
        "objective": objective.goal,
        **compact(additionalMetrics=additional, algoParams=listed),
    }


def _experiments(study: Study) -> list[Json]:
    trials: Sequence[Mapping[str, Value]] = study.initial_trials
    if study.strategy.name == "grid":
        trials = list(islice(Space.from_study(study).grid(), _grid_size(study)))
    kinds = {name: _type(variants[0]) for name, variants in study.parameters.items()}
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


def _grid_size(study: Study) -> int:
    """Return how many trials of a grid are listed."""
    return min(study.limits.max_trials or _MAX_LISTED, _MAX_LISTED)


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


def _parameter(parameter: Parameter) -> Json:
    kind = _type(parameter)
    if isinstance(parameter, FloatParameter | IntParameter):
        return {"type": "Range", "dataType": kind, **_range(parameter, kind)}
    values: Any = list_values(parameter) or ()
    listed = list(map(format_value, values)) if kind == "STR" else list(values)
    return {"type": "Discrete", "dataType": kind, LISTS[kind]: listed}


def _range(parameter: FloatParameter | IntParameter, kind: str) -> Json:
    low, high = BOUNDS[kind]
    power = write_power(parameter.min, parameter.max) if parameter.scale == "log" else None
    if power is not None:
        base, first, last = power
        return {low: first, high: last, "power": str(base)}
    number = int if kind == "INT" else float
    fields: Json = {low: number(parameter.min), high: number(parameter.max)}
    if parameter.step is not None and (kind == "DOUBLE" or parameter.step != 1):
        fields["step"] = format_value(parameter.step)
    return fields


def _model(study: Study, settings: Mapping[str, Any], rest: Json) -> Json:
    model = compact(sigName=settings.get("instance_group"))
    if "args" in map_at(rest, "modelSpec") or not study.trial.script:
        return model
    path = next(iter(_paths(study)), None)
    options = write_options(settings.get("exec_start"), settings.get("worker_devices"), path)
    fixed = [f"--{name}={format_value(value)}" for name, value in study.constants.items()]
    words = [*options, MAIN, study.trial.script, *study.trial.args, *fixed]
    return {**model, "args": shlex.join(words)}


def _paths(study: Study) -> list[str]:
    return [uri for uri in map(_address, study.trial.inputs.values()) if uri]


def _address(addresses: Mapping[str, Input]) -> str | None:
    found = addresses.get(NAME) or addresses.get("*")
    return found.uri if found else None


def _native(study: Study) -> Native:
    rest = native_of(study, NAME, DATA)
    block = take_block(rest, "hyperParams")
    return Native(rest, block, named_entries(block, "name"))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, strategy = fitted.study, fitted.study.strategy
    if not study.objectives:
        yield Finding("refused", "objective", "a search has exactly one objective")
    if study.initial_trials and strategy.name != "list":
        yield Finding("dropped", "initial_trials", "a search takes no first trials")
    if strategy.name == "list" and study.parameters:
        yield Note("parameters", "a search of listed trials has only their values, and no ranges")
    if strategy.name == "hyperband" and (strategy.resource is None or strategy.max is None):
        reason = "IBM's Hyperband needs a resource that it passes to the script, and its max"
        yield Finding("refused", "strategy.resource", reason)
    if study.limits.timeout and study.limits.timeout % 60:
        minutes = math.ceil(study.limits.timeout / 60)
        text = f"WML Accelerator counts minutes: {minutes}"
        yield Finding("approximated", "limits.timeout", text)
    if strategy.name == "grid":
        yield from _grid_rules(study)
    yield from other_sources(study, NAME)
    yield from _code_rules(study, map_at(native.rest, "modelSpec"))


def _grid_rules(study: Study) -> Iterator[Finding]:
    endless = [n for n, each in study.parameters.items() if count_values(each[0]) is None]
    for name in endless:
        yield Finding("refused", f"parameters.{name}", "a grid needs a step or a list of values")
    size = Space.from_study(study).size
    if size is not None and size > _grid_size(study):
        reason = f"the search lists the first {_grid_size(study)} trials"
        yield Finding("approximated", "parameters", reason)


def _code_rules(study: Study, model: Json) -> Iterator[Finding | Note]:
    trial = study.trial
    if "args" in model or not trial.script:
        reason = f"put them into providers.{NAME}.native.data.modelSpec.args"
        for path, value in (
            ("constants", study.constants),
            ("trial.source", trial.source),
            ("trial.script", trial.script),
            ("trial.args", trial.args),
            ("trial.inputs", trial.inputs),
        ):
            if value:
                yield Finding("dropped", path, reason)
        if "args" not in model:
            text = "absent: a search needs the arguments of a script that is uploaded with it"
            yield Note(f"providers.{NAME}.native.data.modelSpec.args", text, "warning")
        return
    if len(_paths(study)) > 1:
        reason = "a search has one path of data: the first one is written"
        yield Finding("approximated", "trial.inputs", reason)
    for name, addresses in trial.inputs.items():
        for key, address in addresses.items():
            if address.content_type:
                path = f"trial.inputs.{name}.{key}.content_type"
                yield Finding("dropped", path, "a path of data has no media type")
        if (others := addresses.keys() - {NAME, "*"}) or _address(addresses) is None:
            where = ", ".join(sorted(others)) or "nowhere"
            yield Note(f"trial.inputs.{name}", f"what is only for {where} is left out")
    if trial.source:
        yield Note("trial.source", "the code is uploaded with the search")
    text = "upload the script with the search, as an archive .modelDir.tar"
    yield Note("trial.script", text, "warning")


WATSON = Dialect(
    name=NAME,
    title="WML Accelerator",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
