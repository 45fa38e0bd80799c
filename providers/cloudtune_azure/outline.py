"""What a run uses and creates at Azure, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Json, Plan, describe_source
from cloudtune_azure.settings import AzureSettings


def outline(plan: Plan) -> Mapping[str, str]:
    """Return the workspace, machine, image, uploads and jobs of a plan, by label."""
    facts, settings = plan.facts, plan.settings
    assert isinstance(settings, AzureSettings)
    data = facts.data
    properties: Json = plan.request.get("properties") or {}
    tier: Json = properties.get("queueSettings") or {}
    machine = f"the cluster {settings.compute}" if settings.compute else "serverless compute"
    if settings.instance_type:
        machine += f", {settings.instance_type}"
    if tier.get("jobTier") == "Spot":
        machine += ", spot"
    creates = f"a command job for each trial, {facts.job_name}-1 and so on"
    if plan.mode == "managed":
        creates = f"the sweep {facts.job_name}, with a job for each trial"
    return {
        "where": f"workspace {data['workspace']} in {data['resource_group']}",
        "machine": machine,
        "image": settings.image or str(data["environment"]),
        "uploads": f"{describe_source(facts.lookup.source)}, to a container that Azure chooses",
        "storage": f"{settings.datastore}/cloudtune/jobs/{facts.job_name}",
        "creates": creates,
    }
