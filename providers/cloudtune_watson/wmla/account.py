"""What read-only calls show of WML Accelerator before a run: its algorithms and searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from cloudtune.provider import Check, Plan, is_map
from cloudtune.provider.account import account_error, account_ok
from cloudtune_watson.account import Headers, ask_for, check_cluster, find
from cloudtune_watson.http import HttpClient
from cloudtune_watson.settings import SETTINGS
from cloudtune_watson.wmla.client import REST


def check_account(http: HttpClient, plan: Plan, facts: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks of a WML Accelerator, see `check_cluster`."""
    return check_cluster(http, plan, facts, _check_service)


def _check_service(http: HttpClient, plan: Plan, headers: Headers) -> Iterator[Check]:
    found = yield from ask_for(
        lambda: find(http, f"{REST}/hypersearch/algorithm", headers, {"type": "BUILD_IN"}),
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
        lambda: find(http, f"{REST}/hypersearch/{quote(name, safe='')}", headers),
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
