"""The caller, this machine's clock, and whether the project exists."""

from __future__ import annotations

from collections.abc import Generator

from cloudtune.provider import Check, Plan
from cloudtune.provider.account import account_error, account_ok, check_clock
from cloudtune_vertex.account.ask import unknown
from cloudtune_vertex.client import Google
from cloudtune_vertex.errors import GoogleError
from cloudtune_vertex.settings import VertexSettings

TOLERANCE = 300.0
"""Seconds. Chosen; the pages of Google that were read name no tolerance."""
_SIGN_IN = "gcloud auth application-default login"
_NOT_CHECKED = "; nothing else of the project could be checked"


def check_identity(google: Google, plan: Plan) -> Generator[Check, None, bool]:
    """Yield the checks of credentials, clock and project; return whether calls succeed."""
    project: str = plan.facts.data["project"]
    identity: Check | None = None
    try:
        identity = _identity(plan, *google.credentials_source())
        google.rest(
            "POST",
            "cloudresourcemanager",
            f"/v3/projects/{project}:testIamPermissions",
            json={"permissions": ["aiplatform.customJobs.get"]},
        )
    except GoogleError as error:
        if identity and error.code in {403, 404}:
            yield identity
            yield _no_project(plan, error)
            return error.code == 403
        if error.retryable:
            raise
        yield account_error(
            id="credentials",
            message=f"{_reason(error)}{_NOT_CHECKED}",
            fix="sign in, or set GOOGLE_APPLICATION_CREDENTIALS to a key file",
            command=_SIGN_IN,
        )
        return False
    yield identity
    if clock := check_clock(google.date, TOLERANCE):
        yield clock
    yield account_ok(id="project", message=f"project {project} responds")
    return True


def _identity(plan: Plan, kind: str, place: str, account: str) -> Check:
    settings = plan.settings
    assert isinstance(settings, VertexSettings)
    who = settings.impersonate or account or "an account without a name"
    through = f", impersonated by {account or 'your account'}" if settings.impersonate else ""
    source = f"{kind} of {place}" if place else kind
    return account_ok(id="credentials", message=f"{who}{through}, from {source}")


def _no_project(plan: Plan, error: GoogleError) -> Check:
    project: str = plan.facts.data["project"]
    if error.code == 404:
        return account_error(
            id="project",
            path="providers.vertex.project",
            message=f"there is no project {project}",
            fix="give the id of the project, not its name or number",
            command="gcloud projects list",
        )
    return unknown(
        "permissions",
        f"whether the project {project} exists and which permissions you have there",
        "access to it, or the API cloudresourcemanager.googleapis.com is disabled",
        path="providers.vertex.project",
        look=f"gcloud projects describe {project} shows it",
    )


def _reason(error: GoogleError) -> str:
    return str(error).removeprefix("vertex: ").replace(", then `cloudtune resume`", "")
