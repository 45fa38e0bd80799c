"""What a run uses and creates at SageMaker, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Json, Plan, describe_source
from cloudtune.provider.lookup import uses_launcher
from cloudtune_sagemaker.request.layout import archive_uri


def outline(plan: Plan) -> Mapping[str, str]:
    """Return the machine, image, uploads and jobs of a plan, by label."""
    data = plan.facts.data
    definition = _definition(plan.request)
    algorithm: Json = definition.get("AlgorithmSpecification") or {}
    rows = {
        "where": f"{data['region']}, with the role {definition.get('RoleArn', data['role_arn'])}",
        "machine": _machines(definition, data["instance_types"]),
        "image": algorithm.get("TrainingImage") or algorithm.get("AlgorithmName") or "",
    }
    if uses_launcher(plan.study, plan.facts):
        address = archive_uri(plan.fitted, plan.facts)
        rows["uploads"] = f"{describe_source(plan.facts.lookup.source)}, to {address}"
    if plan.mode == "managed":
        jobs = f"tuning job {plan.facts.job_name}, which creates a training job for each trial"
    else:
        jobs = f"a training job for each trial, {plan.facts.job_name}-1 and so on"
    default = f"sagemaker-{data['region']}-{data['account']}"
    bucket = f"; the bucket {default} if it does not exist" if data["bucket"] == default else ""
    return {**rows, "creates": jobs + bucket}


def _definition(request: Json) -> Json:
    """Return the fields of the training jobs in a request."""
    many: list[Json] = request.get("TrainingJobDefinitions") or []
    return request.get("TrainingJobDefinition") or next(iter(many), request)


def _machines(definition: Json, types: list[str]) -> str:
    tuned: Json = definition.get("HyperParameterTuningResourceConfig") or {}
    resources: Json = definition.get("ResourceConfig") or tuned
    count, disk = resources.get("InstanceCount", 1), resources.get("VolumeSizeInGB")
    spot = ", spot" if definition.get("EnableManagedSpotTraining") else ""
    choices: list[Json] = resources.get("InstancePreferences") or tuned.get("InstanceConfigs") or []
    text = f"{count} x {resources.get('InstanceType') or ' or '.join(types)}"
    if groups := resources.get("InstanceGroups"):
        text = " and ".join(_count(each, count) for each in groups)
    elif len({each.get("InstanceCount", count) for each in choices}) > 1:
        text = " or ".join(_count(each, count) for each in choices)
    elif choices:
        names = " or ".join(each["InstanceType"] for each in choices)
        text = f"{choices[0].get('InstanceCount', count)} x {names}"
    return text + (f", {disk} GB disk" if disk else "") + spot


def _count(config: Json, default: int) -> str:
    return f"{config.get('InstanceCount', default)} x {config['InstanceType']}"
