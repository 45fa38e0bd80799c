"""What read-only calls show of a cluster before a run, at no cost.

The calls that all back ends of a cluster share: the version, which needs no sign-in, and the
sign-in. The rest are the back end's. They create nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from cloudtune.provider import Check, Json, Plan, ProviderError
from cloudtune.provider.account import (
    account_error,
    account_ok,
    account_unknown,
    account_warning,
    ask,
    check_clock,
    check_packages,
    right_missing,
)
from cloudtune_watson.auth import cluster_headers, key_page
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import HttpClient
from cloudtune_watson.settings import NAME, SETTINGS, WatsonSettings
from cloudtune_watson.versions import STANDALONE, short_version

Headers = dict[str, str]
TOLERANCE = 300.0
"""Seconds; chosen, since IBM's pages name none."""
_CERTIFICATE = (
    "oc get configmap default-ingress-cert -n openshift-config-managed "
    "-o jsonpath='{.data.ca-bundle\\.crt}' > cluster-ca.pem"
)
_NOT_CHECKED = "; nothing else of the cluster could be checked"


def check_cluster(
    http: HttpClient,
    plan: Plan,
    facts: Mapping[str, Any],
    check_service: Callable[[HttpClient, Plan, Headers], Iterator[Check]],
) -> Iterator[Check]:
    """Yield the checks of a cluster. Without a sign-in, only that is known.

    Args:
        http: The connection to the cluster.
        plan: The plan of the run.
        facts: The facts about the cluster or the emulator.
        check_service: Yields the checks of the service, with the headers that sign in.

    Raises:
        WatsonError: If the cluster cannot be reached.
    """
    data = plan.facts.data
    yield from check_packages("watsonx")
    if any("{{" in str(data[name]) for name in ("url", "username")):
        return
    headers = yield from _sign_in(http, plan, facts)
    if headers is None:
        return
    yield from check_service(http, plan, headers)
    if http.connection.emulated:
        return
    parallel = plan.study.limits_for(NAME).parallel_trials or 1
    yield account_unknown(
        id="quota",
        path="limits.parallel_trials",
        message=f"whether the cluster has room for {parallel} trials at a time is unknown",
        fix="IBM documents no call for it; its administrator sees the quotas of the namespace",
        command="oc describe resourcequota -n NAMESPACE",
    )


def _sign_in(
    http: HttpClient, plan: Plan, facts: Mapping[str, Any]
) -> Generator[Check, None, Headers | None]:
    """Yield the checks of certificate, version, clock and key; return the headers that sign in."""
    data = plan.facts.data
    url: str = facts["sign_in_url"]
    try:
        if data["version"] != STANDALONE:
            response = http.get(f"{url}/ml/wml_services/v2/version")
            yield from _check_version(plan, response, emulated=http.connection.emulated)
            date = str(response.headers.get("Date", ""))
            if clock := check_clock(date, TOLERANCE):
                yield clock
        headers = cluster_headers(http, facts)
    except WatsonError as error:
        if error.retryable:
            raise
        yield refused_sign_in(plan, error)
        return None
    user, where = http.connection.user, key_variable(plan)
    place = "the key of the emulator" if http.connection.emulated else f"the key in {where}"
    yield account_ok(id="credentials", message=f"{user}, by {place}")
    return headers


def _check_version(plan: Plan, response: Any, *, emulated: bool) -> Iterator[Check]:
    expected: str = plan.facts.data["version"]
    try:
        version = str(response.json()["version"])
    except (ValueError, KeyError, TypeError):
        return
    if not emulated and short_version(version) != expected:
        yield account_warning(
            id="version",
            path=f"{SETTINGS}.version",
            message=f"the cluster has version {version}, and the setting is {expected}",
            fix=f'set version: "{short_version(version)}"; sign-in and features depend on it',
        )
    else:
        yield account_ok(id="version", message=f"version {version}")


def refused_sign_in(plan: Plan, error: WatsonError) -> Check:
    """Return the finding that the sign-in was refused."""
    text = str(error).removeprefix("watson: ")
    if "certificate" in text and not error.code:
        return account_error(
            id="certificate",
            path=f"{SETTINGS}.certificate",
            message=f"{text}{_NOT_CHECKED}",
            fix="save the certificate of the cluster, and set certificate to that file",
            command=_CERTIFICATE,
        )
    is_url = error.code not in {401, 403}
    return account_error(
        id="url" if is_url else "credentials",
        path=f"{SETTINGS}.{'url' if is_url else 'key_variable'}",
        message=f"{text}{_NOT_CHECKED}",
        fix="check the address" if is_url else f"create a new API key {key_page(plan)}",
        command="" if is_url else f"export {key_variable(plan)}=...",
    )


def key_variable(plan: Plan) -> str:
    """Return the name of the variable with the key."""
    assert isinstance(plan.settings, WatsonSettings)
    return plan.settings.key_variable


def find(http: HttpClient, path: str, headers: Headers, params: Json | None = None) -> Json:
    """Return a resource, empty if it does not exist."""
    try:
        answer: Json = http.get(
            f"{http.connection.url}{path}", params=params, headers=headers
        ).json()
    except WatsonError as error:
        if error.not_found:
            return {}
        raise
    except ValueError as error:
        raise WatsonError(f"GET {path}: the response is not JSON") from error
    return answer


def ask_for(
    call: Callable[[], Json], id_: str, question: str, right: str, path: str, *, command: str = ""
) -> Generator[Check, None, Json | None]:
    """Return the result of a call; without the right to it, yield that and return None."""
    otherwise = right_missing(id_, question, right, caller="your user", path=path, command=command)
    return (yield from ask(call, otherwise, _explain))


def _explain(error: ProviderError) -> str | None:
    return "" if isinstance(error, WatsonError) and error.code == 403 else None
