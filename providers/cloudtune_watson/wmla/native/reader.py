"""Reads a hyperparameter search of WML Accelerator as a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cloudtune.formats import Fields, StudyDraft, compact, describe_value
from cloudtune.provider import Json, format_duration, is_list, is_map
from cloudtune_watson.request_fields import LIMITS
from cloudtune_watson.settings import NAME
from cloudtune_watson.wmla.native.model_spec import read_model
from cloudtune_watson.wmla.native.names import (
    ALGORITHMS,
    DATA,
    ETA,
    GOALS,
    GRID,
    METRIC,
    METRICS,
    SELECTS,
)
from cloudtune_watson.wmla.native.parameters import read_parameters, read_trials

_OUTPUT = (
    *("state", "progress", "running", "complete", "failed", "duration", "creator", "createtime"),
    "best",
)
"""What only the service sets, in its answer to GET /hypersearch/{hpoName}."""
_SPELLINGS = ("maxParallelJobNum", "maxParallelJob", "maxParalleJob")
"""Spellings of the limit parallel_trials that the service does not document as a field."""
_ELSEWHERE = "nothing reads what IBM's monitor (emetrics) reports on other services"


def read_search(document: Fields) -> Sequence[StudyDraft]:
    """Return the study of a search, which may be under ``data``, also as text."""
    if "algoDef" in document:
        return [_SearchReader(document).draft()]
    data: Any = document.take(DATA)
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as error:
            document.mistake(DATA, f"is not JSON ({type(error).__name__})")
            return []
    if not is_map(data):
        document.mistake("algoDef", "a search needs algoDef and hyperParams")
        return []
    if document.take("file") is not None:
        document.note("file", "left out: a run uploads an archive of its own")
    report = document.report
    outer = document.rest()
    search = Fields({DATA: data}, report).map(DATA)
    return [_SearchReader(search, outer).draft()]


class _SearchReader:
    def __init__(self, search: Fields, outer: Json | None = None) -> None:
        self._search = search
        self._outer = outer or {}
        self._algorithm = search.map("algoDef")
        self._data: Json = {}
        self._settings: Json = {"backend": "wmla"}
        self._origins: dict[str, str] = {}

    def draft(self) -> StudyDraft:
        search, data = self._search, self._data
        data["name"] = search.text("hpoName")
        self._leave_results()
        self._strategy()
        data["parameters"] = read_parameters(search, self._origins)
        trials = read_trials(search, self._origins)
        if trials and data.get("strategy", {}).get("name") == "list":
            data["initial_trials"] = trials
        elif trials:
            search.mistake("experiments", f"trials are listed only with {GRID}")
        elif data.get("strategy", {}).get("name") == "list":
            search.mistake("experiments", f"{GRID} needs the trials to run")
        if not trials and not search.original.get("hyperParams"):
            search.mistake("hyperParams", "a search needs parameters")
        trial: Json = {}
        data["trial"] = trial
        self._objective()
        self._limits()
        read_model(search, trial, self._settings)
        rest = {**self._outer, **compact(**{DATA: search.rest()})}
        data["providers"] = {NAME: {**self._settings, **({"native": rest} if rest else {})}}
        return StudyDraft(data, "", self._origins)

    def _leave_results(self) -> None:
        search = self._search
        added = [key for key in _OUTPUT if search.take(key) is not None]
        listed = search.peek("experiments")
        entries = listed if is_list(listed) else []
        if added and any(is_map(each) and "state" in each for each in entries):
            algorithm = self._algorithm.peek("algorithm")
            if algorithm != GRID:
                search.take("experiments")
                added.append("experiments")
            else:
                for each in search.maps("experiments"):
                    for key in set(each.original) - {"id", "hyperParams"}:
                        each.take(key)
                    for entry in each.maps("hyperParams"):
                        entry.take("userDefined")
        if added:
            search.note(added[0], f"left out what the service adds: {', '.join(added)}")

    def _strategy(self) -> None:
        algorithm = self._algorithm
        written = algorithm.text("algorithm")
        if not written:
            algorithm.mistake("algorithm", f"must be one of {', '.join(ALGORITHMS)}")
            return
        known = {name.lower(): name for name in ALGORITHMS}
        name = known.get(written.lower())
        if name is None:
            reason = f"a study has no algorithm {written}; it has {', '.join(ALGORITHMS)}"
            algorithm.refuse("algorithm", reason)
            return
        if written != name:
            algorithm.put("algorithm", written)
        strategy = dict(ALGORITHMS[name])
        if strategy["name"] == "hyperband":
            self._eta(strategy)
        for param in algorithm.maps("algoParams", "name"):
            self._setting(str(param.peek("name")), param, strategy)
        if strategy["name"] == "hyperband" and not {"resource", "max"} <= strategy.keys():
            algorithm.mistake("algoParams", "Hyperband needs ResourceName and ResourceValue")
        self._data["strategy"] = strategy
        self._origins["strategy"] = algorithm.path

    def _eta(self, strategy: Json) -> None:
        """Read the eta of the algorithm's definition, which stays where it is."""
        algorithm = self._algorithm
        value = algorithm.peek(ETA)
        eta = algorithm.number(ETA)
        if eta is None:
            return
        algorithm.put(ETA, value)
        if eta == int(eta) and eta >= 2:
            strategy["eta"] = int(eta)
        else:
            text = "kept for IBM: other services take a whole number, and here the default 3"
            algorithm.approximate(ETA, text)

    def _setting(self, name: str, param: Fields, strategy: Json) -> None:
        """Take one setting of the algorithm that a strategy has; others stay."""
        hyperband = {"ResourceName": "resource", "ResourceValue": "max", "eta": "eta"}
        if name == "RandomSeed":
            strategy["seed"] = param.integer("value")
        elif strategy["name"] == "hyperband" and name in hyperband:
            key = hyperband[name]
            eta = param.peek("value")
            if key == "eta" and _is_fraction(eta):
                param.approximate("value", "kept for IBM: a study has only a whole eta")
                return
            strategy[key] = param.text("value") if key == "resource" else param.integer("value")
        else:
            param.note("value", f"kept for IBM: no other service has the setting {name}")
            return
        param.take("name")

    def _objective(self) -> None:
        algorithm = self._algorithm
        metric, goal = algorithm.text(METRIC), algorithm.word("objective")
        if not metric:
            algorithm.mistake(METRIC, "a search needs a metric to optimize")
        if goal not in GOALS:
            algorithm.mistake("objective", f"must be minimize or maximize, {describe_value(goal)}")
        if metric and goal in GOALS:
            self._data["objective"] = {"metric": metric, "goal": goal}
            text = f'{_ELSEWHERE}; add cloudtune.trial.report({{"{metric}": value}}) to the script'
            algorithm.warn(METRIC, text)
        self._origins["objective"] = algorithm.path
        selects: Json = {}
        for name, select in algorithm.entries(METRICS).items():
            if str(select) not in SELECTS:
                text = f"{select!r} of {name} is latest: IBM reads all other words so"
                algorithm.note(METRICS, text)
            selects[name] = SELECTS.get(str(select), "last")
        self._data["trial"] |= compact(select=selects)
        self._origins["trial.select"] = algorithm.at(METRICS)

    def _limits(self) -> None:
        algorithm = self._algorithm
        limits: Json = {}
        for field, key in LIMITS.items():
            number = algorithm.number(key) if field == "timeout" else algorithm.integer(key)
            self._origins[f"limits.{field}"] = algorithm.at(key)
            if number is None or number == -1:
                continue
            if number <= 0:
                algorithm.mistake(key, f"must be above 0, or -1 for no limit, not {number}")
            elif field == "timeout":
                limits[field] = format_duration(number * 60)
            else:
                limits[field] = number
        for key in _SPELLINGS:
            if key in algorithm:
                name = LIMITS["parallel_trials"]
                algorithm.warn(key, f"the service spells it {name}; kept, but not read as a limit")
        self._data["limits"] = limits


def _is_fraction(value: Any) -> bool:
    try:
        return float(value) != int(float(value))
    except (TypeError, ValueError, OverflowError):
        return False
