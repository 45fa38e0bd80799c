"""Checks ``native``: against what tuning jobs support and, where installed, Google's types.

A wrong name is so found before the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from cloudtune.provider import Mode, did_you_mean

OUTPUT_ONLY = frozenset(
    {"name", "trials", "state", "createTime", "startTime", "endTime", "updateTime", "error"}
    | {"satisfiesPzs", "satisfiesPzi", "webAccessUris"}
)
"""Fields of a job that only the service sets, in TYPES."""
FIELDS = {"managed": "hyperparameterTuningJob", "driven": "customJob"}
"""What a request holds beside its parent, which ``native`` may not name."""
_SDK = "google.cloud.aiplatform_v1"
_OF_PROTOBUF = "google.protobuf."
"""Types with a spelling of their own in JSON: durations, times, numbers that may be absent."""


UNSUPPORTED = {
    "defaultValue": "a tuning job does not support a value to start from",
    "observationNoise": "a tuning job does not support this, only Vizier's studies do",
    "tpuTopology": "a tuning job does not support TPUs",
}
"""Fields that Google's types accept and tuning jobs do not support: in TYPES and TUNING."""
_TPU_MACHINE = re.compile(r"cloud-tpu|(ct|tpu)[0-9][a-z0-9]*-.+")


def has_tpus(machine_type: str) -> bool:
    """Tell whether a machine's type names one with TPUs: as ct5lp-hightpu-4t, tpu7x-standard-4t.

    Read 2026-11: https://docs.cloud.google.com/vertex-ai/docs/training/configure-compute and
    .../predictions/use-tpu, https://docs.cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus.
    """
    return _TPU_MACHINE.fullmatch(machine_type) is not None


def unsupported(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a part of a tuning job says that its types accept and the service does not."""
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        entries = list(cast("Mapping[str, Any]", value).items())
    elif isinstance(value, list):
        entries = list(enumerate(cast("list[object]", value)))
    for key, inner in entries:
        place = f"{path}.{key}" if path else str(key)
        if inner is None:
            continue
        if key in UNSUPPORTED:
            yield place, UNSUPPORTED[key]
        elif (key == "acceleratorType" and str(inner).startswith("TPU_")) or (
            key == "machineType" and has_tpus(str(inner))
        ):
            yield place, UNSUPPORTED["tpuTopology"]
        else:
            yield from unsupported(inner, place)


def set_by_service(mode: Mode, native: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a part of a request says that is not for a caller to say."""
    job: Any = native.get(FIELDS[mode])
    for name in sorted(OUTPUT_ONLY & job.keys()) if isinstance(job, Mapping) else ():
        yield f"{FIELDS[mode]}.{name}", "only Vertex AI sets this"


def known() -> bool:
    """Tell whether Google's types are installed."""
    try:
        return find_spec(_SDK) is not None
    except ModuleNotFoundError:
        return False


def problems(mode: Mode, native: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a part of a request says that the service does not know: where, and why.

    What a request needs may be missing, since this is put over one; null removes a field.
    """
    types: Any = import_module(f"{_SDK}.types")
    job = types.HyperparameterTuningJob if mode == "managed" else types.CustomJob
    found: list[tuple[str, str]] = []
    for key, value in native.items():
        if key == FIELDS[mode]:
            found += _wrong(job.pb(job()).DESCRIPTOR, value, key)
        elif key != "parent":
            found.append((key, f"the request of this mode has {FIELDS[mode]} here"))
    return found


def unread(mode: Mode, job: Mapping[str, Any]) -> str | None:
    """Return why Google's own reader does not take a job with ``native`` over it, if it does not.

    Of two fields of which a job has one, it does not take both.
    """
    types: Any = import_module(f"{_SDK}.types")
    json_format: Any = import_module("google.protobuf.json_format")
    kind = types.HyperparameterTuningJob if mode == "managed" else types.CustomJob
    try:
        json_format.ParseDict(job, kind.pb()())
    except json_format.ParseError as error:
        return str(error)
    return None


def _wrong(message: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with what stands for a message."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield path, "this must be a map"
        return
    fields = {field.json_name: field for field in message.fields}
    for key, inner in cast("Mapping[str, Any]", value).items():
        place = f"{path}.{key}"
        if key in fields:
            yield from _wrong_field(message, fields[key], inner, place)
        else:
            other = next((name for name, field in fields.items() if field.name == key), None)
            near = f"write it as {other}" if other else did_you_mean(key, fields)
            yield place, f"Vertex AI has no such field here{f'; {near}' if near else ''}"


def _wrong_field(message: Any, field: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    inner = field.message_type
    if value is None:
        return
    if inner is None or inner.full_name.startswith(_OF_PROTOBUF) or inner.GetOptions().map_entry:
        yield from _wrong_value(message, field, value, path)
    elif not field.is_repeated:
        yield from _wrong(inner, value, path)
    elif not isinstance(value, list):
        yield path, "this must be a list"
    else:
        for number, each in enumerate(cast("list[object]", value)):
            yield from _wrong(inner, each, f"{path}.{number}")


def _wrong_value(message: Any, field: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield whether Google's own reader of JSON refuses the value of a field.

    It takes the number of an enum's value, too. The name is demanded, since rules go by that.
    """
    names = [each.name for each in field.enum_type.values] if field.enum_type else []
    if names:
        for each in cast("list[object]", value) if isinstance(value, list) else [value]:
            if each not in names:
                near = did_you_mean(str(each), names) or f"it knows {', '.join(names[:12])}"
                yield path, f"Vertex AI does not take {each!r} here: give a name; {near}"
        return
    json_format: Any = import_module("google.protobuf.json_format")
    message_factory: Any = import_module("google.protobuf.message_factory")
    if isinstance(value, Mapping):
        entries = cast("Mapping[str, Any]", value).items()
        value = {key: each for key, each in entries if each is not None}
    try:
        json_format.ParseDict({field.json_name: value}, message_factory.GetMessageClass(message)())
    except json_format.ParseError:
        yield path, f"Vertex AI does not take {value!r} here"
