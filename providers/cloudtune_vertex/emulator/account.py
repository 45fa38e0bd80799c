"""The other services of Google that a look at a project calls: permissions, APIs, quotas, images.

Methods and permissions: the REST references of Resource Manager v3 (projects.testIamPermissions,
which needs no permission), IAM v1 (serviceAccounts.testIamPermissions), Service Usage v1
(services.batchGet, services.disable), Cloud Quotas v1 (quotaInfos.list), Artifact Registry v1
(packages.tags.get and create) and the JSON API of Cloud Storage (buckets.getStorageLayout, which
needs storage.objects.list, and buckets.testIamPermissions), all read 2026-11-27.

The caller has every permission that the fault plan does not deny.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cloudtune.emulator_kit import CallLog, FaultPlan, Json, Response, is_map
from cloudtune_vertex.emulator.errors import JSON, ServiceError, denied, not_found
from cloudtune_vertex.emulator.storage import Storage

QUOTA = 200
"""Of each metric; the emulator's own number, since Google publishes no defaults."""
METRICS = (
    *("custom_model_training_cpus", "custom_model_training_preemptible_cpus"),
    *("custom_model_training_nvidia_t4_gpus", "custom_model_training_nvidia_l4_gpus"),
    *("custom_model_training_n2_cpus", "custom_model_training_nvidia_a100_gpus"),
)
"""Some of the metrics, by the names in Google's messages."""
_PROJECT = r"/v[13]/projects/(?P<project>[^/:]+)"
_TAGS = rf"{_PROJECT}/locations/[^/]+/repositories/[^/]+/packages/[^/]+/tags"
_BUCKET = r"/storage/v1/b/(?P<bucket>[^/]+)"


@dataclass(frozen=True)
class _Operation:
    method: str
    pattern: str
    permission: str
    """What the caller needs; empty if nothing."""


OPERATIONS: Mapping[str, _Operation] = {
    "TestIamPermissions": _Operation("POST", rf"{_PROJECT}:testIamPermissions", ""),
    "TestServiceAccountPermissions": _Operation(
        "POST", rf"{_PROJECT}/serviceAccounts/(?P<account>[^/:]+):testIamPermissions", ""
    ),
    "BatchGetServices": _Operation(
        "GET", rf"{_PROJECT}/services:batchGet", "serviceusage.services.get"
    ),
    "DisableService": _Operation(
        "POST", rf"{_PROJECT}/services/(?P<api>[^/:]+):disable", "serviceusage.services.disable"
    ),
    "ListQuotaInfos": _Operation(
        "GET",
        rf"{_PROJECT}/locations/global/services/[^/]+/quotaInfos",
        "cloudquotas.quotas.get",
    ),
    "GetTag": _Operation("GET", rf"{_TAGS}/(?P<tag>[^/]+)", "artifactregistry.tags.get"),
    "CreateTag": _Operation("POST", _TAGS, "artifactregistry.tags.create"),
    "GetStorageLayout": _Operation("GET", rf"{_BUCKET}/storageLayout", "storage.objects.list"),
    "TestBucketPermissions": _Operation("GET", rf"{_BUCKET}/iam/testPermissions", ""),
}


@dataclass(frozen=True)
class AccountCall:
    """A call of one of these services."""

    operation: str
    permission: str
    names: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Json
    path: str


def account_call(
    method: str, path: str, query: Mapping[str, list[str]], read: Callable[[], bytes]
) -> AccountCall | None:
    """Return the call in a request; None if it is of another service.

    Args:
        method: The HTTP method.
        path: The path, with escaped slashes.
        query: The parameters.
        read: Reads the body.
    """
    for name, operation in OPERATIONS.items():
        match = re.fullmatch(operation.pattern, path)
        if match and operation.method == method:
            names = {key: unquote(value) for key, value in match.groupdict().items()}
            body = _read_json(read()) if method == "POST" else {}
            return AccountCall(name, operation.permission, names, query, body, path)
    return None


class Account:
    """The project of the caller."""

    def __init__(self, faults: FaultPlan, storage: Storage, calls: CallLog) -> None:
        self._faults = faults
        self._storage = storage
        self._calls = calls
        self._disabled: set[str] = set()
        self._tags: set[str] = set()

    def respond(self, call: AccountCall, *, used_up: bool) -> Response:
        """Return the response to a call.

        Args:
            call: The call.
            used_up: Whether the project's quotas are used up.

        Raises:
            ServiceError: If the service would refuse it.
        """
        if call.permission:
            self._calls.add("client", call.permission, _resource(call))
            if self._faults.denies(call.permission):
                raise denied(call.permission)
        answer: Json
        match call.operation:
            case "BatchGetServices":
                answer = {"services": [self._service(name) for name in call.query["names"]]}
            case "DisableService":
                self._disabled.add(call.names["api"])
                answer = {"done": True}
            case "ListQuotaInfos":
                answer = _quotas(0 if used_up else QUOTA)
            case "CreateTag":
                name = f"{call.path}/{call.query['tagId'][0]}"
                self._tags.add(name)
                answer = {"name": name.partition("/v1/")[2]}
            case "GetTag":
                answer = self._tag(call)
            case "GetStorageLayout":
                answer = self._layout(call.names["bucket"])
            case _:
                answer = self._permissions(call)
        return Response(200, json.dumps(answer).encode(), JSON)

    def require_api(self, api: str, project: str) -> None:
        """Refuse a call of an API that is disabled in the project.

        Raises:
            ServiceError: With the service's message.
        """
        if api in self._disabled:
            raise ServiceError(
                403,
                "PERMISSION_DENIED",
                f"{api} has not been used in project {project} before or it is disabled.",
            )

    def _permissions(self, call: AccountCall) -> Json:
        if bucket := call.names.get("bucket"):
            self._layout(bucket)
            asked = call.query.get("permissions", [])
        else:
            asked = call.body.get("permissions", [])
        return {"permissions": [each for each in asked if not self._faults.denies(each)]}

    def _service(self, name: str) -> Json:
        api = name.rpartition("/")[2]
        state = "DISABLED" if api in self._disabled else "ENABLED"
        return {"name": name, "config": {"name": api}, "state": state}

    def _tag(self, call: AccountCall) -> Json:
        if not self._tags:  # the user's project may have the image
            raise denied("artifactregistry.tags.get, since this emulator knows only its own tags")
        if call.path not in self._tags:
            raise not_found("Requested entity was not found.")
        return {"name": call.path.partition("/v1/")[2], "version": "emulated"}

    def _layout(self, bucket: str) -> Json:
        location = self._storage.location(bucket)
        if location is None:
            raise not_found("The specified bucket does not exist.")
        kind = "region" if "-" in location else "multi-region"
        return {"bucket": bucket, "location": location, "locationType": kind}


def _resource(call: AccountCall) -> str:
    if bucket := call.names.get("bucket"):
        return f"projects/_/buckets/{bucket}"
    return f"projects/{call.names['project']}"


def _quotas(value: int) -> Json:
    infos = [
        {
            "quotaId": metric,
            "metric": f"aiplatform.googleapis.com/{metric}",
            "service": "aiplatform.googleapis.com",
            "dimensions": ["region"],
            "dimensionsInfos": [{"dimensions": {}, "details": {"value": str(value)}}],
        }
        for metric in METRICS
    ]
    return {"quotaInfos": infos}


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        members: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return members if is_map(members) else {}
