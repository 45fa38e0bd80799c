"""The role that a run needs on a cluster, with the calls that need it, as text and commands.

A cluster of Cloud Pak for Data or Software Hub is not administered by ``ibmcloud`` but by
``cpd-cli``; the command is that of "space member create" in IBM's reference of 4.6 and 5.4 (read
2026-11-27). The form of its list of members was not verified.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from cloudtune.provider import Plan, Policy
from cloudtune_watson.rights import calls_of

_CLOUD = (
    "The page Manage of the space, Access control, adds collaborators. Jobs also need task "
    "credentials of the user."
)


def policies(plan: Plan) -> Iterator[Policy]:
    """Yield the role that the user of a run needs."""
    data = plan.facts.data
    for backend in [data["backend"]] if data["backend"] else ["jobs", "wml", "wmla"]:
        yield _policy(plan, backend)


def _policy(plan: Plan, backend: str) -> Policy:
    data = plan.facts.data
    user: str = data["username"]
    calls = calls_of(backend)
    table = "\n".join(f"{each.role}: {each.operation} ({each.purpose})" for each in calls)
    if backend == "jobs" and data["is_cloud"]:
        title = f"role of your user in the space {data['space_id']}: Editor, on IBM Cloud"
        return Policy(title, f"{table}\n{_CLOUD}")
    if backend in {"wml", "jobs"}:
        kind = "project" if data["project_id"] else "space"
        title = f"role of {user} in the {kind} {data[f'{kind}_id']}: Editor"
        return Policy(title, table, [member_command(plan)])
    title = f"role of {user}: a user of WML Accelerator who may submit and stop searches"
    return Policy(title, table)


def member_command(plan: Plan) -> str:
    """Return the command that makes the user an editor of the space or project."""
    data = plan.facts.data
    members = json.dumps([{"id": "USER_ID", "role": "editor", "type": "user"}])
    if data["project_id"]:
        where = f"project member create --project-id={shlex.quote(data['project_id'])}"
    else:
        where = f"space member create --space-id={shlex.quote(data['space_id'])}"
    return f"cpd-cli {where} --members={shlex.quote(members)} --profile=PROFILE"
