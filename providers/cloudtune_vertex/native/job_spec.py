"""Reads the CustomJobSpec of a tuning job: machines, code and where outputs go."""

from __future__ import annotations

import re
from typing import Any

from cloudtune.formats import Fields, compact, parse_number
from cloudtune.provider import Json, format_duration, is_list, is_map, is_variable_name
from cloudtune_vertex.settings import NAME

_BUCKET = re.compile(r"gs://([^/]+)(?:/(.*))?", re.DOTALL)
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_DISKS = frozenset(["pd-ssd", "pd-standard", "hyperdisk-balanced"])
_ELSEWHERE = "to run it elsewhere, name it with trial.source and trial.script"


def read_seconds(fields: Fields, key: str) -> float | None:
    """Take a duration in the JSON of protobuf, such as ``3600s``."""
    value: Any = fields.take(key)
    if is_map(value):
        value = f"{value.get('seconds', 0)}s"
    if value is None:
        return None
    seconds = parse_number(str(value).removesuffix("s"))
    if seconds is None or seconds < 0:
        fields.mistake(key, f"must be a duration such as 3600s, not {value!r}")
        return None
    return float(seconds) or None


def read_job_spec(job: Fields, data: Json, trial: Json, settings: Json) -> None:
    """Add what the job of a trial says to a study, and to the settings of the provider."""
    if job.peek("trialJobSpec") is None:
        job.warn("trialJobSpec", "absent: nothing says what a trial runs")
        return
    spec = job.map("trialJobSpec")
    pools = spec.peek("workerPoolSpecs")
    if is_map(pools):
        spec.mistake(
            "workerPoolSpecs", "is one pool, and must be a list of pools", "put - before it"
        )
        return
    for first in spec.maps("workerPoolSpecs")[:1]:
        _pool(first, trial, settings)
    _scheduling(spec.map("scheduling"), data, settings)
    settings |= compact(
        service_account=spec.text("serviceAccount"),
        network=spec.text("network"),
        web_access=spec.flag("enableWebAccess") or None,
    )
    output = spec.map("baseOutputDirectory")
    match = _BUCKET.fullmatch(str(output.peek("outputUriPrefix") or ""))
    if match:
        output.take("outputUriPrefix")
        settings["bucket"] = match[1]
        settings["prefix"] = "/" if match[2] == "" else match[2] or ""


def _pool(pool: Fields, trial: Json, settings: Json) -> None:
    machine = pool.map("machineSpec")
    settings |= compact(
        machine_type=machine.text("machineType"), accelerator_type=machine.text("acceleratorType")
    )
    if settings.get("accelerator_type") and machine.peek("acceleratorCount"):
        settings["accelerator_count"] = machine.integer("acceleratorCount")
    if parse_number(pool.peek("replicaCount") or 1) in {0, 1}:
        pool.take("replicaCount")
    disk = pool.map("diskSpec")
    if str(disk.peek("bootDiskType")) in _DISKS:
        settings["disk_type"] = disk.take("bootDiskType")
    if size := disk.integer("bootDiskSizeGb"):
        settings["disk_gb"] = size
    container, package = pool.peek("containerSpec"), pool.peek("pythonPackageSpec")
    if container and package:
        hint = "keep one of them"
        pool.mistake("pythonPackageSpec", "containerSpec and pythonPackageSpec are both set", hint)
    elif container:
        _container(pool.map("containerSpec"), trial, settings)
    elif package:
        _package(pool.map("pythonPackageSpec"), trial, settings)


def _container(fields: Fields, trial: Json, settings: Json) -> None:
    image = fields.text("imageUri")
    settings |= compact(image=image)
    fields.warn("imageUri", f"the code is in the image {image}; {_ELSEWHERE}")
    _call(fields, trial)


def _package(fields: Fields, trial: Json, settings: Json) -> None:
    settings |= compact(image=fields.text("executorImageUri"))
    uris: Any = fields.peek("packageUris") or []
    module = fields.peek("pythonModule")
    if not is_list(uris):
        fields.mistake("packageUris", "must be a list of strings", "put - before it")
    elif uris and isinstance(module, str) and _MODULE.fullmatch(module):
        trial["source"] = {NAME: str(uris[0])}
        trial["module"] = fields.take("pythonModule")
        if len(uris) == 1:
            fields.take("packageUris")
        text = "to run it elsewhere, add another source to trial.source"
        fields.warn("packageUris", f"the code is at {uris[0]}; {text}")
    else:
        fields.mistake("packageUris", "a Python package needs packageUris and pythonModule")
    _call(fields, trial)


def _call(fields: Fields, trial: Json) -> None:
    """Read fixed arguments and variables; what a study would replace in them stays."""
    args = fields.peek("args")
    if is_list(args) and not any("{{" in str(word) for word in args):
        trial |= compact(args=[str(word) for word in fields.items("args")])
    env: Json = {}
    for each in fields.maps("env", "name"):
        name, value = each.peek("name"), each.peek("value")
        if value is None and "value" in each.original:  # a secret, which was dropped
            continue
        plain = str(value if value is not None else "").replace("$$(", "")
        if isinstance(name, str) and is_variable_name(name) and "$(" not in plain:
            each.take("name")
            env[name] = str(each.take("value") or "").replace("$$(", "$(")
    trial |= compact(env=env)


def _scheduling(fields: Fields, data: Json, settings: Json) -> None:
    if timeout := read_seconds(fields, "timeout"):
        data["limits"]["trial_timeout"] = format_duration(timeout)
    settings |= compact(restart=fields.flag("restartJobOnWorkerRestart") or None)
    strategy = str(fields.peek("strategy"))
    if strategy in {"SPOT", "FLEX_START"}:
        fields.take("strategy")
        settings["spot" if strategy == "SPOT" else "flex_start"] = True
        if strategy == "FLEX_START" and (wait := read_seconds(fields, "maxWaitDuration")):
            settings["max_wait"] = format_duration(wait)
