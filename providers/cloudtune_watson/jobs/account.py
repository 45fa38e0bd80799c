"""The doctor's checks of a space and its watsonx.ai Runtime, with read-only calls at no cost.

They are the sign-in, the space, specifications by name, the deployments with the run's name, and
on IBM Cloud the user's task credentials and what is used of the instance (API v4 in
IBM/abap-sdk-nwas-x at 9cb5754; ibm-watsonx-ai 1.8.1, task_credentials.py; read 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

from cloudtune.provider import Check, Json, Plan
from cloudtune.provider.account import (
    account_error,
    account_ok,
    account_unknown,
    account_warning,
    check_packages,
)
from cloudtune_watson.account import ask_for, key_variable, refused_sign_in
from cloudtune_watson.documents import part, rows
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.jobs.client import RuntimeClient
from cloudtune_watson.policy import member_command
from cloudtune_watson.settings import NAME, SETTINGS

_NEEDED = ("url", "space_id", "hardware_spec", "software_spec")


def check_account(runtime: RuntimeClient, plan: Plan) -> Iterator[Check]:
    """Yield the checks of a space. Without a sign-in, only that is reported.

    Raises:
        WatsonError: If IBM cannot be reached.
    """
    data = plan.facts.data
    yield from check_packages("watsonx")
    needed = _NEEDED if data["is_cloud"] else (*_NEEDED, "username")
    if any("{{" in str(data[name]) for name in needed):
        return
    try:
        runtime.sign_in()
    except WatsonError as error:
        if error.retryable:
            raise
        yield refused_sign_in(plan, error)
        return
    key = "the key of the emulator" if runtime.emulated else f"the key in {key_variable(plan)}"
    user = "IBM Cloud" if data["is_cloud"] else data["username"]
    yield account_ok(id="credentials", message=f"{user}, by {key}")
    space = yield from _check_space(runtime, plan)
    yield from _check_specifications(runtime, plan)
    if data["is_cloud"]:
        yield from _check_task_credentials(runtime)
        if space:
            yield from _check_instance(runtime, plan, space)
    yield from _check_name(runtime, plan)


def _check_space(runtime: RuntimeClient, plan: Plan) -> Generator[Check, None, Json | None]:
    name: str = plan.facts.data["space_id"]
    path, is_cloud = f"{SETTINGS}.space_id", plan.facts.data["is_cloud"]
    command = "" if is_cloud else member_command(plan)
    space = yield from ask_for(
        lambda: runtime.get_space() or {},
        "scope",
        f"whether the space {name} exists",
        "membership of the space",
        path,
        command=command,
    )
    if space is None:
        return None
    if not space:
        yield account_error(
            id="scope",
            path=path,
            message=f"your user has no space {name}",
            fix="give the id of a deployment space whose member you are; its web page shows it",
        )
        return None
    entity = part(space, "entity")
    state = part(entity, "status").get("state", "active")
    if state != "active":
        yield account_error(
            id="scope",
            path=path,
            message=f"the space {name} is {state}",
            fix="wait until it is active, or use another one",
        )
    elif is_cloud and not entity.get("compute"):
        yield account_error(
            id="scope",
            path=path,
            message=f"the space {name} has no instance of watsonx.ai Runtime",
            fix="associate one on the page Manage of the space; jobs cannot run without it",
        )
    else:
        yield account_ok(id="scope", message=f"space {entity.get('name', name)} exists")
    if not runtime.emulated:
        yield account_unknown(
            id="role",
            message="whether your user is an Editor in the space is unknown",
            fix="no documented call shows it; scripts, deployments and jobs need that role",
            command=command,
        )
    return space


def _check_specifications(runtime: RuntimeClient, plan: Plan) -> Iterator[Check]:
    for kind in ("hardware", "software"):
        name: str = plan.facts.data[f"{kind}_spec"]
        found = yield from ask_for(
            partial(_specification, runtime, kind, name),
            f"{kind}-spec",
            f"whether the {kind} specification {name} exists",
            f"the right to list {kind} specifications",
            f"{SETTINGS}.{kind}_spec",
        )
        if found:
            message = f"{kind} specification {name} exists"
            yield account_ok(id=f"{kind}-spec", message=message)
        elif found is not None:
            yield account_error(
                id=f"{kind}-spec",
                path=f"{SETTINGS}.{kind}_spec",
                message=f"the space has no {kind} specification {name}",
                fix="choose another one; docs/watson.md has the documented names",
            )


def _specification(runtime: RuntimeClient, kind: str, name: str) -> Json:
    return runtime.find_specification(kind, name) or {}


def _check_task_credentials(runtime: RuntimeClient) -> Iterator[Check]:
    found = yield from ask_for(
        lambda: {"credentials": list(runtime.task_credentials())},
        "task-credentials",
        "whether your user has task credentials",
        "the right to list your task credentials",
        "",
    )
    if found is None:
        return
    if found["credentials"]:
        yield account_ok(id="task-credentials", message="your user has task credentials")
        return
    yield account_error(
        id="task-credentials",
        message="your user has no task credentials, without which IBM Cloud runs no jobs",
        fix="create them in the web page, Profile and settings, User API key; they are usable "
        "after 15 to 20 minutes",
    )


def _check_instance(runtime: RuntimeClient, plan: Plan, space: Json) -> Iterator[Check]:
    """Yield whether the instance has capacity units, and room for jobs."""
    compute = rows(part(space, "entity"), "compute")
    instance = next((str(each["guid"]) for each in compute if each.get("guid")), "")
    if not instance:
        return
    found = yield from ask_for(
        lambda: {
            "instance": runtime.get_instance(instance) or {},
            "jobs": len(runtime.list_space_jobs()),
        },
        "quota",
        "what is used of the instance of watsonx.ai Runtime",
        "the role Viewer in the space",
        "",
    )
    if found is None:
        return
    consumption = part(found, "instance", "entity", "consumption")
    units = part(consumption, "capacity_unit_hours")
    used, limit = _number(units.get("current")), _number(units.get("limit"))
    if limit and used is not None and used >= limit:
        yield account_error(
            id="quota",
            message=f"{used:g} of {limit:g} capacity-unit hours of the instance are used",
            fix="wait for the next month, or use a larger plan",
        )
        return
    most = _number(part(consumption, "deployment_job_count").get("limit"))
    parallel = plan.study.limits_for(NAME).parallel_trials or 1
    if most and found["jobs"] + parallel > most:
        yield account_warning(
            id="quota",
            path="limits.parallel_trials",
            message=f"the space has {found['jobs']} deployment jobs, and its plan allows {most:g}",
            fix="delete old jobs of the space; at the limit none can be created",
        )
        return
    left = f"{limit - (used or 0):g} of {limit:g}" if limit else "an unlimited number of"
    yield account_ok(id="quota", message=f"{left} capacity-unit hours are left")


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _check_name(runtime: RuntimeClient, plan: Plan) -> Iterator[Check]:
    name = plan.facts.job_name
    found = yield from ask_for(
        lambda: {"deployments": runtime.list_deployments(name)},
        "job-name",
        f"whether a deployment is named {name}",
        "the role Viewer in the space",
        "",
    )
    if found is None:
        return
    if found["deployments"]:
        yield account_error(
            id="job-name",
            message=f"a deployment is named {name}",
            fix="plan the study again to get a new name",
        )
    else:
        yield account_ok(id="job-name", message=f"deployment name {name} is free")
