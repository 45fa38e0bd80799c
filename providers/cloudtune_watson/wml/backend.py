"""The back end ``wml``: Watson Machine Learning, with a training for each start of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cloudtune.provider import Check, JobContext, Plan, TrainingJobs, describe_source
from cloudtune.provider.trial_files import TrialFiles
from cloudtune.provider.uploads import Uploads
from cloudtune.results import Trial
from cloudtune_watson.auth import cluster_facts, connect
from cloudtune_watson.backend import Backend
from cloudtune_watson.policy import editor_policy
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.wml.request import training_job
from cloudtune_watson.wml.rights import CALLS
from cloudtune_watson.wml.rules import training_rules, version_rules

if TYPE_CHECKING:
    from cloudtune_watson.wml.client import WmlClient


def _outline(plan: Plan) -> Mapping[str, str]:
    facts, data = plan.facts, plan.facts.data
    kind = "project" if data["project_id"] else "space"
    return {
        "where": f"{kind} {data['project_id'] or data['space_id']} at {data['url']}",
        "machine": f"hardware specification {data['hardware_spec']}",
        "image": f"software specification {data['software_spec']}",
        "uploads": f"{describe_source(facts.lookup.source)}, stored once as a model definition",
        "creates": f"a training for each trial, {facts.job_name}-1 and so on",
    }


def _client(plan: Plan, context: JobContext) -> WmlClient:
    from cloudtune_watson.wml.client import WmlClient

    return WmlClient(connect(plan, context), cluster_facts(plan, context))


def _check_account(plan: Plan, context: JobContext) -> Iterator[Check]:
    from cloudtune_watson.wml.account import check_account

    return check_account(connect(plan, context), plan, cluster_facts(plan, context))


def _read_log(plan: Plan, context: JobContext, trial: Trial) -> Iterator[str] | None:
    from cloudtune_watson.wml.logs import read_training_log

    return None if trial.log is None else read_training_log(_client(plan, context), trial.log)


def _trial_files(plan: Plan, context: JobContext, trial: Trial) -> TrialFiles:
    from cloudtune_watson.wml.trial_files import emulated_files, trial_files

    if plan.facts.emulated and context.emulator is None:
        return emulated_files(context, trial)
    return trial_files(_client(plan, context), trial)


def _training_jobs(plan: Plan, context: JobContext) -> TrainingJobs:
    from cloudtune_watson.uploads import copy_inputs
    from cloudtune_watson.wml.training_client import WatsonJobs
    from cloudtune_watson.wml.uploads import ensure_definition

    wml = _client(plan, context)

    def define() -> str:
        copy_inputs(plan, context)
        return ensure_definition(wml, plan, context)

    return WatsonJobs(wml, plan, context, define)


def _uploads(plan: Plan, context: JobContext) -> Uploads:
    from cloudtune_watson.wml.uploads import find_uploads

    return find_uploads(_client(plan, context), plan)


TRAININGS = Backend(
    required=("url", "version", "username", "space_id", "hardware_spec", "software_spec"),
    settings=frozenset(
        ("space_id", "project_id", "hardware_spec", "software_spec", "nodes", "prefix", "tags")
    ),
    secrets_problem="IBM documents no variables for a training",
    version_rules=version_rules,
    input_problem=volume_problem,
    rules=training_rules,
    request=training_job,
    outline=_outline,
    policy=lambda plan: editor_policy(plan, CALLS),
    check_account=_check_account,
    read_log=_read_log,
    trial_files=_trial_files,
    training_jobs=_training_jobs,
    uploads=_uploads,
)
