"""What a run uses and creates at Vertex AI, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Json, Plan, describe_source
from cloudtune_vertex.request.layout import code_uri


def outline(plan: Plan) -> Mapping[str, str]:
    """Return the machine, image, uploads and jobs of a plan, by label."""
    data = plan.facts.data
    spec = _job_spec(plan.request)
    pools: list[Json] = spec.get("workerPoolSpecs") or [{}]
    rows = {
        "where": f"project {data['project']}, {data['location']}",
        "machine": "; ".join(map(_machines, pools)),
        "image": _image(pools[0]),
    }
    if uri := code_uri(plan.facts, plan.study):
        rows["uploads"] = f"{describe_source(plan.facts.lookup.source)}, to {uri}"
    if plan.mode == "managed":
        jobs = f"tuning job {plan.facts.job_name}, which runs the trials"
    else:
        jobs = f"a custom job for each trial, {plan.facts.job_name}-1 and so on"
    return {**rows, "creates": jobs}


def _job_spec(request: Json) -> Json:
    tuning: Json = request.get("hyperparameterTuningJob") or {}
    custom: Json = request.get("customJob") or {}
    spec: Json = tuning.get("trialJobSpec") or custom.get("jobSpec") or {}
    return spec


def _machines(pool: Json) -> str:
    machine: Json = pool.get("machineSpec") or {}
    text = f"{pool.get('replicaCount', 1)} x {machine.get('machineType', 'unknown')}"
    if kind := machine.get("acceleratorType"):
        text += f" with {machine.get('acceleratorCount', 1)} x {kind}"
    return text


def _image(pool: Json) -> str:
    package: Json = pool.get("pythonPackageSpec") or {}
    container: Json = pool.get("containerSpec") or {}
    return str(package.get("executorImageUri") or container.get("imageUri") or "")
