"""What read-only calls show of Watson Machine Learning before a run.

The calls: the space or project, hardware and software specifications by name (ibm-watsonx-ai 1.8.1,
hw_spec.py and sw_spec.py), and the trainings of the run's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import account_error, account_ok, account_unknown
from cloudtune_watson.account import Headers, ask_for, check_cluster, find
from cloudtune_watson.http import HttpClient
from cloudtune_watson.policy import member_command
from cloudtune_watson.settings import SETTINGS

_API_VERSION = "2024-01-01"
"""The date that calls of Watson Machine Learning's API carry."""


def check_account(http: HttpClient, plan: Plan, facts: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks of a cluster with Watson Machine Learning, see `check_cluster`."""
    return check_cluster(http, plan, facts, _check_service)


def _check_service(http: HttpClient, plan: Plan, headers: Headers) -> Iterator[Check]:
    yield from _check_scope(http, plan, headers)
    yield from _check_specifications(http, plan, headers)
    yield from _check_trainings(http, plan, headers)


def _check_scope(http: HttpClient, plan: Plan, headers: Headers) -> Iterator[Check]:
    data = plan.facts.data
    kind = "project" if data["project_id"] else "space"
    name: str = data[f"{kind}_id"]
    path = f"{SETTINGS}.{kind}_id"
    if "{{" in name:
        return
    found = yield from ask_for(
        lambda: find(http, f"/v2/{kind}s/{quote(name, safe='')}", headers),
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


def _check_specifications(http: HttpClient, plan: Plan, headers: Headers) -> Iterator[Check]:
    data = plan.facts.data
    scope = "project_id" if data["project_id"] else "space_id"
    for kind in ("hardware", "software"):
        name: str = data[f"{kind}_spec"]
        if "{{" in name:
            continue
        params = {"name": name, scope: data[scope]}
        found = yield from ask_for(
            partial(find, http, f"/v2/{kind}_specifications", headers, params),
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


def _check_trainings(http: HttpClient, plan: Plan, headers: Headers) -> Iterator[Check]:
    data = plan.facts.data
    scope = "project_id" if data["project_id"] else "space_id"
    tag = f"cloudtune-run:{plan.facts.run_id}"
    params = {"version": _API_VERSION, scope: data[scope], "tag.value": tag, "limit": 1}
    found = yield from ask_for(
        lambda: find(http, "/ml/v4/trainings", headers, params),
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
