"""A study as the search of WML Accelerator: its parameters and its algorithm, in its words.

CLIENT in `cloudtune_watson.capabilities` describes them; the misspelt names are IBM's.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from itertools import islice

from cloudtune.provider import (
    DiscreteParameter,
    Facts,
    FloatParameter,
    IntParameter,
    Json,
    Parameter,
    Space,
    Study,
    Value,
    count_values,
    format_value,
    interpolate,
    list_values,
)
from cloudtune_watson.request.layout import COMMAND, MODEL_FOLDER, archive_name
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.versions import STANDALONE

GRID = "ExperimentGridSearch"
BASE = 10
"""What the exponents of a logarithmic range are of."""
ETA = 3
MOST_LISTED = 1_000
"""Values of one parameter that are listed in place of a range."""
MOST_EXPERIMENTS = 10_000
"""Experiments that are listed in place of a grid."""
_MOST_LOG_SPACED = 20
_VALUES = {"INT": "discreteIntVal", "DOUBLE": "discreteDbVal", "STR": "discreateStrVal"}


def search(study: Study, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the parts of ``POST /platform/rest/deeplearning/v1/hypersearch``.

    ``file`` is the name of the archive. ``data`` is an object here, and is sent as text.

    Args:
        study: As it was fitted.
        settings: Of the back end.
        facts: What was looked up.
    """
    spec = {"args": shlex.join(args(settings, facts))}
    if settings.version == STANDALONE:
        spec["sigName"] = facts.data["instance_group"]
    data: Json = {"hpoName": facts.job_name, "modelSpec": spec}
    if algorithm_of(study) == GRID:
        listed = experiments(study)
        data["algoDef"] = _algorithm(study, len(listed), facts)
        data["experiments"] = listed
    else:
        data["algoDef"] = _algorithm(study, study.limits.max_trials, facts)
        data["hyperParams"] = [
            hyper_param(name, definitions[0]) for name, definitions in study.parameters.items()
        ]
    return {"file": archive_name(facts), "data": data}


def args(settings: WatsonSettings, facts: Facts) -> list[str]:
    """Return the words by which the Accelerator starts a trial; those of its ``dlicmd``."""
    paths = [path for path in facts.lookup.inputs.addresses.values() if path]
    data = f",data_path={paths[0]}" if paths else ""
    devices = settings.worker_devices
    return [
        *("--exec-start", facts.data["exec_start"]),
        *(("--workerDeviceNum", str(devices)) if devices is not None else ()),
        *("--cs-datastore-meta", f"type=fs{data}"),
        *("--model-main", COMMAND),
        *("--model-dir", MODEL_FOLDER),
    ]


def algorithm_of(study: Study) -> str:
    """Return the Accelerator's name of a study's strategy."""
    strategy = study.strategy
    if strategy.name == "bayesian":
        return "Tpe" if strategy.method == "tpe" else "Bayesian"
    return {"random": "Random", "hyperband": "Hyperband", "grid": GRID}.get(
        strategy.name, strategy.name
    )


def minutes(seconds: float) -> int:
    """Return a length of time in whole minutes, rounded up."""
    return math.ceil(seconds / 60)


def experiments(study: Study) -> list[Json]:
    """Return the trials of a grid, in the order of the file: each has what is active in it."""
    space = Space.from_study(study)
    most = min(study.limits.max_trials or MOST_EXPERIMENTS, MOST_EXPERIMENTS)
    return [
        {
            "id": number,
            "hyperParams": [
                {
                    "name": node.name,
                    "dataType": (kind := data_type(node.parameter)),
                    "fixedVal": _sent(assignment[node.name], kind),
                }
                for node in space.active_nodes(assignment)
            ],
        }
        for number, assignment in enumerate(islice(space.grid(), most), start=1)
    ]


def hyper_param(name: str, parameter: Parameter) -> Json:
    """Return a parameter as an entry of ``hyperParams``."""
    kind = data_type(parameter)
    listed = in_place_of_a_range(parameter)
    if listed is None and isinstance(parameter, FloatParameter | IntParameter):
        return {"name": name, "type": "Range", "dataType": kind, **_range(parameter)}
    values = listed if listed is not None else list_values(parameter) or ()
    said = [_sent(value, kind) for value in values]
    return {"name": name, "type": "Discrete", "dataType": kind, _VALUES[kind]: said}


def _sent(value: Value, kind: str) -> Value:
    return format_value(value) if kind == "STR" else value


def data_type(parameter: Parameter) -> str:
    """Return the Accelerator's word for what the values of a parameter are."""
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


def in_place_of_a_range(parameter: Parameter) -> Sequence[Value] | None:
    """Return the values that are sent where a range cannot be; None where it can.

    The Accelerator raises whole exponents alone to an int, and takes a step for one of exponents.
    """
    if not isinstance(parameter, FloatParameter | IntParameter) or parameter.scale != "log":
        return None
    if isinstance(parameter, IntParameter) and parameter.step in (None, 1):
        return log_spaced(parameter)
    if parameter.step is None:
        return None
    count = count_values(parameter) or 0
    return list_values(parameter) if count <= MOST_LISTED else ()


def log_spaced(parameter: IntParameter) -> list[int]:
    """Return whole numbers from min to max, each by about the same factor above the one before.

    No two are the same, and there are at most 20.
    """
    low, high = parameter.min, parameter.max
    smallest_factor = math.log1p(1 / low)
    count = min(int(math.log(high / low) / smallest_factor) + 1, _MOST_LOG_SPACED)
    count = max(count, 2)
    return sorted({round(interpolate(parameter, place / (count - 1))) for place in range(count)})


def is_raised(parameter: Parameter) -> bool:
    """Tell whether the bounds of a range are sent as exponents, which must not be one."""
    return (
        isinstance(parameter, FloatParameter)
        and parameter.scale == "log"
        and parameter.step is None
        and exponent(parameter.min) < exponent(parameter.max)
    )


def exponent(value: float) -> float:
    """Return of which exponent a number is the power of 10."""
    near = round(math.log10(value))
    return float(near) if float(f"1e{near}") == value else math.log10(value)


def _range(parameter: FloatParameter | IntParameter) -> Json:
    made: Json
    if isinstance(parameter, IntParameter):
        made = {"minIntVal": parameter.min, "maxIntVal": parameter.max}
    elif is_raised(parameter):
        made = {"minDbVal": exponent(parameter.min), "maxDbVal": exponent(parameter.max)}
        made["power"] = str(BASE)
    else:
        made = {"minDbVal": float(parameter.min), "maxDbVal": float(parameter.max)}
    if parameter.step and not (isinstance(parameter, IntParameter) and parameter.step == 1):
        made["step"] = format_value(parameter.step)
    return made


def _algorithm(study: Study, most: int | None, facts: Facts) -> Json:
    limits, objectives = study.limits, study.objectives
    algorithm = algorithm_of(study)
    made: Json = {"algorithm": algorithm}
    if limits.timeout:
        made["maxRunTime"] = minutes(limits.timeout)
    if most:
        made["maxJobNum"] = most
    made["maxParalleJobNum"] = limits.parallel_trials or 1
    if objectives:
        made["objectiveMetric"] = objectives[0].metric
        made["objective"] = objectives[0].goal
    others = {name: "latest" for name in study.trial.metrics if name != made.get("objectiveMetric")}
    if others:
        made["additionalMetrics"] = others
    params = dict(_algorithm_params(study, algorithm, facts))
    if params:
        made["algoParams"] = [{"name": name, "value": value} for name, value in params.items()]
    return made


def _algorithm_params(study: Study, algorithm: str, facts: Facts) -> Iterator[tuple[str, str]]:
    strategy = study.strategy
    if algorithm != GRID:
        yield "RandomSeed", str(facts.seed)
    if algorithm == "Hyperband":
        yield "eta", str(strategy.eta or ETA)
        yield "ResourceName", strategy.resource or ""
        yield "ResourceValue", str(strategy.max or 1)
