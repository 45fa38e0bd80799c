"""Converts a search into a study that cloudtune's search can run, and trials back.

Bounds with ``power`` are exponents (HPO page of IBM Cloud's documentation of 2018), ``step`` makes
a grid that starts at the lower bound. The study's parameters are named by their index, since IBM's
names may be any text. Numbers are strings in responses, as is the resource of Hyperband, whose type
is ``str`` (``WMLA-HPO-state.ipynb`` of IBM/wmla-assets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.emulator_kit import Json, Started, Study, Value
from cloudtune_watson.emulator.rules.search import (
    ETA,
    GRID,
    HYPERBAND,
    JOBS,
    PARALLEL,
    algorithm_of,
    algorithm_param,
    parse_number,
)

OBJECTIVE = "objective"
"""The only metric of the study."""
_EXPERIMENT = "experiment"
_POWER_DIGITS = 9
"""Significant digits of a power; IBM does not document how many its service has."""
_STRATEGIES: Mapping[str, Json] = {
    "Random": {"name": "random"},
    "Bayesian": {"name": "bayesian", "method": "gp"},
    "Tpe": {"name": "bayesian", "method": "tpe"},
    "Hyperband": {"name": "hyperband"},
    GRID: {"name": "list"},
}


def study_of(data: Json) -> Study:
    """Return the study of a search, without the limit on its jobs.

    Raises:
        StudyError: If it does not fit into a study.
        ValueError: Likewise.
    """
    algorithm, about = algorithm_of(data), data["algoDef"]
    max_jobs: int = about.get(JOBS, -1)
    strategy: Json = dict(_STRATEGIES[algorithm])
    limits: Json = {
        # "Bayesian runs in sequence now" (WMLA-HPO-state.ipynb).
        "parallel_trials": 1 if algorithm == "Bayesian" else about.get(PARALLEL, 1),
    }
    study: Json = {
        "objective": {"metric": OBJECTIVE, "goal": about["objective"].lower()},
        "strategy": strategy,
        "limits": limits,
    }
    if algorithm == GRID:
        indices = [str(index) for index in range(len(data["experiments"]))]
        study["parameters"] = {_EXPERIMENT: {"type": "categorical", "values": indices}}
        study["initial_trials"] = [{_EXPERIMENT: index} for index in indices]
        return Study.model_validate(study)
    if algorithm == HYPERBAND:
        strategy["resource"] = "resource"
        strategy["max"] = int(algorithm_param(data, "ResourceValue", "1"))
        strategy["eta"] = int(float(algorithm_param(data, "eta", str(about.get(ETA, 3)))))
    elif max_jobs > 0:
        limits["max_trials"] = max_jobs
    study["parameters"] = {
        f"p{index}": _definition(each) for index, each in enumerate(data["hyperParams"])
    }
    return Study.model_validate(study)


def experiment_values(data: Json, started: Started) -> tuple[list[Json], Json]:
    """Return the parameters of a trial in the service's form, and its ``config.json``."""
    algorithm = algorithm_of(data)
    if algorithm == GRID:
        experiment: Json = data["experiments"][int(str(started.parameters[_EXPERIMENT]))]
        # By name and with a type, as in WMLA-HPO-Custom-Experiment.ipynb of IBM/wmla-assets.
        params = [
            _param(each["name"], each["dataType"], each["fixedVal"]) | {"type": "fix"}
            for each in sorted(experiment["hyperParams"], key=lambda each: str(each["name"]))
        ]
        config = {each["name"]: each["fixedVal"] for each in experiment["hyperParams"]}
        return params, config
    values = {
        each["name"]: _value(each, started.parameters[f"p{index}"])
        for index, each in enumerate(data["hyperParams"])
    }
    params = [
        _param(each["name"], each["dataType"], values[each["name"]]) for each in data["hyperParams"]
    ]
    if algorithm == HYPERBAND:
        name, amount = algorithm_param(data, "ResourceName", ""), str(started.resource)
        params.append(_param(name, "str", amount))
        values[name] = amount
    return params, values


def _definition(each: Json) -> Json:
    kind = each["dataType"].lower()
    if each["type"].lower() == "discrete":
        values: Sequence[Any] = each[_values_key(kind)]
        unique = list(dict.fromkeys(float(v) if kind == "double" else v for v in values))
        return {"type": "categorical", "values": unique}
    low, high = each[f"min{_NAMES[kind]}"], each[f"max{_NAMES[kind]}"]
    step = parse_number(each["step"]) if "step" in each else None
    if low == high or (step is not None and step > high - low):
        return {"type": "categorical", "values": [low if kind == "int" else float(low)]}
    if kind == "int":
        definition: Json = {"type": "int", "min": low, "max": high}
        return definition | ({"step": int(step)} if step is not None else {})
    definition = {"type": "float", "min": float(low), "max": float(high)}
    return definition | ({"step": step} if step is not None else {})


_NAMES: Mapping[str, str] = {"double": "DbVal", "int": "IntVal", "str": "StrVal"}


def _values_key(kind: str) -> str:
    return "discreateStrVal" if kind == "str" else f"discrete{_NAMES[kind]}"


def _value(each: Json, raw: Value) -> Value:
    """Return the value of a parameter, whose bounds are exponents if it has a power."""
    if each["type"].lower() == "discrete" or "power" not in each or isinstance(raw, str):
        return raw
    value = parse_number(each["power"]) ** raw
    if each["dataType"].lower() == "int":
        return int(value)
    # So that 0.3, whose exponent is -0.5228787452803376, is not 0.29999999999999993.
    return float(f"{value:.{_POWER_DIGITS}g}")


def _param(name: str, kind: str, value: Value) -> Json:
    return {
        "name": name,
        "dataType": kind.lower(),
        "fixedVal": repr(value) if isinstance(value, float) else str(value),
        "userDefined": False,
    }
