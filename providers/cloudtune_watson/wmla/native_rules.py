"""Checks ``native`` against the fields of a search that IBM describes.

Its ``data`` is sent to WML Accelerator unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from cloudtune.provider import Finding, Note
from cloudtune_watson.layout import COMMAND
from cloudtune_watson.request_fields import LIMITS
from cloudtune_watson.rules.native import NATIVE, Fields, check_fields, not_sent, unknown_field
from cloudtune_watson.wmla.native.names import (
    BAYESIAN,
    BOUNDS,
    ETA,
    GRID,
    HYPERBAND,
    LISTS,
    METRIC,
    METRICS,
    RANDOM,
    TPE,
)

_PARAM: Fields = {
    **dict.fromkeys(("name", "type", "dataType", *sum(BOUNDS.values(), ()), *LISTS.values())),
    **dict.fromkeys(("power", "step")),
}
SEARCH: Fields = {
    "file": None,
    "data": {
        "hpoName": None,
        "modelSpec": {"sigName": None, "args": None},
        "algoDef": {
            **dict.fromkeys(("algorithm", *LIMITS.values(), METRIC, "objective", METRICS, ETA)),
            "algoParams": [{"name": None, "value": None}],
        },
        "hyperParams": [_PARAM],
        "experiments": [
            {"id": None, "hyperParams": [{"name": None, "dataType": None, "fixedVal": None}]}
        ],
    },
}
"""The fields of ``start_hpo`` in ibm-wmla 0.1.1, wmla_api_v1.py, and in IBM's notebooks."""
ALGORITHM_PARAMS: Mapping[str, tuple[str, ...]] = {
    RANDOM: ("RandomSeed",),
    HYPERBAND: ("RandomSeed", "eta", "ResourceName", "ResourceValue"),
    TPE: ("RandomSeed", "WarmUp", "EICandidate", "GoodRatio", "GoodMax"),
    BAYESIAN: ("RandomSeed", "InitPoints", "CubeSize", "Noiseless"),
    GRID: (),
}
"""The parameters of the built-in algorithms, from the same sources. Others can be installed."""


def native_rules(native: Mapping[str, Any], algorithm: str) -> Iterator[Finding | Note]:
    """Yield the findings on fields that are not sent, or that IBM does not describe.

    Args:
        native: The part of a request.
        algorithm: The algorithm of the search, if the part does not set another one.
    """
    for key, value in native.items():
        if key in SEARCH:
            yield from check_fields(value, SEARCH[key], f"{NATIVE}.{key}")
        else:
            yield not_sent(key, SEARCH, "only file and data of a search are sent")
    yield from _check_search(native, algorithm)


def _check_search(native: Mapping[str, Any], algorithm: str) -> Iterator[Finding | Note]:
    data = _as_map(native.get("data"))
    path = f"{NATIVE}.data"
    arguments = _as_map(data.get("modelSpec")).get("args")
    if isinstance(arguments, str) and f"--model-main {COMMAND}" not in arguments:
        reason = f"a trial starts with cloudtune's launcher: keep --model-main {COMMAND}"
        yield Finding("refused", f"{path}.modelSpec.args", reason)
    definition = _as_map(data.get("algoDef"))
    algorithm = str(definition.get("algorithm", algorithm))
    params: Any = definition.get("algoParams")
    for index, item in enumerate(cast("list[object]", params) if isinstance(params, list) else ()):
        param = _as_map(item)
        param_path = f"{path}.algoDef.algoParams.{index}"
        if isinstance(name := param.get("name"), str):
            yield from _check_param(name, algorithm, param_path)
        if "value" in param and not isinstance(param["value"], str):
            yield Finding("refused", f"{param_path}.value", "must be text: put it in quotes")


def _check_param(name: str, algorithm: str, path: str) -> Iterator[Finding | Note]:
    known = ALGORITHM_PARAMS.get(TPE if algorithm == "TPE" else algorithm)
    if known is None or name in known:
        return
    owners = [owner for owner, names in ALGORITHM_PARAMS.items() if name in names]
    if owners:
        reason = f"{algorithm} has no {name}, only {' and '.join(owners)}"
        yield Finding("refused", path, reason)
    else:
        yield unknown_field(name, known, path)


def _as_map(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
