"""The back end ``jobs``: watsonx.ai Runtime, which runs a job for each start of a trial."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Plan, describe_source
from cloudtune.provider.account import Policy
from cloudtune_watson.backend import STAND_INS, UNCOUNTED, Backend
from cloudtune_watson.jobs.request import deployment_job
from cloudtune_watson.jobs.rights import CALLS
from cloudtune_watson.jobs.rules import asset_problem, deployment_job_rules, version_rules
from cloudtune_watson.policy import describe_calls, editor_policy
from cloudtune_watson.regions import is_ibm_cloud
from cloudtune_watson.settings import WatsonSettings

_CLOUD = (
    "The page Manage of the space, Access control, adds collaborators. Jobs also need task "
    "credentials of the user."
)


def _is_cloud(settings: WatsonSettings, emulated: bool) -> bool:
    """Return whether the jobs run on IBM Cloud; on the emulator unless a cluster is named."""
    if settings.url is None:
        return emulated and settings.version is None
    return is_ibm_cloud(settings.url)


def _outline(plan: Plan) -> Mapping[str, str]:
    facts, data = plan.facts, plan.facts.data
    service = "IBM Cloud" if data["is_cloud"] else "watsonx.ai Runtime"
    return {
        "where": f"space {data['space_id']} of {service} at {data['url']}",
        "machine": f"hardware specification {data['hardware_spec']}",
        "image": f"software specification {data['software_spec']}",
        "uploads": f"{describe_source(facts.lookup.source)}, as one script",
        "creates": f"deployment {facts.job_name} of the script; in it a job for each trial, "
        f"{facts.job_name}-1 and so on, each with a data asset for its results. All are deleted "
        "when the results are on this machine",
    }


def _policy(plan: Plan) -> Policy:
    data = plan.facts.data
    if not data["is_cloud"]:
        return editor_policy(plan, CALLS)
    title = f"role of your user in the space {data['space_id']}: Editor, on IBM Cloud"
    return Policy(title, f"{describe_calls(CALLS)}\n{_CLOUD}")


DEPLOYMENT_JOBS = Backend(
    folder="cloudtune_watson.jobs",
    required=("url", "version", "username", "space_id", "hardware_spec", "software_spec"),
    not_on_ibm_cloud=frozenset({"version", "username"}),
    settings=frozenset(("space_id", "hardware_spec", "software_spec", "tags", "visible_secrets")),
    refused_settings={"project_id": "deployments are in a space, and not in a project"},
    stand_ins={
        **STAND_INS,
        "url": "https://us-south.ml.cloud.ibm.com",
        "hardware_spec": "S",
        "software_spec": "runtime-25.1-py3.12",
    },
    has_ibm_cloud=True,
    is_cloud=_is_cloud,
    has_volume=False,
    uncounted=(*UNCOUNTED, "the time that a job waits in IBM's queue, which may be billed"),
    version_rules=version_rules,
    input_problem=asset_problem,
    rules=deployment_job_rules,
    request=deployment_job,
    outline=_outline,
    policy=_policy,
)
