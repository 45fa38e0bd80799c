"""Checks ``native`` against what IBM describes, and against what IBM's packages let through.

Both packages make a training's request from the fields that they know, and drop the rest without a
word. The Accelerator is sent the whole of a search's ``data`` as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from cloudtune.provider import Finding, Mode, Note, did_you_mean
from cloudtune_watson.request.layout import COMMAND
from cloudtune_watson.request.tuning_job import GRID

HERE = "providers.watson.native"
Fields = Mapping[str, Any]
"""By the name of a field: None for a value, fields for a map, a list of fields for a list."""

_REFERENCE: Fields = {"type": None, "name": None, "connection": None, "location": None}
TRAINING: Fields = {
    "description": None,
    "training_data_references": [{**_REFERENCE, "id": None, "schema": None}],
    "test_data_references": [{**_REFERENCE, "id": None, "schema": None}],
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
"""What both packages send of a training of one's own code (``_get_training_configuration_meta`` in
ibm-watsonx-ai 1.8.1, training.py; ``run`` in ibm-watson-machine-learning 1.0.370), with the fields
that IBM's notebooks have in ``model_definition``."""
OTHER_TRAININGS = frozenset(
    {
        *("pipeline", "experiment", "prompt_tuning", "fine_tuning", "parameters"),
        *("federated_learning", "auto_update_model", "type"),
    }
)
"""Fields that make another kind of training."""
NEEDED = frozenset({"description", "training_data_references"})
"""What the packages read without asking whether it is there."""
OF_CLOUDTUNE = frozenset({"name", "tags", "space_id", "project_id", "results_reference"})
"""What the core refuses already."""

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
"""What ``start_hpo`` of ibm-wmla 0.1.1, wmla_api_v1.py, and IBM's notebooks describe."""
ALGORITHM_PARAMS: Mapping[str, tuple[str, ...]] = {
    "Random": ("RandomSeed",),
    "Hyperband": ("RandomSeed", "eta", "ResourceName", "ResourceValue"),
    "Tpe": ("RandomSeed", "WarmUp", "EICandidate", "GoodRatio", "GoodMax"),
    "Bayesian": ("RandomSeed", "InitPoints", "CubeSize", "Noiseless"),
    GRID: (),
}
"""Of its built-in algorithms, on the same pages; installed ones have others."""


def native_rules(mode: Mode, native: Mapping[str, Any], algorithm: str) -> Iterator[Finding | Note]:
    """Yield what a part of a request says that would not arrive, or that IBM does not describe.

    Args:
        mode: Whose request it is.
        native: The part.
        algorithm: Of the search, where the part names no other.
    """
    if mode == "driven":
        yield from _training(native)
    else:
        for key in sorted(native.keys() - SEARCH.keys()):
            near = did_you_mean(key, SEARCH)
            reason = "a search is sent as its file and its data: this would not be sent"
            yield Finding("refused", f"{HERE}.{key}", f"{reason}{f'; {near}' if near else ''}")
        known = {key: value for key, value in native.items() if key in SEARCH}
        yield from _fields(known, SEARCH, HERE)
        yield from _search(native, algorithm)


def _training(native: Mapping[str, Any]) -> Iterator[Finding | Note]:
    for key, value in native.items():
        path = f"{HERE}.{key}"
        if key in OTHER_TRAININGS:
            reason = "this makes another kind of training, which runs none of your code"
            yield Finding("refused", path, reason)
        elif key not in TRAINING and key not in OF_CLOUDTUNE:
            near = did_you_mean(key, TRAINING)
            reason = "IBM's packages drop this without a word: it would not be sent"
            yield Finding("refused", path, f"{reason}{f'; {near}' if near else ''}")
        elif value is None and key in NEEDED:
            yield Finding("refused", path, "IBM's packages cannot send a training without this")
    known = {key: value for key, value in native.items() if key in TRAINING}
    yield from _fields(known, TRAINING, HERE)


def _fields(value: Any, fields: Any, path: str) -> Iterator[Finding | Note]:
    """Yield the fields of a value that are not described, below a path."""
    if fields is None or value is None:
        return
    if isinstance(fields, list):
        if not isinstance(value, list):
            yield Finding("refused", path, "this must be a list")
            return
        for place, each in enumerate(cast("list[object]", value)):
            yield from _fields(each, fields[0], f"{path}.{place}")
        return
    if not isinstance(value, Mapping):
        yield Finding("refused", path, "this must be a map")
        return
    for key, inner in cast("Mapping[str, Any]", value).items():
        if key in fields:
            yield from _fields(inner, fields[key], f"{path}.{key}")
        else:
            yield _unknown(key, fields, f"{path}.{key}")


def _unknown(name: str, known: Collection[str], path: str) -> Finding | Note:
    near = did_you_mean(name, known)
    if near:
        return Finding("refused", path, f"IBM describes nothing of this name; {near}")
    return Note(path, "IBM describes nothing of this name: it is sent as it is")


def _search(native: Mapping[str, Any], algorithm: str) -> Iterator[Finding | Note]:
    data = _map(native.get("data"))
    words = _map(data.get("modelSpec")).get("args")
    path = f"{HERE}.data"
    if isinstance(words, str) and f"--model-main {COMMAND}" not in words:
        reason = f"a trial begins with cloudtune's launcher: keep --model-main {COMMAND}"
        yield Finding("refused", f"{path}.modelSpec.args", reason)
    about = _map(data.get("algoDef"))
    chosen = str(about.get("algorithm", algorithm))
    given: Any = about.get("algoParams")
    for place, each in enumerate(cast("list[object]", given) if isinstance(given, list) else ()):
        param = _map(each)
        where = f"{path}.algoDef.algoParams.{place}"
        if isinstance(name := param.get("name"), str):
            yield from _param(name, chosen, where)
        if "value" in param and not isinstance(param["value"], str):
            yield Finding("refused", f"{where}.value", "values are text here: put it in quotes")


def _param(name: str, algorithm: str, path: str) -> Iterator[Finding | Note]:
    """Yield why an algorithm has no parameter of this name, if it has none."""
    known = ALGORITHM_PARAMS.get("Tpe" if algorithm == "TPE" else algorithm)
    if known is None or name in known:
        return
    owners = [each for each, names in ALGORITHM_PARAMS.items() if name in names]
    if owners:
        reason = f"{algorithm} has no {name}, which is of {' and '.join(owners)}"
        yield Finding("refused", path, reason)
    else:
        yield _unknown(name, known, path)


def _map(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
