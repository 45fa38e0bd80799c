"""Rules for searches.

Source: the docstring of ``start_hpo`` of ibm-wmla 0.1.1 (``wmla_api_v1.py``), with the
spellings of requests in ``WMLA-HPO-state.ipynb`` of IBM/wmla-assets where they differ
(``maxParalleJobNum``, ``hyperbandEta``). ``WMLA-HPO-Custom-Experiment.ipynb`` there shows a grid
that was accepted with the type ``STRING``, with numbers as text, and with Hyperband's parameters.
That unknown keys are refused is chosen, to catch misspelt ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cloudtune.emulator_kit import Json
from cloudtune_watson.contract import InvalidSpecError, parse_arguments
from cloudtune_watson.emulator.errors import invalid
from cloudtune_watson.emulator.wire import (
    ANY,
    FREE,
    NUMBER,
    TEXT,
    WHOLE,
    ListOf,
    Map,
    OneOf,
    demand,
    is_number,
)

GRID = "ExperimentGridSearch"
HYPERBAND = "Hyperband"
ALGORITHMS = ("Random", "Bayesian", "Tpe", HYPERBAND, GRID)
_PARAMS = {
    "Random": {"RandomSeed"},
    "Bayesian": {"RandomSeed", "InitPoints", "CubeSize", "Noiseless"},
    "Tpe": {"RandomSeed", "WarmUp", "EICandidate", "GoodRatio", "GoodMax"},
    HYPERBAND: {"RandomSeed", "eta", "ResourceName", "ResourceValue"},
    GRID: {"RandomSeed", "eta", "ResourceName", "ResourceValue"},
}
_MINIMUMS = {"WarmUp": 3, "EICandidate": 2, "GoodMax": 2, "InitPoints": 0}
"""Of integers; IBM documents an exclusive minimum for the first three."""
_KINDS = OneOf(("DOUBLE", "INT", "STR"))
_FIXED_KINDS = OneOf(("DOUBLE", "INT", "STR", "STRING"))
_MAX_VALUES = 10_000
JOBS, PARALLEL, MINUTES = "maxJobNum", "maxParalleJobNum", "maxRunTime"
METRIC, METRICS, ETA = "objectiveMetric", "additionalMetrics", "hyperbandEta"
_SHAPE = Map(
    {
        "modelSpec": Map({"args": TEXT}, {"sigName": TEXT, "hardwareSpec": FREE}),
        "algoDef": Map(
            {
                "algorithm": TEXT,
                METRIC: TEXT,
                "objective": OneOf(("minimize", "maximize")),
            },
            {
                MINUTES: WHOLE,
                JOBS: WHOLE,
                PARALLEL: WHOLE,
                METRICS: FREE,
                ETA: NUMBER,
                "algoParams": ListOf(Map({"name": TEXT, "value": TEXT})),
            },
        ),
    },
    {
        "hpoName": TEXT,
        "hyperParams": ListOf(
            Map(
                {"name": TEXT, "type": OneOf(("Range", "Discrete")), "dataType": _KINDS},
                {
                    "minDbVal": NUMBER,
                    "maxDbVal": NUMBER,
                    "minIntVal": WHOLE,
                    "maxIntVal": WHOLE,
                    "discreteDbVal": ListOf(NUMBER),
                    "discreteIntVal": ListOf(WHOLE),
                    "discreateStrVal": ListOf(TEXT),
                    "power": ANY,
                    "step": ANY,
                },
            )
        ),
        "experiments": ListOf(
            Map(
                {
                    "id": WHOLE,
                    "hyperParams": ListOf(
                        Map({"name": TEXT, "dataType": _FIXED_KINDS, "fixedVal": ANY})
                    ),
                }
            )
        ),
    },
)


def check(data: Any, *, standalone: bool) -> None:
    """Refuse a search that breaks a rule.

    Args:
        data: The document.
        standalone: Whether the accelerator runs without Cloud Pak for Data, so that a search needs
            an instance group.

    Raises:
        ServiceError: With all mistakes.
    """
    demand(data, _SHAPE)
    mistakes = list(_mistakes(data))
    if standalone and "sigName" not in data["modelSpec"]:
        mistakes.append("'modelSpec.sigName' is required.")
    if mistakes:
        raise invalid(*mistakes)


def algorithm_of(data: Json) -> str:
    """Return the algorithm of a search in the spelling of requests; lists have ``TPE``."""
    name: str = data["algoDef"]["algorithm"]
    return "Tpe" if name == "TPE" else name


def algorithm_param(data: Json, name: str, default: str) -> str:
    """Return a parameter of the algorithm."""
    for each in data["algoDef"].get("algoParams", ()):
        if each["name"] == name:
            value: str = each["value"]
            return value
    return default


def parse_number(value: Any) -> float:
    """Return a number, which may be a string.

    Raises:
        ValueError: If it is not a number.
    """
    if not isinstance(value, str) and not is_number(value):
        raise ValueError("neither a number nor a text")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _mistakes(data: Json) -> Iterator[str]:
    about: Json = data["algoDef"]
    algorithm = algorithm_of(data)
    if algorithm not in ALGORITHMS:
        yield f"Unknown algorithm {algorithm!r}; this emulator has {', '.join(ALGORITHMS)}."
        return
    if not about[METRIC]:
        yield f"'algoDef.{METRIC}' must not be empty."
    for name in (MINUTES, JOBS):
        if about.get(name, -1) != -1 and about[name] < 1:
            yield f"'algoDef.{name}' must be at least 1, or -1."
    if not 1 <= about.get(PARALLEL, 1) <= 1_000:
        yield f"'algoDef.{PARALLEL}' must be at least 1."
    if about.get(MINUTES, -1) > 525_600:
        yield f"'algoDef.{MINUTES}' must not be more than a year."
    try:
        parse_arguments(data["modelSpec"]["args"])
    except InvalidSpecError as error:
        yield f"'modelSpec.args': {error}."
    yield from _param_mistakes(data, algorithm)
    required, other = "hyperParams", "experiments"
    if algorithm == GRID:
        required, other = other, required
    if not data.get(required) or data.get(other):
        yield f"{algorithm} needs {required}, and no {other}."
        return
    if algorithm == GRID:
        yield from _experiment_mistakes(data["experiments"])
        return
    names = [each["name"] for each in data["hyperParams"]]
    if algorithm == HYPERBAND:
        names.append(algorithm_param(data, "ResourceName", ""))
    if len(set(names)) < len(names) or "" in names:
        yield "Each parameter needs a unique name."
    for each in data["hyperParams"]:
        yield from (f"{each['name']!r}: {mistake}" for mistake in _parameter_mistakes(each))


def _param_mistakes(data: Json, algorithm: str) -> Iterator[str]:
    for each in data["algoDef"].get("algoParams", ()):
        if each["name"] not in _PARAMS[algorithm]:
            yield f"{algorithm} has no parameter {each['name']!r}."
    if not _is_integer(algorithm_param(data, "RandomSeed", "0"), 0):
        yield "RandomSeed must be a whole number."
    for name, minimum in _MINIMUMS.items():
        if not _is_integer(algorithm_param(data, name, str(minimum)), minimum):
            yield f"{name} must be a whole number from {minimum}."
    try:
        if not parse_number(algorithm_param(data, "GoodRatio", "0.25")) > 0:
            yield "GoodRatio must be above 0."
    except ValueError:
        yield "GoodRatio must be a number."
    if algorithm_param(data, "Noiseless", "true").lower() not in {"true", "false"}:
        yield "Noiseless must be true or false."
    max_jobs = max(data["algoDef"].get(JOBS, 1), 1)
    if not _is_integer(algorithm_param(data, "CubeSize", str(max_jobs)), max_jobs):
        yield f"CubeSize must be a whole number from {JOBS}, {max_jobs}."
    if algorithm == HYPERBAND:
        yield from _hyperband_mistakes(data)


def _hyperband_mistakes(data: Json) -> Iterator[str]:
    if not algorithm_param(data, "ResourceName", ""):
        yield "Hyperband needs ResourceName."
    if not _is_integer(algorithm_param(data, "ResourceValue", ""), 1):
        yield "Hyperband needs ResourceValue, a whole number from 1."
    eta = algorithm_param(data, "eta", str(data["algoDef"].get(ETA, 3)))
    try:
        if not (2 <= parse_number(eta) <= 1_000 and parse_number(eta).is_integer()):
            yield "This emulator only has whole numbers from 2 as eta."
    except ValueError:
        yield "eta must be a number."


def _is_integer(text: str, minimum: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) >= minimum


def _experiment_mistakes(experiments: list[Json]) -> Iterator[str]:
    if len({each["id"] for each in experiments}) < len(experiments):
        yield "Each experiment needs a unique id."
    if len(experiments) > _MAX_VALUES:
        yield f"This emulator has at most {_MAX_VALUES} experiments."
    for each in experiments:
        for param in each["hyperParams"]:
            if not _has_type(param["fixedVal"], param["dataType"].lower()):
                yield f"{param['name']!r}: fixedVal must be of the type {param['dataType']}."


def _has_type(value: Any, kind: str) -> bool:
    if kind in {"str", "string"}:
        return isinstance(value, str)
    try:
        number = parse_number(value)
    except ValueError:
        return False
    return kind == "double" or (number.is_integer() and abs(number) < 2**63)


def _parameter_mistakes(each: Json) -> Iterator[str]:
    kind, discrete = each["dataType"].lower(), each["type"].lower() == "discrete"
    if discrete:
        name = {"double": "discreteDbVal", "int": "discreteIntVal", "str": "discreateStrVal"}[kind]
        if not 1 <= len(each.get(name, ())) <= _MAX_VALUES:
            yield f"{name} needs at least one value, and no more than {_MAX_VALUES}."
        return
    if kind == "str":
        yield "a Range has numbers."
        return
    low, high = ("minIntVal", "maxIntVal") if kind == "int" else ("minDbVal", "maxDbVal")
    if low not in each or high not in each:
        yield f"a Range of {kind} needs {low} and {high}."
        return
    if each[low] > each[high]:
        yield f"{low} is above {high}."
    try:
        step = parse_number(each["step"]) if "step" in each else 1.0
        power = parse_number(each["power"]) if "power" in each else 2.0
    except ValueError as error:
        yield f"power and step must be numbers: {error}."
        return
    if step <= 0 or (kind == "int" and not step.is_integer()):
        yield f"step must be above 0{' and whole' if kind == 'int' else ''}."
    elif (each[high] - each[low]) / step > 2**53:
        yield "step is too small."
    if "power" in each:
        yield from _power_mistakes(power, each[low], each[high], kind)


def _power_mistakes(power: float, low: float, high: float, kind: str) -> Iterator[str]:
    """Yield why bounds cannot be exponents."""
    if power <= 0:
        yield "power must be above 0."
        return
    if kind == "int" and (low < 0 or not power.is_integer()):
        yield "a power of whole numbers needs a whole base and exponents from 0."
        return
    limit = 62 * math.log(2) if kind == "int" else 700
    if max(abs(low), abs(high)) * abs(math.log(power)) > limit:
        yield "its values are too large, or too small."
