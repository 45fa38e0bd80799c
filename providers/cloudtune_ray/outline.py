"""What a run uses and creates on a Ray cluster, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, describe_source, format_bytes
from cloudtune_ray.settings import RaySettings


def outline(plan: Plan) -> Mapping[str, str]:
    """Return the cluster, resources, uploads and jobs of a plan, by label."""
    facts, settings = plan.facts, plan.settings
    assert isinstance(settings, RaySettings)
    request = plan.request
    resources = [_amount(request.get("entrypoint_num_cpus", 0), "CPU")]
    if gpus := request.get("entrypoint_num_gpus"):
        resources.append(_amount(gpus, "GPU"))
    if memory := request.get("entrypoint_memory"):
        resources.append(format_bytes(memory))
    resources += [f"{n:g} {name}" for name, n in request.get("entrypoint_resources", {}).items()]
    labels = request.get("entrypoint_label_selector", {})
    resources += [f"{name}={value}" for name, value in labels.items()]
    words = {
        "where": f"Ray cluster at {facts.data['address']}",
        "machine": f"a node with {', '.join(resources)} free for each trial",
        "uploads": f"{describe_source(facts.lookup.source)}, as a package of Ray",
        "creates": f"a job for each trial, {facts.job_name}-1 and so on",
    }
    if settings.storage:
        words["storage"] = f"{settings.storage}/{facts.run_id} on all nodes"
    return words


def _amount(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"
