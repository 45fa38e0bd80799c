"""Rules of ``native``: its fields and values by Google's types, then the limits of the merged job.

Fields that tuning jobs do not support are found without Google's types, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast, get_args

from cloudtune.planning.native import merge
from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    Json,
    Mode,
    Note,
    did_you_mean,
)
from cloudtune_vertex.google_sdk import import_google
from cloudtune_vertex.native.names import ALGORITHMS
from cloudtune_vertex.request import request
from cloudtune_vertex.rules.machines import DISK_GB, DISK_REASON, NO_TPUS, has_tpus
from cloudtune_vertex.rules.settings import MAX_LABELS, SETTINGS, label_problems, refuse
from cloudtune_vertex.rules.trial import MAX_VARIABLES
from cloudtune_vertex.settings import VertexSettings

OUTPUT_ONLY = frozenset(
    {"name", "trials", "state", "createTime", "startTime", "endTime", "updateTime", "error"}
    | {"satisfiesPzs", "satisfiesPzi", "webAccessUris"}
)
"""Fields of a job that only the service sets, in TYPES."""
JOB_FIELDS = {"managed": "hyperparameterTuningJob", "driven": "customJob"}
"""The field of a request with its job."""
UNSUPPORTED = {
    "defaultValue": "tuning jobs do not support default values",
    "observationNoise": "tuning jobs do not support this, only Vizier's studies do",
    "tpuTopology": NO_TPUS,
}
"""Fields that Google's types accept and tuning jobs do not support, in TYPES and TUNING."""
_SDK = "google.cloud.aiplatform_v1"
_PROTOBUF = "google.protobuf."
"""Types with their own form in JSON: durations, times, optional numbers."""
_DISK_TYPES = get_args(get_args(VertexSettings.model_fields["disk_type"].annotation)[0])

Problem = tuple[str, str]
"""The path of a field, and what is wrong with its value."""


def native_rules(
    fitted: FittedStudy, mode: Mode, settings: VertexSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings on ``native``."""
    if not settings.native:
        return
    problems = list(unsupported_fields(settings.native)) if mode == "managed" else []
    problems += output_only_fields(mode, settings.native)
    if has_types():
        type_problems = check_native(mode, settings.native)
        problems += type_problems
        if not type_problems:
            before = request(fitted, mode, settings, facts)
            after, _ = merge(before, settings.native, provider="vertex", protected_paths=())
            problems += _new_limit_problems(mode, before, after)
    else:
        text = "not checked: needs Google's types, pip install 'cloudtune[vertex]'"
        yield Note(f"{SETTINGS}.native", text)
    for path, reason in problems:
        yield refuse(f"native.{path}", reason)


def unsupported_fields(value: Any, path: str = "") -> Iterator[Problem]:
    """Yield the fields of a part of a request that tuning jobs do not support."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        entries = list(cast("Mapping[str, Any]", value).items())
    elif isinstance(value, list):
        entries = list(enumerate(cast("list[object]", value)))
    for key, inner in entries:
        inner_path = f"{path}.{key}" if path else str(key)
        if inner is None:
            continue
        if key in UNSUPPORTED:
            yield inner_path, UNSUPPORTED[key]
        elif (key == "acceleratorType" and str(inner).startswith("TPU_")) or (
            key == "machineType" and has_tpus(str(inner))
        ):
            yield inner_path, NO_TPUS
        else:
            yield from unsupported_fields(inner, inner_path)


def output_only_fields(mode: Mode, native: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the fields of a part of a request that only the service sets."""
    job: Any = native.get(JOB_FIELDS[mode])
    for name in sorted(OUTPUT_ONLY & job.keys()) if isinstance(job, Mapping) else ():
        yield f"{JOB_FIELDS[mode]}.{name}", "only Vertex AI sets this"


def has_types() -> bool:
    """Return whether Google's types are installed."""
    try:
        return find_spec(_SDK) is not None
    except ModuleNotFoundError:
        return False


def check_native(mode: Mode, native: Mapping[str, Any]) -> list[Problem]:
    """Return what Google's types do not allow in a part of a request.

    Required fields may be missing, since the part is merged into a complete request. A null removes
    a field.
    """
    problems: list[Problem] = []
    for key, value in native.items():
        if key == JOB_FIELDS[mode]:
            message_type = _job_type(mode)
            problems += _check_message(message_type.pb(message_type()).DESCRIPTOR, value, key)
        elif key != "parent":
            problems.append((key, f"unknown field; this mode has {JOB_FIELDS[mode]}"))
    return problems


def _job_type(mode: Mode) -> Any:
    types: Any = import_google(f"{_SDK}.types")
    return types.HyperparameterTuningJob if mode == "managed" else types.CustomJob


def _check_message(message: Any, value: Any, path: str) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield path, "must be a map"
        return
    fields = {field.json_name: field for field in message.fields}
    for key, inner in cast("Mapping[str, Any]", value).items():
        if key in fields:
            yield from _check_field(message, fields[key], inner, f"{path}.{key}")
            continue
        json_name = next((name for name, field in fields.items() if field.name == key), None)
        suggestion = f"write it as {json_name}" if json_name else did_you_mean(key, fields)
        yield f"{path}.{key}", f"unknown field{f'; {suggestion}' if suggestion else ''}"


def _check_field(message: Any, field: Any, value: Any, path: str) -> Iterator[Problem]:
    inner = field.message_type
    if value is None:
        return
    if inner is None or inner.full_name.startswith(_PROTOBUF) or inner.GetOptions().map_entry:
        yield from _check_value(message, field, value, path)
    elif not field.is_repeated:
        yield from _check_message(inner, value, path)
    elif not isinstance(value, list):
        yield path, "must be a list"
    else:
        for index, each in enumerate(cast("list[object]", value)):
            yield from _check_message(inner, each, f"{path}.{index}")


def _check_value(message: Any, field: Any, value: Any, path: str) -> Iterator[Problem]:
    """Yield whether Google's JSON parser refuses the value of a field.

    It also accepts the number of an enum's value, but other rules need the name.
    """
    names = [each.name for each in field.enum_type.values] if field.enum_type else []
    if names:
        for each in cast("list[object]", value) if isinstance(value, list) else [value]:
            if each not in names:
                suggestion = did_you_mean(str(each), names)
                values = f"Vertex AI accepts {', '.join(names[:12])}"
                yield path, f"unknown value {each!r}: must be a name; {suggestion or values}"
        return
    message_factory: Any = import_module("google.protobuf.message_factory")
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value).items()
        value = {key: each for key, each in entries if each is not None}
    message_type = message_factory.GetMessageClass(message)
    if _parse_error({field.json_name: value}, message_type()):
        yield path, f"invalid value {value!r}"


def _parse_error(data: Mapping[str, Any], message: Any) -> str | None:
    json_format: Any = import_module("google.protobuf.json_format")
    try:
        json_format.ParseDict(data, message)
    except json_format.ParseError as error:
        return str(error)
    return None


def _new_limit_problems(mode: Mode, before: Json, after: Json) -> list[Problem]:
    """Return the documented limits that a request breaks only with ``native`` merged into it."""
    job = JOB_FIELDS[mode]
    known = list(_limit_problems(mode, before[job]))
    problems = [each for each in _limit_problems(mode, after[job]) if each not in known]
    return [(f"{job}.{path}" if path else job, reason) for path, reason in problems]


def _limit_problems(mode: Mode, job: Json) -> Iterator[Problem]:
    # For example two fields of which a job may have only one.
    if error := _parse_error(job, _job_type(mode).pb()()):
        yield "", error
        return
    labels: Mapping[str, str] = job.get("labels", {})
    if len(labels) > MAX_LABELS:
        yield "labels", f"a job has at most {MAX_LABELS} labels, including cloudtune's"
    for key, value in labels.items():
        for reason in label_problems(key, value):
            yield f"labels.{key}", reason
    if mode == "managed":
        yield from _count_problems(job)
        yield from _study_problems(job.get("studySpec", {}))
    spec = "trialJobSpec" if mode == "managed" else "jobSpec"
    for field in ("timeout", "maxWaitDuration"):
        if str(job.get(spec, {}).get("scheduling", {}).get(field, "")).startswith("-"):
            yield f"{spec}.scheduling.{field}", "must not be negative"
    for index, pool in enumerate(job.get(spec, {}).get("workerPoolSpecs", ())):
        for path, reason in _pool_problems(pool):
            yield f"{spec}.workerPoolSpecs.{index}.{path}", reason


def _count_problems(job: Json) -> Iterator[Problem]:
    max_trials = int(job.get("maxTrialCount", 0))
    for field in ("maxTrialCount", "parallelTrialCount"):
        if int(job.get(field, 0)) < 1:
            yield field, "must be at least 1"
    if not 0 <= int(job.get("maxFailedTrialCount", 0)) <= max_trials:
        yield "maxFailedTrialCount", f"must be from 0 to maxTrialCount ({max_trials})"


def _study_problems(study: Json) -> Iterator[Problem]:
    for index, metric in enumerate(study.get("metrics", ())):
        if not re.fullmatch(r"\S+", metric.get("metricId", "")):
            yield f"studySpec.metrics.{index}.metricId", "must be a name without spaces"
    if ALGORITHMS.get(str(study.get("algorithm"))) == "grid" and (
        names := list(_float_ranges(study))
    ):
        yield "studySpec.algorithm", f"a grid must have no float ranges: {', '.join(names)}"


def _float_ranges(spec: Json, children: str = "parameters") -> Iterator[str]:
    """Yield the names of the float ranges among the parameters below a study or a parameter."""
    for child in spec.get(children, ()):
        parameter: Json = child if children == "parameters" else child.get("parameterSpec", {})
        if "doubleValueSpec" in parameter:
            yield str(parameter.get("parameterId", ""))
        yield from _float_ranges(parameter, "conditionalParameterSpecs")


def _pool_problems(pool: Json) -> Iterator[Problem]:
    machine: Json = pool.get("machineSpec", {})
    if ("acceleratorType" in machine) != (int(machine.get("acceleratorCount", 0)) > 0):
        yield "machineSpec", "acceleratorType and acceleratorCount require each other"
    if int(pool.get("replicaCount", 0)) < 0:
        yield "replicaCount", "must not be negative"
    disk: Json = pool.get("diskSpec", {})
    if disk.get("bootDiskType", _DISK_TYPES[0]) not in _DISK_TYPES:
        yield "diskSpec.bootDiskType", f"must be one of {', '.join(_DISK_TYPES)}"
    size = int(disk.get("bootDiskSizeGb", 0))
    if size and size not in DISK_GB:
        yield "diskSpec.bootDiskSizeGb", DISK_REASON
    for kind in ("containerSpec", "pythonPackageSpec"):
        if len(pool.get(kind, {}).get("env", ())) > MAX_VARIABLES:
            yield f"{kind}.env", f"a job has at most {MAX_VARIABLES} variables"
