"""What read-only calls show of a cluster before a run, at no cost.

The calls: the version, which needs no sign-in; the sign-in; the space or project; hardware and
software specifications by name (ibm-watsonx-ai 1.8.1, hw_spec.py and sw_spec.py); the trainings of
the run's name; and of WML Accelerator its searches and algorithms. They create nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from cloudtune.provider import (
    Check,
    Json,
    Plan,
    ProviderError,
    account_error,
    account_ok,
    account_unknown,
    account_warning,
    ask,
    check_clock,
    check_packages,
    is_map,
    right_missing,
)
from cloudtune_watson.auth import key_page
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import HttpClient
from cloudtune_watson.policy import member_command
from cloudtune_watson.rules.settings import SETTINGS
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.versions import STANDALONE, short_version
from cloudtune_watson.wmla.client import WmlaClient

TOLERANCE = 300.0
"""Seconds; chosen, since IBM's pages name none."""
_WMLA = "/platform/rest/deeplearning/v1"
_API_VERSION = "2024-01-01"
"""The date that calls of Watson Machine Learning's API carry."""
_CERTIFICATE = (
    "oc get configmap default-ingress-cert -n openshift-config-managed "
    "-o jsonpath='{.data.ca-bundle\\.crt}' > cluster-ca.pem"
)
_NOT_CHECKED = "; nothing else of the cluster could be checked"


def check_account(http: HttpClient, plan: Plan, wmla: WmlaClient) -> Iterator[Check]:
    """Yield the checks of a cluster. Without a sign-in, only that is known.

    Args:
        http: The connection to the cluster.
        plan: The plan of the run.
        wmla: The client whose sign-in is used, for both back ends.

    Raises:
        WatsonError: If the cluster cannot be reached.
    """
    data = plan.facts.data
    yield from check_packages("watsonx")
    if not data["backend"] or any("{{" in str(data[name]) for name in ("url", "username")):
        return
    headers = yield from _sign_in(http, plan, wmla)
    if headers is None:
        return
    if data["backend"] == "wml":
        yield from _check_scope(http, plan, headers)
        yield from _check_specifications(http, plan, headers)
        yield from _check_trainings(http, plan, headers)
    else:
        yield from _check_accelerator(http, plan, headers)
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
    http: HttpClient, plan: Plan, wmla: WmlaClient
) -> Generator[Check, None, dict[str, str] | None]:
    """Yield the checks of certificate, version, clock and key; return the headers that sign in."""
    data = plan.facts.data
    url: str = wmla.facts["sign_in_url"]
    try:
        if data["version"] != STANDALONE:
            response = http.get(f"{url}/ml/wml_services/v2/version")
            yield from _check_version(plan, response, emulated=http.connection.emulated)
            date = str(response.headers.get("Date", ""))
            if clock := check_clock(date, TOLERANCE):
                yield clock
        headers = wmla.sign_in()
    except WatsonError as error:
        if error.retryable:
            raise
        yield refused_sign_in(plan, error)
        return None
    user, where = http.connection.user, _key_variable(plan)
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
        command="" if is_url else f"export {_key_variable(plan)}=...",
    )


def _key_variable(plan: Plan) -> str:
    assert isinstance(plan.settings, WatsonSettings)
    return plan.settings.key_variable


def _check_scope(http: HttpClient, plan: Plan, headers: dict[str, str]) -> Iterator[Check]:
    data = plan.facts.data
    kind = "project" if data["project_id"] else "space"
    name: str = data[f"{kind}_id"]
    path = f"{SETTINGS}.{kind}_id"
    if "{{" in name:
        return
    found = yield from ask_for(
        lambda: _find(http, f"/v2/{kind}s/{quote(name, safe='')}", headers),
        "scope",
        f"whether the {kind} {name} exists",
        f"membership of the {kind}",
        path,
        command=member_command(plan),
    )
    if found is None:
        return
    if not found:
        yield account_error(
            id="scope",
            path=path,
            message=f"your user has no {kind} {name}",
            fix=f"give the id of a {kind} whose member you are; this lists them",
            command=f"cpd-cli {kind} list --profile=PROFILE",
        )
        return
    entity: Json = found.get("entity", {})
    yield account_ok(id="scope", message=f"{kind} {entity.get('name', name)} exists")
    state = entity.get("status", {}).get("state", "active")
    if state != "active":
        yield account_error(
            id="scope",
            path=path,
            message=f"the {kind} {name} is {state}",
            fix="wait until it is active, or use another one",
        )
    if http.connection.emulated:
        return
    role = f"whether {data['username']} is an Editor in the {kind} is unknown"
    yield account_unknown(
        id="role",
        message=role,
        fix="no documented call shows it; trainings and model definitions need that role",
        command=member_command(plan),
    )


def _check_specifications(http: HttpClient, plan: Plan, headers: dict[str, str]) -> Iterator[Check]:
    data = plan.facts.data
    scope = "project_id" if data["project_id"] else "space_id"
    for kind in ("hardware", "software"):
        name: str = data[f"{kind}_spec"]
        if "{{" in name:
            continue
        params = {"name": name, scope: data[scope]}
        found = yield from ask_for(
            partial(_find, http, f"/v2/{kind}_specifications", headers, params),
            f"{kind}-spec",
            f"whether the {kind} specification {name} exists",
            f"the right to list {kind} specifications",
            f"{SETTINGS}.{kind}_spec",
        )
        if found is None:
            continue
        if found.get("total_results", len(found.get("resources", ()))):
            yield account_ok(id=f"{kind}-spec", message=f"{kind} specification {name} exists")
            continue
        yield account_error(
            id=f"{kind}-spec",
            path=f"{SETTINGS}.{kind}_spec",
            message=f"the cluster has no {kind} specification {name}",
            fix="choose one of the cluster's; this lists them",
            command=f"cpd-cli environment {kind}-specification list --profile=PROFILE",
        )


def _check_trainings(http: HttpClient, plan: Plan, headers: dict[str, str]) -> Iterator[Check]:
    data = plan.facts.data
    scope = "project_id" if data["project_id"] else "space_id"
    tag = f"cloudtune-run:{plan.facts.run_id}"
    params = {"version": _API_VERSION, scope: data[scope], "tag.value": tag, "limit": 1}
    found = yield from ask_for(
        lambda: _find(http, "/ml/v4/trainings", headers, params),
        "trainings",
        "whether Watson Machine Learning responds",
        f"the role Viewer in the {scope[:-3]}",
        f"{SETTINGS}.{scope}",
        command=member_command(plan),
    )
    if found is None:
        return
    if found.get("resources"):
        yield account_error(
            id="job-name",
            message=f"trainings of the run {plan.facts.run_id} exist already",
            fix="plan the study again to get a new name",
        )
    elif not found:
        yield account_error(
            id="trainings",
            path=f"{SETTINGS}.url",
            message="the cluster has no Watson Machine Learning",
            fix="check the address; with WML Accelerator, set backend: wmla",
        )
    else:
        yield account_ok(id="trainings", message="Watson Machine Learning responds")


def _check_accelerator(http: HttpClient, plan: Plan, headers: dict[str, str]) -> Iterator[Check]:
    found = yield from ask_for(
        lambda: _find(http, f"{_WMLA}/hypersearch/algorithm", headers, {"type": "BUILD_IN"}),
        "algorithms",
        "which algorithms WML Accelerator has",
        "the right to use WML Accelerator",
        f"{SETTINGS}.url",
    )
    if found is None:
        return
    if not found:
        yield account_error(
            id="algorithms",
            path=f"{SETTINGS}.url",
            message="the address is not one of a WML Accelerator",
            fix="give the address of its console, such as https://wmla-console-cpd.apps...",
            command="oc get route -A | grep wmla-console",
        )
        return
    rows: list[Any] = list(found)
    names = {str(each["name"]).lower() for each in rows if is_map(each) and "name" in each}
    wanted = str(plan.request.get("data", {}).get("algoDef", {}).get("algorithm", ""))
    if wanted and names and wanted.lower() not in names:
        yield account_error(
            id="algorithms",
            path="strategy",
            message=f"WML Accelerator has no algorithm {wanted}, only {', '.join(sorted(names))}",
            fix="choose another strategy",
        )
    else:
        yield account_ok(id="algorithms", message="WML Accelerator responds, with its algorithms")
    name = plan.facts.job_name
    search = yield from ask_for(
        lambda: _find(http, f"{_WMLA}/hypersearch/{quote(name, safe='')}", headers),
        "job-name",
        f"whether a search is named {name}",
        "the right to list searches",
        "",
    )
    if search:
        yield account_error(
            id="job-name",
            message=f"a search is named {name}",
            fix="plan the study again to get a new name",
        )
    elif search is not None:
        yield account_ok(id="job-name", message=f"search name {name} is free")


def _find(http: HttpClient, path: str, headers: dict[str, str], params: Json | None = None) -> Json:
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
