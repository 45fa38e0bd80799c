"""Checks ``native`` against the fields that IBM describes and that IBM's packages send.

Both packages build a training's request from the fields that they know, and silently drop the
others. A search's ``data`` is sent to WML Accelerator unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from cloudtune.provider import Finding, Note, did_you_mean
from cloudtune_watson.layout import COMMAND
from cloudtune_watson.rules.settings import SETTINGS
from cloudtune_watson.versions import Backend
from cloudtune_watson.wmla.native.names import GRID

NATIVE = f"{SETTINGS}.native"
Fields = Mapping[str, Any]
"""The fields of a map by name: None for a value, fields for a map, a list of fields for a list."""

_DATA_REFERENCE: Fields = dict.fromkeys(("type", "name", "connection", "location", "id", "schema"))
TRAINING: Fields = {
    "description": None,
    "training_data_references": [_DATA_REFERENCE],
    "test_data_references": [_DATA_REFERENCE],
    "test_output_data": None,
    "model_definition": {
        "id": None,
        "command": None,
        "hardware_spec": {"id": None, "name": None, "rev": None, "nodes": None, "num_nodes": None},
        "software_spec": {"id": None, "name": None, "rev": None},
        "model_type": None,
        "parameters": None,
    },
}
"""The fields of a training with the user's code that both packages send
(``_get_training_configuration_meta`` in ibm-watsonx-ai 1.8.1, training.py; ``run`` in
ibm-watson-machine-learning 1.0.370), with those of ``model_definition`` in IBM's notebooks."""
OTHER_TRAININGS = frozenset(
    {
        *("pipeline", "experiment", "prompt_tuning", "fine_tuning", "parameters"),
        *("federated_learning", "auto_update_model", "type"),
    }
)
"""Fields of other kinds of trainings."""
DEPLOYMENT_JOB: Fields = {
    "description": None,
    "custom": None,
    "hardware_spec": {"id": None, "name": None, "rev": None},
    "scoring": {
        "environment_variables": None,
        "input_data_references": [_DATA_REFERENCE],
        "output_data_reference": _DATA_REFERENCE,
    },
}
"""The fields of a deployment job of a script: IBM/abap-sdk-nwas-x at 9cb5754, types of API v4, and
``ScoringMetaNames`` of ibm-watsonx-ai 1.8.1; read 2026-11-27."""
REQUIRED = frozenset({"description", "training_data_references"})
"""Fields that the packages read without a default."""
PROTECTED = frozenset({"name", "tags", "space_id", "project_id", "results_reference", "deployment"})
"""Fields that the core refuses to replace."""

_PARAM: Fields = {
    **dict.fromkeys(("name", "type", "dataType", "minDbVal", "maxDbVal", "minIntVal", "maxIntVal")),
    **dict.fromkeys(("discreteDbVal", "discreteIntVal", "discreateStrVal", "power", "step")),
}
SEARCH: Fields = {
    "file": None,
    "data": {
        "hpoName": None,
        "modelSpec": {"sigName": None, "args": None},
        "algoDef": {
            **dict.fromkeys(("algorithm", "maxRunTime", "maxJobNum", "maxParalleJobNum")),
            **dict.fromkeys(("objectiveMetric", "objective", "additionalMetrics", "hyperbandEta")),
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
    "Random": ("RandomSeed",),
    "Hyperband": ("RandomSeed", "eta", "ResourceName", "ResourceValue"),
    "Tpe": ("RandomSeed", "WarmUp", "EICandidate", "GoodRatio", "GoodMax"),
    "Bayesian": ("RandomSeed", "InitPoints", "CubeSize", "Noiseless"),
    GRID: (),
}
"""The parameters of the built-in algorithms, from the same sources. Others can be installed."""


def native_rules(
    service: Backend | None, native: Mapping[str, Any], algorithm: str
) -> Iterator[Finding | Note]:
    """Yield the findings on fields that are not sent, or that IBM does not describe.

    Args:
        service: The back end.
        native: The part of a request.
        algorithm: The algorithm of the search, if the part does not set another one.
    """
    fields = {"wmla": SEARCH, "jobs": DEPLOYMENT_JOB}.get(service or "wml", TRAINING)
    for key, value in native.items():
        path = f"{NATIVE}.{key}"
        if key in fields:
            if fields is TRAINING and value is None and key in REQUIRED:
                yield Finding("refused", path, "IBM's packages cannot send a training without this")
            yield from _check(value, fields[key], path)
        elif fields is SEARCH:
            yield _not_sent(key, fields, "only file and data of a search are sent")
        elif fields is DEPLOYMENT_JOB:
            if key not in PROTECTED:
                yield _unknown(key, fields, path)
        elif key in OTHER_TRAININGS:
            reason = "this creates another kind of training, which does not run your code"
            yield Finding("refused", path, reason)
        elif key not in PROTECTED:
            yield _not_sent(key, fields, "IBM's packages silently drop this field")
    if fields is SEARCH:
        yield from _check_search(native, algorithm)


def _not_sent(key: str, fields: Fields, reason: str) -> Finding:
    suggestion = did_you_mean(key, fields)
    text = f"{reason}; {suggestion}" if suggestion else reason
    return Finding("refused", f"{NATIVE}.{key}", text)


def _check(value: Any, fields: Any, path: str) -> Iterator[Finding | Note]:
    """Yield the fields of a value at a path that IBM does not describe."""
    if fields is None or value is None:
        return
    if isinstance(fields, list):
        if not isinstance(value, list):
            yield Finding("refused", path, "must be a list")
            return
        for index, item in enumerate(cast("list[object]", value)):
            yield from _check(item, fields[0], f"{path}.{index}")
        return
    if not isinstance(value, Mapping):
        yield Finding("refused", path, "must be a map")
        return
    for key, inner in cast("Mapping[str, Any]", value).items():
        if key in fields:
            yield from _check(inner, fields[key], f"{path}.{key}")
        else:
            yield _unknown(key, fields, f"{path}.{key}")


def _unknown(name: str, known: Collection[str], path: str) -> Finding | Note:
    suggestion = did_you_mean(name, known)
    if suggestion:
        return Finding("refused", path, f"unknown field; {suggestion}")
    return Note(path, "not described by IBM: sent unchanged")


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
    known = ALGORITHM_PARAMS.get("Tpe" if algorithm == "TPE" else algorithm)
    if known is None or name in known:
        return
    owners = [owner for owner, names in ALGORITHM_PARAMS.items() if name in names]
    if owners:
        reason = f"{algorithm} has no {name}, only {' and '.join(owners)}"
        yield Finding("refused", path, reason)
    else:
        yield _unknown(name, known, path)


def _as_map(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
