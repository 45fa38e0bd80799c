"""The smallest roles for the caller and for the jobs, as text and commands.

The form of a role is that of learn.microsoft.com/azure/role-based-access-control/custom-roles-cli
(read 2026-11-30).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence

from cloudtune.provider import Json, Plan
from cloudtune.provider.account import Policy
from cloudtune_azure.rights import DOCTOR, TRIALS, caller_rights
from cloudtune_azure.settings import AzureSettings, workspace_id

_YOU = "YOU@EXAMPLE.COM"
_STORAGE = "STORAGE-ACCOUNT-ID"


def policies(plan: Plan) -> Iterator[Policy]:
    """Yield the roles that a run needs, and the one that only the doctor needs."""
    settings = plan.settings
    assert isinstance(settings, AzureSettings)
    data = plan.facts.data
    workspace = workspace_id(data)
    group = workspace.partition("/providers/")[0]
    actions = [right.action for right in caller_rights(plan, "workspace")]
    yield _policy(
        f"rights of the caller on the workspace {data['workspace']}, for {plan.mode} runs",
        _role("cloudtune caller", group, actions),
        _YOU,
        workspace,
    )
    blobs = [right.action for right in caller_rights(plan, "storage")]
    yield _policy(
        f"rights of the caller on the storage account of {settings.datastore}, for local inputs, "
        "cloudtune fetch and clean --remote",
        _role("cloudtune storage", group, blobs=blobs),
        _YOU,
        _STORAGE,
    )
    if settings.identity:
        yield _policy(
            f"rights of the identity of the jobs on the storage account of {settings.datastore}",
            _role("cloudtune trials", group, blobs=TRIALS),
            _YOU if settings.identity == "user" else "IDENTITY-OF-THE-COMPUTE",
            _STORAGE,
        )
    yield _policy(
        "rights of the caller for cloudtune doctor, all read-only; optional",
        _role("cloudtune doctor", group, DOCTOR),
        _YOU,
        workspace,
    )


def _role(name: str, group: str, actions: Sequence[str] = (), blobs: Sequence[str] = ()) -> Json:
    return {
        "Name": name,
        "IsCustom": True,
        "Description": "what cloudtune needs",
        "Actions": [*actions],
        "DataActions": [*blobs],
        "AssignableScopes": [group],
    }


def _policy(title: str, role: Json, assignee: str, scope: str) -> Policy:
    definition, name = shlex.quote(json.dumps(role)), shlex.quote(role["Name"])
    return Policy(
        title,
        json.dumps(role, indent=2),
        [
            f"az role definition create --role-definition {definition}",
            f"az role assignment create --assignee {shlex.quote(assignee)} --role {name} "
            f"--scope {shlex.quote(scope)}",
        ],
    )
