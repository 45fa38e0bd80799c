"""The back end ``wmla``: WML Accelerator, whose search chooses and runs the trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cloudtune.provider import (
    Check,
    Facts,
    JobClient,
    JobContext,
    JobDescription,
    Plan,
    describe_source,
)
from cloudtune.provider.account import Policy
from cloudtune.provider.trial_files import CHECKPOINT, OUTPUT, TrialFiles, local_files
from cloudtune.results import Trial
from cloudtune_watson.auth import cluster_facts, connect
from cloudtune_watson.backend import Backend
from cloudtune_watson.layout import archive_name
from cloudtune_watson.policy import describe_calls
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.settings import SETTINGS
from cloudtune_watson.wmla.request import tuning_job
from cloudtune_watson.wmla.rights import CALLS
from cloudtune_watson.wmla.rules import tuning_rules, version_rules

if TYPE_CHECKING:
    from cloudtune_watson.wmla.client import WmlaClient

_ON_CLUSTER = (
    "outputs and checkpoints: they are in the folder of the search on the volume of WML "
    "Accelerator, and IBM documents no call that reads it"
)
_PLAN = "depends on WML Accelerator's resource plan"


def _input_problem(name: str, address: str, facts: Facts) -> str:
    if problem := volume_problem(name, address, facts):
        return problem
    if "," in address or not address.isprintable():
        return "WML Accelerator accepts no comma or control character in the name of a folder"
    return ""


def _outline(plan: Plan) -> Mapping[str, str]:
    facts, data = plan.facts, plan.facts.data
    source = describe_source(facts.lookup.source)
    return {
        "where": f"WML Accelerator at {data['url']}",
        "image": f"the framework {data['exec_start']} of the cluster",
        "uploads": f"{source}, with the request as {archive_name(facts)}",
        "creates": f"search {facts.job_name}, which runs the trials",
    }


def _policy(plan: Plan) -> Policy:
    user = plan.facts.data["username"]
    title = f"role of {user}: a user of WML Accelerator who may submit and stop searches"
    return Policy(title, describe_calls(CALLS))


def _client(plan: Plan, context: JobContext) -> WmlaClient:
    from cloudtune_watson.wmla.client import WmlaClient

    return WmlaClient(connect(plan, context), cluster_facts(plan, context))


def _check_account(plan: Plan, context: JobContext) -> Iterator[Check]:
    from cloudtune_watson.wmla.account import check_account

    return check_account(connect(plan, context), plan, cluster_facts(plan, context))


def _read_log(plan: Plan, context: JobContext, trial: Trial) -> Iterator[str]:
    return iter(_client(plan, context).log(trial.id).splitlines())


def _trial_files(plan: Plan, context: JobContext, trial: Trial) -> TrialFiles:
    results = context.emulator_folder / "volume" / "batchworkdir" / trial.id
    if not plan.facts.emulated:
        return local_files({}, _ON_CLUSTER)
    return local_files({OUTPUT: results / "model", CHECKPOINT: results / "checkpoint"})


def _tuning_client(plan: Plan, context: JobContext) -> JobClient:
    from cloudtune_watson.wmla.tuning_client import TuningClient

    return TuningClient(_client(plan, context), plan, context)


def _describe_job(job: str, plan: Plan, context: JobContext) -> JobDescription:
    from cloudtune_watson.wmla.job_description import describe_job

    return describe_job(_client(plan, context), job)


SEARCHES = Backend(
    required=("url", "version", "username", "exec_start"),
    only_standalone=frozenset({"instance_group"}),
    settings=frozenset(("sign_in_url", "exec_start", "worker_devices", "instance_group")),
    timeout_unit=60,
    is_billed_in_units=False,
    secrets_problem="a search stores its variables in plain text",
    resources={"cpus": _PLAN, "gpus": f"set {SETTINGS}.worker_devices instead", "memory": _PLAN},
    version_rules=version_rules,
    input_problem=_input_problem,
    rules=tuning_rules,
    request=tuning_job,
    outline=_outline,
    policy=_policy,
    check_account=_check_account,
    read_log=_read_log,
    trial_files=_trial_files,
    client=_tuning_client,
    describe_job=_describe_job,
)
