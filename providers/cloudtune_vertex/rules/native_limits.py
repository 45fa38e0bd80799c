"""Holds a job with ``native`` over it to what its fields are documented to take; see `rules`.

Only what `native_check` takes comes here: fields have their names and types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import get_args

from cloudtune.provider import Json, Mode
from cloudtune_vertex.rules.native import FIELDS, unread
from cloudtune_vertex.rules.settings import MOST_LABELS, label_problems
from cloudtune_vertex.rules.trial import MOST_VARIABLES
from cloudtune_vertex.settings import VertexSettings

_DISKS = get_args(get_args(VertexSettings.model_fields["disk_type"].annotation)[0])


def broken(mode: Mode, made: Json, merged: Json) -> list[tuple[str, str]]:
    """Return where ``native`` takes a request beyond a documented limit, and which.

    Args:
        mode: What kind of request it is.
        made: As it was made from the study.
        merged: With ``native`` over it.
    """
    key = FIELDS[mode]
    before = list(_beyond(mode, made[key]))
    found = [each for each in _beyond(mode, merged[key]) if each not in before]
    return [(f"{key}.{path}" if path else key, reason) for path, reason in found]


def _beyond(mode: Mode, job: Json) -> Iterator[tuple[str, str]]:
    if reason := unread(mode, job):
        yield "", reason
        return
    labels: Mapping[str, str] = job.get("labels", {})
    if len(labels) > MOST_LABELS:
        yield "labels", f"a job has at most {MOST_LABELS} labels, cloudtune's among them"
    for key, value in labels.items():
        for reason in label_problems(key, value):
            yield f"labels.{key}", reason
    if mode == "managed":
        yield from _counts(job)
        yield from _study(job.get("studySpec", {}))
    spec = "trialJobSpec" if mode == "managed" else "jobSpec"
    for field in ("timeout", "maxWaitDuration"):
        if str(job.get(spec, {}).get("scheduling", {}).get(field, "")).startswith("-"):
            yield f"{spec}.scheduling.{field}", "a length of time is not negative"
    for place, pool in enumerate(job.get(spec, {}).get("workerPoolSpecs", ())):
        for where, reason in _pool(pool):
            yield f"{spec}.workerPoolSpecs.{place}.{where}", reason


def _counts(job: Json) -> Iterator[tuple[str, str]]:
    most = int(job.get("maxTrialCount", 0))
    for field in ("maxTrialCount", "parallelTrialCount"):
        if int(job.get(field, 0)) < 1:
            yield field, "at least 1"
    if not 0 <= int(job.get("maxFailedTrialCount", 0)) <= most:
        yield "maxFailedTrialCount", f"from 0 to maxTrialCount, which is {most}"


def _study(study: Json) -> Iterator[tuple[str, str]]:
    for place, metric in enumerate(study.get("metrics", ())):
        if not re.fullmatch(r"\S+", metric.get("metricId", "")):
            yield f"studySpec.metrics.{place}.metricId", "a metric has a name, without spaces"
    if study.get("algorithm") == "GRID_SEARCH" and (names := list(_floats(study))):
        reason = f"a grid takes no ranges of floats, as that of {', '.join(names)}"
        yield "studySpec.algorithm", reason


def _floats(spec: Json, children: str = "parameters") -> Iterator[str]:
    """Yield the names of the parameters below something that are ranges of floats."""
    for each in spec.get(children, ()):
        parameter: Json = each if children == "parameters" else each.get("parameterSpec", {})
        if "doubleValueSpec" in parameter:
            yield str(parameter.get("parameterId", ""))
        yield from _floats(parameter, "conditionalParameterSpecs")


def _pool(pool: Json) -> Iterator[tuple[str, str]]:
    machine: Json = pool.get("machineSpec", {})
    if ("acceleratorType" in machine) != (int(machine.get("acceleratorCount", 0)) > 0):
        yield "machineSpec", "acceleratorType and acceleratorCount go together"
    if int(pool.get("replicaCount", 0)) < 0:
        yield "replicaCount", "a number of machines is not negative"
    disk: Json = pool.get("diskSpec", {})
    if disk.get("bootDiskType", _DISKS[0]) not in _DISKS:
        yield "diskSpec.bootDiskType", f"one of {', '.join(_DISKS)}"
    if int(disk.get("bootDiskSizeGb", 0)) < 0:
        yield "diskSpec.bootDiskSizeGb", "a size is not negative"
    for kind in ("containerSpec", "pythonPackageSpec"):
        if len(pool.get(kind, {}).get("env", ())) > MOST_VARIABLES:
            yield f"{kind}.env", f"at most {MOST_VARIABLES} variables"
