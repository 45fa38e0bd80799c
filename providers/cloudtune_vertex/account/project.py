"""Whether the APIs are enabled, and which permissions the caller has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import Right, account_error, account_ok, account_warning
from cloudtune_vertex.account.ask import ask, unknown
from cloudtune_vertex.client import Google
from cloudtune_vertex.policy import actas_command, enable_command, grant_command
from cloudtune_vertex.rights import APIS, On, caller_rights
from cloudtune_vertex.settings import VertexSettings

_LOOK = "`cloudtune doctor --policy` prints the permissions that a run needs"


def check_apis(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield whether the APIs that a run calls are enabled."""
    project: str = plan.facts.data["project"]
    names = [f"projects/{project}/services/{api}" for api in APIS]
    response = yield from ask(
        lambda: google.rest(
            "GET",
            "serviceusage",
            f"/v1/projects/{project}/services:batchGet",
            params={"names": names},
        ),
        unknown(
            "apis",
            f"whether {' and '.join(APIS)} are enabled",
            f"serviceusage.services.get on the project {project}",
        ),
    )
    if response is None:
        return
    enabled = {
        str(each.get("name", "")).rpartition("/")[2]
        for each in response.get("services", ())
        if each.get("state") == "ENABLED"
    }
    if missing := [api for api in APIS if api not in enabled]:
        yield account_error(
            id="apis",
            path="providers.vertex.project",
            message=f"not enabled in the project {project}: {', '.join(missing)}",
            fix="enable them; that takes a minute",
            command=enable_command(project, missing),
        )
    else:
        yield account_ok(id="apis", message="the APIs are enabled")


def check_permissions(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield which permissions of a run the caller lacks on the project and the bucket."""
    data = plan.facts.data
    project: str = data["project"]
    rights = caller_rights(plan, "project")

    def on_project() -> Json:
        path = f"/v3/projects/{project}:testIamPermissions"
        return google.rest("POST", "cloudresourcemanager", path, json=_body(rights))

    question = f"which permissions you have in the project {project}"
    response = yield from ask(on_project, unknown("permissions", question, "access", look=_LOOK))
    if response is not None:
        missing = _missing(response, rights)
        yield from _report(
            missing,
            rights,
            f"the project {project}",
            grant_command(project, [right.action for right in missing if not right.without]),
        )


def check_service_account(google: Google, plan: Plan) -> Iterator[Check]:
    """Yield whether the caller may use the service account of the trials."""
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    account = settings.service_account
    rights = caller_rights(plan, "service account")
    if not account or not rights:
        return
    path = f"/v1/projects/-/serviceAccounts/{account}:testIamPermissions"
    response = yield from ask(
        lambda: google.rest("POST", "iam", path, json=_body(rights)),
        unknown(
            "service-account",
            f"whether you may use the service account {account}",
            f"iam.serviceAccounts.actAs on {account}",
            path="providers.vertex.service_account",
        ),
    )
    if response is None:
        return
    if _missing(response, rights):
        yield account_error(
            id="service-account",
            path="providers.vertex.service_account",
            message=f"your account lacks iam.serviceAccounts.actAs on {account}",
            fix="give it the role Service Account User there",
            command=actas_command(account),
        )
    else:
        yield account_ok(id="service-account", message=f"you may use {account}")


def report_bucket(
    response: Json, rights: Sequence[Right[On]], project: str, bucket: str
) -> Iterator[Check]:
    """Yield which permissions the caller lacks on a bucket."""
    missing = _missing(response, rights)
    names = [right.action for right in missing]
    command = grant_command(project, names, bucket=bucket)
    yield from _report(missing, rights, f"the bucket {bucket}", command)


def _body(rights: Sequence[Right[On]]) -> Json:
    return {"permissions": [right.action for right in rights]}


def _missing(response: Json, rights: Sequence[Right[On]]) -> list[Right[On]]:
    granted = set(response.get("permissions", ()))
    return [right for right in rights if right.action not in granted]


def _report(
    missing: Sequence[Right[On]], rights: Sequence[Right[On]], where: str, command: str
) -> Iterator[Check]:
    for right in missing:
        if right.without:
            yield account_warning(
                id="permissions",
                message=f"your account lacks {right.action}: without it, {right.without}",
                fix=f"grant it on {where}",
            )
    needed = [right.action for right in missing if not right.without]
    if needed:
        yield account_error(
            id="permissions",
            message=f"your account lacks {', '.join(needed)} on {where}",
            fix="grant it by this role",
            command=command,
        )
    elif not missing:
        yield account_ok(id="permissions", message=f"all {len(rights)} permissions on {where}")
