"""The operations of the emulator: their method, their path, and what carries them out.

The names are the emulator's own, for fault plans; the actions are the rights that Azure's roles
grant (learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloudtune.emulator_kit import Response, Route
from cloudtune_azure.emulator import own_client
from cloudtune_azure.emulator.blobs import ACCOUNT
from cloudtune_azure.emulator.workspace import WORKSPACE_ID, Call, Operations


@dataclass(frozen=True)
class Operation(Route):
    """A route, and what carries it out."""

    FLAGS = re.IGNORECASE

    carry_out: Callable[[Operations], Callable[[Call], Response]]
    action: str = ""
    """The right that it needs; empty for a signed address and for calls of jobs."""

    def respond(self, operations: Operations, call: Call) -> Response:
        """Return the response to a call; blobs are read and written without the lock.

        Raises:
            ServiceError: If Azure would refuse.
        """
        if self.path.startswith(f"/{ACCOUNT}"):
            return self.carry_out(operations)(call)
        with operations.context.lock:
            return self.carry_out(operations)(call)


NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "command jobs do not stop early",
    "no_metric": "command jobs need no metrics",
}
"""Effects that are impossible for jobs, and why."""
NOT_MANAGED: Mapping[str, str] = {}
_ASSET = "/{name}/versions/{version}"
_JOBS, _CODE = f"{WORKSPACE_ID}/jobs", f"{WORKSPACE_ID}/codes{_ASSET}"
_ENVIRONMENT = f"{WORKSPACE_ID}/environments{_ASSET}"
_REGION = (
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
)
_RESULT = f"{_REGION}/mfeOperationResults/jc:{{result}}:{{name}}"
_MLFLOW = f"/mlflow/v1.0{WORKSPACE_ID}/api/2.0/mlflow"
_RUN = f"/history/v1.0{WORKSPACE_ID}/runs/{{name}}"
_CONTAINER = f"/{ACCOUNT}/{{container}}"
_BLOB = f"{_CONTAINER}/{{blob}}"
_ACTION = "Microsoft.MachineLearningServices/workspaces/"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"

OPERATIONS: Mapping[str, Operation] = {
    "GetWorkspace": Operation("GET", WORKSPACE_ID, lambda o: o.get_workspace, f"{_ACTION}read"),
    "GetCompute": Operation(
        "GET",
        f"{WORKSPACE_ID}/computes/{{name}}",
        lambda o: o.get_compute,
        f"{_ACTION}computes/read",
    ),
    "ListSizes": Operation(
        "GET",
        f"{_REGION}/vmSizes",
        lambda o: o.list_sizes,
        "Microsoft.MachineLearningServices/locations/vmSizes/read",
    ),
    "ListUsages": Operation(
        "GET",
        f"{_REGION}/usages",
        lambda o: o.list_usages,
        "Microsoft.MachineLearningServices/locations/usages/read",
    ),
    "GetDatastore": Operation(
        "GET",
        f"{WORKSPACE_ID}/datastores/{{name}}",
        lambda o: o.get_datastore,
        f"{_ACTION}datastores/read",
    ),
    "GetCode": Operation("GET", _CODE, lambda o: o.get_asset, f"{_ACTION}codes/versions/read"),
    "PutCode": Operation("PUT", _CODE, lambda o: o.put_code, f"{_ACTION}codes/versions/write"),
    "StartPendingUpload": Operation(
        "POST",
        f"{_CODE}/startPendingUpload",
        lambda o: o.start_upload,
        f"{_ACTION}codes/versions/write",
    ),
    "GetEnvironment": Operation(
        "GET", _ENVIRONMENT, lambda o: o.get_asset, f"{_ACTION}environments/read"
    ),
    "PutEnvironment": Operation(
        "PUT", _ENVIRONMENT, lambda o: o.put_environment, f"{_ACTION}environments/write"
    ),
    "PutJob": Operation("PUT", f"{_JOBS}/{{name}}", lambda o: o.put_job, f"{_ACTION}jobs/write"),
    "GetJob": Operation("GET", f"{_JOBS}/{{name}}", lambda o: o.get_job, f"{_ACTION}jobs/read"),
    "ListJobs": Operation("GET", _JOBS, lambda o: o.list_jobs, f"{_ACTION}jobs/read"),
    "CancelJob": Operation(
        "POST", f"{_JOBS}/{{name}}/cancel", lambda o: o.cancel_job, f"{_ACTION}jobs/cancel/action"
    ),
    "GetOperationResult": Operation("GET", _RESULT, lambda o: o.get_result, f"{_ACTION}jobs/read"),
    "GetRunDetails": Operation(
        "GET", f"{_RUN}/details", lambda o: o.get_details, f"{_ACTION}experiments/runs/read"
    ),
    "GetRunChildren": Operation(
        "GET", f"{_RUN}/children", lambda o: o.get_children, f"{_ACTION}experiments/runs/read"
    ),
    "LogBatch": Operation("POST", f"{_MLFLOW}/runs/log-batch", lambda o: o.log_batch),
    "LogToRun": Operation("POST", f"{_MLFLOW}/runs/{{call}}", lambda o: o.log_one),
    "GetRun": Operation(
        "GET", f"{_MLFLOW}/runs/get", lambda o: o.get_run, f"{_ACTION}experiments/runs/read"
    ),
    "GetMetricHistory": Operation(
        "GET",
        f"{_MLFLOW}/metrics/get-history",
        lambda o: o.get_history,
        f"{_ACTION}experiments/runs/read",
    ),
    "GetClouds": Operation(
        "GET", own_client.CLOUDS, lambda o: lambda _: own_client.get_clouds(o.url)
    ),
    "GetDiscovery": Operation(
        "GET", own_client.DISCOVERY, lambda o: lambda _: own_client.get_discovery(o.url)
    ),
    "ListCode": Operation(
        "GET",
        f"{WORKSPACE_ID}/codes/{{name}}/versions",
        lambda _: lambda _: own_client.list_code(),
        f"{_ACTION}codes/versions/read",
    ),
    "ListBlobs": Operation("GET", _CONTAINER, lambda o: o.list_blobs, f"{_BLOBS}read"),
    "GetBlob": Operation("GET", _BLOB, lambda o: o.get_blob, f"{_BLOBS}read"),
    "HeadBlob": Operation("HEAD", _BLOB, lambda o: o.head_blob, f"{_BLOBS}read"),
    "PutBlob": Operation("PUT", _BLOB, lambda o: o.put_blob, f"{_BLOBS}write"),
    "DeleteBlob": Operation("DELETE", _BLOB, lambda o: o.delete_blob, f"{_BLOBS}delete"),
}
