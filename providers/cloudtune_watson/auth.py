"""The connection to a cluster as the settings define it, or to an emulator with its key."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.provider import Check, Emulator, JobContext, Plan, UsageError
from cloudtune.provider.account import account_error
from cloudtune.provider.lookup import is_loopback
from cloudtune_watson.http import Connection, HttpClient, bearer_token
from cloudtune_watson.settings import WatsonSettings
from cloudtune_watson.versions import STANDALONE, parse_version

_KEY_SIGN_IN = (4, 0)
"""The first version that exchanges a key for a token."""


def reachable_emulator(settings: WatsonSettings) -> Emulator | None:
    """Return the emulator on this machine whose address the settings give as the cluster's, if any.

    A cluster behind a tunnel does not count: its certificate is not valid for this machine's name.
    """
    if not settings.url or not is_loopback(settings.url):
        return None
    key = os.environ.get(settings.key_variable, "")
    certificate = Path(settings.certificate).expanduser() if settings.certificate else None
    return Emulator(settings.url.rstrip("/"), key, certificate)


def connect(plan: Plan, context: JobContext) -> HttpClient:
    """Return an HTTP client of a job's cluster or emulator, without sending a request.

    Raises:
        MissingExtraError: If ``requests`` is not installed.
        UsageError: If the variable with the key is not set.
        ProviderError: If the plan is emulated and the context is not, or vice versa.
    """
    data, emulator = plan.facts.data, context.emulator
    plan.check_context(context)
    user: str = data["username"]
    if emulator is not None:
        url, key, certificate = emulator.url, emulator.key, emulator.certificate
        return HttpClient(
            Connection(url, user, key, certificate, emulated=True), context.is_stopping
        )
    assert isinstance(plan.settings, WatsonSettings)
    variable = plan.settings.key_variable
    cluster_key = os.environ.get(variable)
    if not cluster_key:
        raise UsageError(
            f"the variable {variable} is not set: set it to the key of {user}, or set "
            "providers.watson.key_variable to another variable"
        )
    path = Path(data["certificate"]) if data["certificate"] else None
    return HttpClient(
        Connection(str(data["url"]).rstrip("/"), user, cluster_key, path), context.is_stopping
    )


def missing_key(plan: Plan) -> Check:
    """Return the finding that the variable with the key is not set."""
    assert isinstance(plan.settings, WatsonSettings)
    variable = plan.settings.key_variable
    return account_error(
        id="credentials",
        path="providers.watson.key_variable",
        message=f"the variable {variable} is not set; nothing of the cluster could be checked",
        fix=f"set it to an API key, which you create {key_page(plan)}",
        command=f"export {variable}=...",
    )


def key_page(plan: Plan) -> str:
    """Return where a user creates an API key."""
    if plan.facts.data["is_cloud"]:
        return "with `ibmcloud iam api-key-create NAME` or at https://cloud.ibm.com/iam/apikeys"
    return "in your profile's settings on the cluster"


def cluster_facts(plan: Plan, context: JobContext) -> Mapping[str, Any]:
    """Return the facts about a job's cluster; an emulator is at one address."""
    data = plan.facts.data
    if context.emulator is not None:
        addresses = ("sign_in_url", "platform_url", "iam_url")
        return {**data, **dict.fromkeys(addresses, context.emulator.url.rstrip("/"))}
    return data


def cluster_headers(http: HttpClient, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that sign in to a cluster.

    Cloud Pak for Data 4.0 and later exchanges a key for a token, as for IBM's packages; 3.5
    exchanges a password, by ``/auth/v1/logon``; a standalone WML Accelerator accepts the password.

    Raises:
        WatsonError: If the sign-in fails.
    """
    user, key = http.connection.user, http.connection.key
    url, version = str(facts["sign_in_url"]), str(facts["version"])
    basic = {"Authorization": "Basic " + b64encode(f"{user}:{key}".encode()).decode()}
    if version == STANDALONE:
        return basic
    if (parse_version(version) or _KEY_SIGN_IN) < _KEY_SIGN_IN:
        response = http.get(f"{url}/auth/v1/logon", headers=basic)
        return {"X-Auth-Token": bearer_token(response, "accessToken")}
    credentials = {"username": user, "api_key": key}
    response = http.post(f"{url}/icp4d-api/v1/authorize", json=credentials)
    return {"Authorization": f"Bearer {bearer_token(response, 'token')}"}
