"""The part of a search that a study and its settings determine.

An export is this part, with what is kept of an imported search. A run adds what
`cloudtune_watson.wmla.request` has. CLIENT in `cloudtune_watson.capabilities` describes the fields;
the misspelled names are IBM's.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from itertools import islice
from typing import Any

from cloudtune.formats import Native, compact, inverse, map_at, write_power
from cloudtune.provider import (
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Space,
    Study,
    Value,
    format_value,
    list_values,
)
from cloudtune_watson.request_fields import LIMITS
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.wmla.native.model_spec import MAIN, write_options
from cloudtune_watson.wmla.native.names import (
    BOUNDS,
    ETA,
    GRID,
    HYPERBAND,
    LISTS,
    METRIC,
    METRICS,
    SELECTS,
    WORDS,
)

MAX_EXPERIMENTS = 10_000
"""Trials of a grid that a request lists."""
_DEFAULT_ETA = 3


def study_part(study: Study, settings: WatsonSettings, native: Native) -> Json:
    """Return the search, with what is kept of the parameters of an imported one."""
    rest = native.rest
    search = compact(hpoName=study.name, modelSpec=_model(study, settings, rest))
    kept = map_at(rest, "algoDef")
    algorithm = algorithm_name(study)
    if str(kept.get("algorithm", "")).lower() != algorithm.lower():
        kept.pop("algorithm", None)
    if algorithm == GRID:
        trials = _experiments(study)
        return {
            **search,
            "algoDef": _algorithm(study, len(trials), kept),
            "experiments": trials,
        }
    search["algoDef"] = _algorithm(study, study.limits.max_trials, kept)
    search["hyperParams"] = [
        {"name": name, **native.written(name, variants[0], _hyper_param(variants[0]))}
        for name, variants in study.parameters.items()
    ]
    return search


def algorithm_name(study: Study) -> str:
    """Return WML Accelerator's name of a study's strategy."""
    return WORDS.strategy(study.strategy) or study.strategy.name


def to_minutes(seconds: float) -> int:
    """Return a duration in minutes, rounded up."""
    return math.ceil(seconds / 60)


def input_paths(study: Study) -> list[str]:
    """Return the paths of the inputs of a study; a search has one."""
    found = (each.get(NAME) or each.get("*") for each in study.trial.inputs.values())
    return [address.uri for address in found if address]


def _algorithm(study: Study, max_trials: int | None, kept: Json) -> Json:
    limits, strategy = study.limits, study.strategy
    objective = next(iter(study.objectives), None)
    names = dict.fromkeys([*study.trial.metrics, *study.trial.select])
    if objective:
        names.pop(objective.metric, None)
    algorithm = algorithm_name(study)
    params: dict[str, Any] = {}
    if algorithm != GRID:
        params |= compact(RandomSeed=strategy.seed)
    if algorithm == HYPERBAND:
        params |= compact(ResourceName=strategy.resource, ResourceValue=strategy.max)
        if ETA not in kept:
            params["eta"] = strategy.eta or _DEFAULT_ETA
    definition = compact(
        algorithm=algorithm,
        objective=objective and objective.goal,
        **{
            LIMITS["timeout"]: to_minutes(limits.timeout) if limits.timeout else None,
            LIMITS["max_trials"]: max_trials,
            LIMITS["parallel_trials"]: limits.parallel_trials,
            METRIC: objective and objective.metric,
            METRICS: {
                name: inverse(SELECTS, study.trial.select.get(name, "last")) for name in names
            },
        },
        algoParams=[{"name": name, "value": str(value)} for name, value in params.items()],
    )
    if strategy.eta and kept.pop(ETA, None) is not None:
        definition[ETA] = float(strategy.eta)
    return definition


def _experiments(study: Study) -> list[Json]:
    """Return the trials of a grid or a list, in the order of the study.

    A trial of a grid has its active parameters, one of a list the parameters that it names.
    """
    count = min(study.limits.max_trials or MAX_EXPERIMENTS, MAX_EXPERIMENTS)
    trials = _listed_trials(study) if study.strategy.name == "list" else _grid(study)
    return [
        {
            "id": number,
            "hyperParams": [
                {"name": name, "dataType": kind, "fixedVal": to_wire(value, kind)}
                for name, kind, value in trial
            ],
        }
        for number, trial in enumerate(islice(trials, count), start=1)
    ]


def _grid(study: Study) -> Iterator[list[tuple[str, str, Value]]]:
    space = Space.from_study(study)
    for assignment in space.grid():
        yield [
            (node.name, data_type(node.parameter), assignment[node.name])
            for node in space.active_nodes(assignment)
        ]


def _listed_trials(study: Study) -> Iterator[list[tuple[str, str, Value]]]:
    kinds = {name: data_type(variants[0]) for name, variants in study.parameters.items()}
    for trial in study.initial_trials:
        yield [
            (name, kinds.get(name) or _value_type(value), value) for name, value in trial.items()
        ]


def _hyper_param(parameter: Parameter) -> Json:
    kind = data_type(parameter)
    if isinstance(parameter, FloatParameter | IntParameter):
        return {"type": "Range", "dataType": kind, **_range(parameter, kind)}
    values = [to_wire(value, kind) for value in list_values(parameter) or ()]
    return {"type": "Discrete", "dataType": kind, LISTS[kind]: values}


def data_type(parameter: Parameter) -> str:
    """Return WML Accelerator's type of a parameter's values."""
    match parameter:
        case IntParameter():
            return "INT"
        case FloatParameter():
            return "DOUBLE"
        case DiscreteParameter():
            whole = all(isinstance(value, int) for value in parameter.values)
            return "INT" if whole else "DOUBLE"
        case _:
            return "STR"


def _value_type(value: Value) -> str:
    """Return WML Accelerator's type of a value without a definition."""
    if isinstance(value, float):
        return "DOUBLE"
    return "INT" if isinstance(value, int) and not isinstance(value, bool) else "STR"


def to_wire(value: Value, kind: str) -> Value:
    """Return a value as a search has it, where all values of the type ``STR`` are text."""
    return format_value(value) if kind == "STR" else value


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


def _model(study: Study, settings: WatsonSettings, rest: Json) -> Json:
    model = compact(sigName=settings.instance_group)
    if "args" in map_at(rest, "modelSpec") or not study.trial.script:
        return model
    path = next(iter(input_paths(study)), None)
    words = [
        *write_options(settings.exec_start, settings.worker_devices, path),
        *(MAIN, study.trial.script, *study.trial.args),
        *(f"--{name}={format_value(value)}" for name, value in study.constants.items()),
    ]
    return {**model, "args": shlex.join(words)}
