"""What a search may be asked for.

Documented in the docstring of ``start_hpo`` of ibm-wmla 0.1.1 (``wmla_api_v1.py``), with the
spellings of requests in ``WMLA-HPO-state.ipynb`` of IBM/wmla-assets where they differ
(``maxParalleJobNum``, ``hyperbandEta``). That other keys are refused is chosen, so that a misspelt
one is found here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cloudtune.study.schema import Json
from cloudtune_watson.contract import BadSpec, arguments
from cloudtune_watson.emulator.errors import invalid
from cloudtune_watson.emulator.shapes import (
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
    is_whole,
)

GRID = "ExperimentGridSearch"
HYPERBAND = "Hyperband"
ALGORITHMS = ("Random", "Bayesian", "Tpe", HYPERBAND, GRID)
_PARAMS = {
    "Random": {"RandomSeed"},
    "Bayesian": {"RandomSeed", "InitPoints", "CubeSize", "Noiseless"},
    "Tpe": {"RandomSeed", "WarmUp", "EICandidate", "GoodRatio", "GoodMax"},
    HYPERBAND: {"RandomSeed", "eta", "ResourceName", "ResourceValue"},
    GRID: set[str](),
}
_LEAST = {"WarmUp": 3, "EICandidate": 2, "GoodMax": 2, "InitPoints": 0}
"""The least of whole numbers: IBM says than what the first three should be bigger."""
_KINDS = OneOf(("DOUBLE", "INT", "STR"))
_MOST_VALUES = 10_000
_SHAPE = Map(
    {
        "modelSpec": Map({"args": TEXT}, {"sigName": TEXT, "hardwareSpec": FREE}),
        "algoDef": Map(
            {
                "algorithm": TEXT,
                "objectiveMetric": TEXT,
                "objective": OneOf(("minimize", "maximize")),
            },
            {
                "maxRunTime": WHOLE,
                "maxJobNum": WHOLE,
                "maxParalleJobNum": WHOLE,
                "additionalMetrics": FREE,
                "hyperbandEta": NUMBER,
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
                    "hyperParams": ListOf(Map({"name": TEXT, "dataType": _KINDS, "fixedVal": ANY})),
                }
            )
        ),
    },
)


def check(data: Any, *, standalone: bool) -> None:
    """Refuse what is no search.

    Args:
        data: The document.
        standalone: Whether the accelerator stands alone, so that it needs an instance group.

    Raises:
        ServiceError: With everything that is wrong.
    """
    demand(data, _SHAPE)
    wrong = list(_wrong(data))
    if standalone and "sigName" not in data["modelSpec"]:
        wrong.append("'modelSpec.sigName' is required.")
    if wrong:
        raise invalid(*wrong)


def algorithm_of(data: Json) -> str:
    """Return the algorithm of a search as requests spell it; lists of algorithms say ``TPE``."""
    said: str = data["algoDef"]["algorithm"]
    return "Tpe" if said == "TPE" else said


def param(data: Json, name: str, otherwise: str) -> str:
    """Return an additional parameter of the algorithm."""
    for each in data["algoDef"].get("algoParams", ()):
        if each["name"] == name:
            value: str = each["value"]
            return value
    return otherwise


def number(value: Any) -> float:
    """Return a number that may be written as a text.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, str) and not is_number(value):
        raise ValueError("neither a number nor a text")
    found = float(value)
    if not math.isfinite(found):
        raise ValueError("not finite")
    return found


def _wrong(data: Json) -> Iterator[str]:
    about: Json = data["algoDef"]
    algorithm = algorithm_of(data)
    if algorithm not in ALGORITHMS:
        yield f"There is no algorithm {algorithm!r}; this emulator has {', '.join(ALGORITHMS)}."
        return
    if not about["objectiveMetric"]:
        yield "'algoDef.objectiveMetric' must not be empty."
    for name in ("maxRunTime", "maxJobNum"):
        if about.get(name, -1) != -1 and about[name] < 1:
            yield f"'algoDef.{name}' must be at least 1, or -1."
    if not 1 <= about.get("maxParalleJobNum", 1) <= 1_000:
        yield "'algoDef.maxParalleJobNum' must be at least 1."
    if about.get("maxRunTime", -1) > 525_600:
        yield "'algoDef.maxRunTime' must not be more than a year."
    try:
        arguments(data["modelSpec"]["args"])
    except BadSpec as error:
        yield f"'modelSpec.args': {error}."
    yield from _wrong_params(data, algorithm)
    wanted, other = "hyperParams", "experiments"
    if algorithm == GRID:
        wanted, other = other, wanted
    if not data.get(wanted) or data.get(other):
        yield f"{algorithm} needs {wanted}, and no {other}."
        return
    if algorithm == GRID:
        yield from _wrong_experiments(data["experiments"])
        return
    names = [each["name"] for each in data["hyperParams"]]
    if algorithm == HYPERBAND:
        names.append(param(data, "ResourceName", ""))
    if len(set(names)) < len(names) or "" in names:
        yield "Each parameter needs a name of its own."
    for each in data["hyperParams"]:
        yield from (f"{each['name']!r}: {why}" for why in _wrong_parameter(each))


def _wrong_params(data: Json, algorithm: str) -> Iterator[str]:
    for each in data["algoDef"].get("algoParams", ()):
        if each["name"] not in _PARAMS[algorithm]:
            yield f"{algorithm} has no parameter {each['name']!r}."
    if not _is_natural(param(data, "RandomSeed", "0"), 0):
        yield "RandomSeed must be a whole number."
    for name, least in _LEAST.items():
        if not _is_natural(param(data, name, str(least)), least):
            yield f"{name} must be a whole number from {least}."
    try:
        if not number(param(data, "GoodRatio", "0.25")) > 0:
            yield "GoodRatio must be above 0."
    except ValueError:
        yield "GoodRatio must be a number."
    if param(data, "Noiseless", "true").lower() not in {"true", "false"}:
        yield "Noiseless must be true or false."
    most = max(data["algoDef"].get("maxJobNum", 1), 1)
    if not _is_natural(param(data, "CubeSize", str(most)), most):
        yield f"CubeSize must be a whole number from maxJobNum, {most}."
    if algorithm == HYPERBAND:
        yield from _wrong_hyperband(data)


def _wrong_hyperband(data: Json) -> Iterator[str]:
    if not param(data, "ResourceName", ""):
        yield "Hyperband needs ResourceName."
    if not _is_natural(param(data, "ResourceValue", ""), 1):
        yield "Hyperband needs ResourceValue, a whole number from 1."
    eta = param(data, "eta", str(data["algoDef"].get("hyperbandEta", 3)))
    try:
        if not (2 <= number(eta) <= 1_000 and number(eta).is_integer()):
            yield "This emulator has whole numbers from 2 as eta alone."
    except ValueError:
        yield "eta must be a number."


def _is_natural(text: str, least: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) >= least


def _wrong_experiments(experiments: list[Json]) -> Iterator[str]:
    if len({each["id"] for each in experiments}) < len(experiments):
        yield "Each experiment needs an id of its own."
    if len(experiments) > _MOST_VALUES:
        yield f"This emulator has at most {_MOST_VALUES} experiments."
    for each in experiments:
        for place in each["hyperParams"]:
            if not _is_of(place["fixedVal"], place["dataType"].lower()):
                yield f"{place['name']!r}: fixedVal must be of the type {place['dataType']}."


def _is_of(value: Any, kind: str) -> bool:
    if kind == "str":
        return isinstance(value, str)
    return is_whole(value) if kind == "int" else is_number(value)


def _wrong_parameter(each: Json) -> Iterator[str]:
    kind, discrete = each["dataType"].lower(), each["type"].lower() == "discrete"
    if discrete:
        name = {"double": "discreteDbVal", "int": "discreteIntVal", "str": "discreateStrVal"}[kind]
        if not 1 <= len(each.get(name, ())) <= _MOST_VALUES:
            yield f"{name} needs at least one value, and no more than {_MOST_VALUES}."
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
        step = number(each["step"]) if "step" in each else 1.0
        power = number(each["power"]) if "power" in each else 2.0
    except ValueError as error:
        yield f"power and step must be numbers: {error}."
        return
    if step <= 0 or (kind == "int" and not step.is_integer()):
        yield f"step must be above 0{' and whole' if kind == 'int' else ''}."
    elif (each[high] - each[low]) / step > 2**53:
        yield "step is too small."
    if "power" in each:
        yield from _wrong_power(power, each[low], each[high], kind)


def _wrong_power(power: float, low: float, high: float, kind: str) -> Iterator[str]:
    """Yield why bounds cannot be exponents."""
    if power <= 0:
        yield "power must be above 0."
        return
    if kind == "int" and (low < 0 or not power.is_integer()):
        yield "a power of whole numbers needs a whole base and exponents from 0."
        return
    most = 62 * math.log(2) if kind == "int" else 700
    if max(abs(low), abs(high)) * abs(math.log(power)) > most:
        yield "its values are too large, or too small."
