"""The parameters of a search: as a study that cloudtune's own search can run, and back again.

Bounds with ``power`` are exponents (HPO page of IBM Cloud's documentation of 2018), ``step`` makes
a grid that begins at the lower bound. Parameters are named by their place, since IBM's names may be
any text. Numbers come back as text, and so does the resource of Hyperband, whose type is ``str``
(``WMLA-HPO-state.ipynb`` of IBM/wmla-assets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.results.events import Started
from cloudtune.study.schema import Json
from cloudtune.study.search_space import Value
from cloudtune.study.study import Study
from cloudtune_watson.emulator.rules import GRID, HYPERBAND, algorithm_of, number, param

OBJECTIVE = "objective"
"""The one metric of the study."""
_LISTED = "experiment"
_STRATEGIES: Mapping[str, Json] = {
    "Random": {"name": "random"},
    "Bayesian": {"name": "bayesian", "method": "gp"},
    "Tpe": {"name": "bayesian", "method": "tpe"},
    "Hyperband": {"name": "hyperband"},
    GRID: {"name": "list"},
}
_MANY = 1_000_000
"""Failures that no search has: none of IBM's ends for them."""


def study_of(data: Json) -> Study:
    """Return what is searched. That no more jobs than wanted are run is not in it.

    Raises:
        StudyError: If a study cannot hold it.
        ValueError: If a study has no such values.
    """
    algorithm, about = algorithm_of(data), data["algoDef"]
    most: int = about.get("maxJobNum", -1)
    strategy: Json = dict(_STRATEGIES[algorithm])
    limits: Json = {
        # "Bayesian runs in sequence now" (WMLA-HPO-state.ipynb).
        "parallel_trials": 1 if algorithm == "Bayesian" else about.get("maxParalleJobNum", 1),
        "max_failed_trials": _MANY,
    }
    said: Json = {
        "objective": {"metric": OBJECTIVE, "goal": about["objective"].lower()},
        "strategy": strategy,
        "limits": limits,
    }
    if algorithm == GRID:
        places = [str(place) for place in range(len(data["experiments"]))]
        said["parameters"] = {_LISTED: {"type": "categorical", "values": places}}
        said["initial_trials"] = [{_LISTED: place} for place in places]
        return Study.model_validate(said)
    if algorithm == HYPERBAND:
        strategy["resource"] = "resource"
        strategy["max"] = int(param(data, "ResourceValue", "1"))
        strategy["eta"] = int(float(param(data, "eta", str(about.get("hyperbandEta", 3)))))
    elif most > 0:
        limits["max_trials"] = most
    said["parameters"] = {
        f"p{place}": _definition(each) for place, each in enumerate(data["hyperParams"])
    }
    return Study.model_validate(said)


def assigned(data: Json, started: Started) -> tuple[int | None, list[Json], Json]:
    """Return what a trial is given.

    Returns:
        The id that the request gives it, if it does; its parameters as the service tells them; and
        its ``config.json``.
    """
    algorithm = algorithm_of(data)
    if algorithm == GRID:
        listed: Json = data["experiments"][int(str(started.parameters[_LISTED]))]
        told = [
            _told(each["name"], each["dataType"], each["fixedVal"], given=True)
            for each in listed["hyperParams"]
        ]
        config = {each["name"]: each["fixedVal"] for each in listed["hyperParams"]}
        return listed["id"], told, config
    values = {
        each["name"]: _value(each, started.parameters[f"p{place}"])
        for place, each in enumerate(data["hyperParams"])
    }
    told = [
        _told(each["name"], each["dataType"], values[each["name"]]) for each in data["hyperParams"]
    ]
    if algorithm == HYPERBAND:
        name, amount = param(data, "ResourceName", ""), str(started.resource)
        told.append(_told(name, "str", amount))
        values[name] = amount
    return None, told, values


def _definition(each: Json) -> Json:
    kind = each["dataType"].lower()
    if each["type"].lower() == "discrete":
        values: Sequence[Any] = each[_discrete(kind)]
        unique = list(dict.fromkeys(float(v) if kind == "double" else v for v in values))
        return {"type": "categorical", "values": unique}
    low, high = each[f"min{_NAMES[kind]}"], each[f"max{_NAMES[kind]}"]
    step = number(each["step"]) if "step" in each else None
    if low == high or (step is not None and step > high - low):
        return {"type": "categorical", "values": [low if kind == "int" else float(low)]}
    if kind == "int":
        made: Json = {"type": "int", "min": low, "max": high}
        return made | ({"step": int(step)} if step is not None else {})
    made = {"type": "float", "min": float(low), "max": float(high)}
    return made | ({"step": step} if step is not None else {})


_NAMES: Mapping[str, str] = {"double": "DbVal", "int": "IntVal", "str": "StrVal"}


def _discrete(kind: str) -> str:
    return "discreateStrVal" if kind == "str" else f"discrete{_NAMES[kind]}"


def _value(each: Json, raw: Value) -> Value:
    """Return the value of a parameter; bounds with a power were exponents."""
    if each["type"].lower() == "discrete" or "power" not in each or isinstance(raw, str):
        return raw
    found = number(each["power"]) ** raw
    return int(found) if each["dataType"].lower() == "int" else float(found)


def _told(name: str, kind: str, value: Value, *, given: bool = False) -> Json:
    return {
        "name": name,
        "dataType": kind.lower(),
        "fixedVal": repr(value) if isinstance(value, float) else str(value),
        "userDefined": given,
    }
