"""What a run uses and creates on an IBM cluster or IBM Cloud, in words."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, describe_source
from cloudtune_watson.layout import archive_name


def outline(plan: Plan) -> Mapping[str, str]:
    """Return the machine, software, uploads and jobs of a plan, by label."""
    facts, data = plan.facts, plan.facts.data
    source = describe_source(facts.lookup.source)
    if plan.mode == "managed":
        return {
            "where": f"WML Accelerator at {data['url']}",
            "image": f"the framework {data['exec_start']} of the cluster",
            "uploads": f"{source}, with the request as {archive_name(facts)}",
            "creates": f"search {facts.job_name}, which runs the trials",
        }
    if data["backend"] == "jobs":
        service = "IBM Cloud" if data["is_cloud"] else "watsonx.ai Runtime"
        return {
            "where": f"space {data['space_id']} of {service} at {data['url']}",
            "machine": f"hardware specification {data['hardware_spec']}",
            "image": f"software specification {data['software_spec']}",
            "uploads": f"{source}, as one script",
            "creates": f"deployment {facts.job_name} of the script; in it a job for each trial, "
            f"{facts.job_name}-1 and so on, each with a data asset for its results. All are "
            "deleted when the results are on this machine",
        }
    kind = "project" if data["project_id"] else "space"
    return {
        "where": f"{kind} {data['project_id'] or data['space_id']} at {data['url']}",
        "machine": f"hardware specification {data['hardware_spec']}",
        "image": f"software specification {data['software_spec']}",
        "uploads": f"{source}, stored once as a model definition",
        "creates": f"a training for each trial, {facts.job_name}-1 and so on",
    }
