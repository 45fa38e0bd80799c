"""The role that a run needs on a cluster, with the calls that need it, as text and commands.

A cluster of Cloud Pak for Data or Software Hub is not administered by ``ibmcloud`` but by
``cpd-cli``; the command is that of "space member create" in IBM's reference of 4.6 and 5.4 (read
2026-11-27). The form of its list of members was not verified.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from cloudtune.provider import Plan
from cloudtune.provider.account import Policy
from cloudtune_watson.rights import Call


def describe_calls(calls: Sequence[Call]) -> str:
    """Return one line for each call."""
    return "\n".join(f"{each.role}: {each.operation} ({each.purpose})" for each in calls)


def editor_policy(plan: Plan, calls: Sequence[Call]) -> Policy:
    """Return the role of an editor in the space or project of a cluster."""
    data = plan.facts.data
    kind = "project" if data["project_id"] else "space"
    title = f"role of {data['username']} in the {kind} {data[f'{kind}_id']}: Editor"
    return Policy(title, describe_calls(calls), [member_command(plan)])


def member_command(plan: Plan) -> str:
    """Return the command that makes the user an editor of the space or project."""
    data = plan.facts.data
    members = json.dumps([{"id": "USER_ID", "role": "editor", "type": "user"}])
    if data["project_id"]:
        where = f"project member create --project-id={shlex.quote(data['project_id'])}"
    else:
        where = f"space member create --space-id={shlex.quote(data['space_id'])}"
    return f"cpd-cli {where} --members={shlex.quote(members)} --profile=PROFILE"
