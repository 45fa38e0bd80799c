"""The back end ``wmla``: WML Accelerator, whose search chooses and runs the trials."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider import Facts, Plan, describe_source
from cloudtune.provider.account import Policy
from cloudtune_watson.backend import Backend
from cloudtune_watson.layout import archive_name
from cloudtune_watson.policy import describe_calls
from cloudtune_watson.rules.clusters import volume_problem
from cloudtune_watson.settings import SETTINGS
from cloudtune_watson.wmla.request import tuning_job
from cloudtune_watson.wmla.rights import CALLS
from cloudtune_watson.wmla.rules import tuning_rules, version_rules

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


SEARCHES = Backend(
    folder="cloudtune_watson.wmla",
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
)
