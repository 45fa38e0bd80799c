"""The back end ``jobs``: watsonx.ai Runtime, which runs a job for each start of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from cloudtune.provider import Check, JobContext, Plan, TrainingJobs, describe_source
from cloudtune.provider.account import Policy
from cloudtune.provider.trial_files import TrialFiles
from cloudtune.provider.uploads import Uploads
from cloudtune.results import Trial
from cloudtune_watson.auth import cluster_facts, connect
from cloudtune_watson.backend import STAND_INS, UNCOUNTED, Backend
from cloudtune_watson.jobs.request import deployment_job
from cloudtune_watson.jobs.rights import CALLS
from cloudtune_watson.jobs.rules import asset_problem, deployment_job_rules, version_rules
from cloudtune_watson.policy import describe_calls, editor_policy
from cloudtune_watson.regions import is_ibm_cloud
from cloudtune_watson.settings import WatsonSettings

if TYPE_CHECKING:
    from cloudtune_watson.jobs.client import RuntimeClient

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


def _client(plan: Plan, context: JobContext) -> RuntimeClient:
    from cloudtune_watson.jobs.client import RuntimeClient

    return RuntimeClient(connect(plan, context), cluster_facts(plan, context))


def _check_account(plan: Plan, context: JobContext) -> Iterator[Check]:
    from cloudtune_watson.jobs.account import check_account

    return check_account(_client(plan, context), plan)


def _read_log(plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
    from cloudtune_watson.jobs.logs import read_job_log

    return read_job_log(_client(plan, context), plan.facts.job_name, trial.id)


def _trial_files(_plan: Plan, context: JobContext, trial: Trial) -> TrialFiles:
    from cloudtune_watson.jobs.results import trial_files
    from cloudtune_watson.jobs.training_client import FOLDER

    return trial_files(context.folder / FOLDER / trial.id)


def _training_jobs(plan: Plan, context: JobContext) -> TrainingJobs:
    from cloudtune_watson.jobs.training_client import DeploymentJobs
    from cloudtune_watson.jobs.uploads import ensure_deployment

    runtime = _client(plan, context)
    deploy = partial(ensure_deployment, runtime, plan, context)
    return DeploymentJobs(runtime, plan, context, deploy)


def _uploads(plan: Plan, context: JobContext) -> Uploads:
    from cloudtune_watson.jobs.uploads import find_uploads

    return find_uploads(_client(plan, context), plan)


DEPLOYMENT_JOBS = Backend(
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
    check_account=_check_account,
    read_log=_read_log,
    trial_files=_trial_files,
    training_jobs=_training_jobs,
    uploads=_uploads,
)
