"""The smallest roles for the caller and for the trials' service account, as text and commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from cloudtune.provider import Plan
from cloudtune.provider.account import Policy
from cloudtune_vertex.rights import APIS, TRIALS, caller_rights, doctor_rights
from cloudtune_vertex.settings import VertexSettings

_YOU = "user:YOU@EXAMPLE.COM"


def policies(plan: Plan) -> Iterator[Policy]:
    """Yield the roles that a run needs, and the one that only the doctor needs."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    data = plan.facts.data
    project, bucket = shlex.quote(data["project"]), shlex.quote(f"gs://{data['bucket']}")
    member = f"serviceAccount:{settings.impersonate}" if settings.impersonate else _YOU
    on_project = [right.action for right in caller_rights(plan, "project")]
    yield Policy(
        f"permissions of the caller on the project {data['project']}, for {plan.mode} runs",
        "\n".join(on_project),
        [
            enable_command(project, APIS),
            _role("cloudtuneCaller", project, on_project),
            _bind("projects", project, member, f"projects/{project}/roles/cloudtuneCaller"),
        ],
    )
    on_bucket = [right.action for right in caller_rights(plan, "bucket")]
    role = f"projects/{project}/roles/cloudtuneBucket"
    yield Policy(
        f"permissions of the caller on the bucket {data['bucket']}",
        "\n".join(on_bucket),
        [
            _role("cloudtuneBucket", project, on_bucket),
            _bind("storage buckets", bucket, member, role),
        ],
    )
    if account := settings.service_account:
        yield Policy(
            f"permission of the caller on the service account {account}",
            "iam.serviceAccounts.actAs",
            [_bind("iam service-accounts", account, member, "roles/iam.serviceAccountUser")],
        )
        yield Policy(
            f"permissions of the service account {account} on the bucket {data['bucket']}",
            "\n".join(right.action for right in TRIALS),
            [_bind("storage buckets", bucket, f"serviceAccount:{account}", role)],
        )
    if account := settings.impersonate:
        creator = "roles/iam.serviceAccountTokenCreator"
        yield Policy(
            f"your permission on the service account {account}",
            "iam.serviceAccounts.getAccessToken",
            [_bind("iam service-accounts", account, _YOU, creator)],
        )
    reading = doctor_rights(plan)
    yield Policy(
        "permissions of the caller for cloudtune doctor, all read-only; optional",
        "\n".join(reading),
        [
            _role("cloudtuneDoctor", project, reading),
            _bind("projects", project, member, f"projects/{project}/roles/cloudtuneDoctor"),
        ],
    )


def enable_command(project: str, apis: Sequence[str]) -> str:
    """Return the command that enables APIs in a project."""
    return f"gcloud services enable {' '.join(apis)} --project={project}"


def grant_command(project: str, permissions: Sequence[str], *, bucket: str = "") -> str:
    """Return the commands that give the caller permissions on a project, or on a bucket."""
    name = "cloudtuneBucket" if bucket else "cloudtuneCaller"
    role = f"projects/{project}/roles/{name}"
    kind, resource = ("storage buckets", f"gs://{bucket}") if bucket else ("projects", project)
    return f"{_role(name, project, permissions)}\n{_bind(kind, resource, _YOU, role)}"


def actas_command(account: str) -> str:
    """Return the command that lets the caller use a service account for trials."""
    return _bind("iam service-accounts", account, _YOU, "roles/iam.serviceAccountUser")


def _role(name: str, project: str, permissions: Sequence[str]) -> str:
    return (
        f"gcloud iam roles create {name} --project={project} --permissions={','.join(permissions)}"
    )


def _bind(kind: str, resource: str, member: str, role: str) -> str:
    return (
        f"gcloud {kind} add-iam-policy-binding {resource} --member={shlex.quote(member)} "
        f"--role={role}"
    )
