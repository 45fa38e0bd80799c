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
from cloudtune_azure.emulator.calls import WORKSPACE_ID, Call
from cloudtune_azure.emulator.workspace import Operations


@dataclass(frozen=True)
class Operation(Route):
    """A route, and what carries it out."""

    FLAGS = re.IGNORECASE

    carry_out: Callable[[Operations, Call], Response]
    action: str = ""
    """The right that it needs; empty for a signed address and for calls of jobs."""

    def respond(self, operations: Operations, call: Call) -> Response:
        """Return the response to a call; blobs are read and written without the lock.

        Raises:
            ServiceError: If Azure would refuse.
        """
        if self.path.startswith(f"/{ACCOUNT}"):
            return self.carry_out(operations, call)
        with operations.context.lock:
            return self.carry_out(operations, call)


NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "command jobs do not stop early",
    "no_metric": "command jobs need no metrics",
}
"""Effects that are impossible for jobs, and why."""
NOT_MANAGED: Mapping[str, str] = {}
_ASSET = "/{name}/versions/{version}"
_JOB, _COMPUTE = f"{WORKSPACE_ID}/jobs/{{name}}", f"{WORKSPACE_ID}/computes/{{name}}"
_STORE, _CODE = f"{WORKSPACE_ID}/datastores/{{name}}", f"{WORKSPACE_ID}/codes{_ASSET}"
_CODES = f"{WORKSPACE_ID}/codes/{{name}}/versions"
_ENVIRONMENT = f"{WORKSPACE_ID}/environments{_ASSET}"
_REGION = (
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
)
_RESULT = f"{_REGION}/mfeOperationResults/jc:{{result}}:{{name}}"
_MLFLOW = f"/mlflow/v1.0{WORKSPACE_ID}/api/2.0/mlflow"
_RUN_DATA = f"/history/v1.0{WORKSPACE_ID}/rundata"
_RUN = f"/history/v1.0{WORKSPACE_ID}/runs/{{name}}"
_CONTAINER = f"/{ACCOUNT}/{{container}}"
_BLOB = f"{_CONTAINER}/{{blob}}"
_RUNS_READ = "experiments/runs/read"
_SERVICE = "Microsoft.MachineLearningServices/"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"


def _of_workspace(
    method: str, path: str, carry_out: Callable[[Operations, Call], Response], right: str
) -> Operation:
    return Operation(method, path, carry_out, f"{_SERVICE}workspaces/{right}")


OPERATIONS: Mapping[str, Operation] = {
    "GetWorkspace": _of_workspace("GET", WORKSPACE_ID, Operations.get_workspace, "read"),
    "GetCompute": _of_workspace("GET", _COMPUTE, Operations.get_compute, "computes/read"),
    "ListSizes": Operation(
        "GET", f"{_REGION}/vmSizes", Operations.list_sizes, f"{_SERVICE}locations/vmSizes/read"
    ),
    "ListUsages": Operation(
        "GET", f"{_REGION}/usages", Operations.list_usages, f"{_SERVICE}locations/usages/read"
    ),
    "GetDatastore": _of_workspace("GET", _STORE, Operations.get_datastore, "datastores/read"),
    "ListDatastores": _of_workspace(
        "GET", f"{WORKSPACE_ID}/datastores", Operations.list_datastores, "datastores/read"
    ),
    "ListSecrets": _of_workspace(
        "POST",
        f"{_STORE}/listSecrets",
        lambda _o, _: own_client.list_secrets(),
        "datastores/listSecrets/action",
    ),
    "GetCode": _of_workspace("GET", _CODE, Operations.get_asset, "codes/versions/read"),
    "PutCode": _of_workspace("PUT", _CODE, Operations.put_code, "codes/versions/write"),
    "StartPendingUpload": _of_workspace(
        "POST", f"{_CODE}/startPendingUpload", Operations.start_upload, "codes/versions/write"
    ),
    "GetEnvironment": _of_workspace("GET", _ENVIRONMENT, Operations.get_asset, "environments/read"),
    "PutEnvironment": _of_workspace(
        "PUT", _ENVIRONMENT, Operations.put_environment, "environments/write"
    ),
    "PutJob": _of_workspace("PUT", _JOB, Operations.put_job, "jobs/write"),
    "GetJob": _of_workspace("GET", _JOB, Operations.get_job, "jobs/read"),
    "ListJobs": _of_workspace("GET", f"{WORKSPACE_ID}/jobs", Operations.list_jobs, "jobs/read"),
    "CancelJob": _of_workspace(
        "POST", f"{_JOB}/cancel", Operations.cancel_job, "jobs/cancel/action"
    ),
    "GetOperationResult": _of_workspace("GET", _RESULT, Operations.get_result, "jobs/read"),
    "GetRunDetails": _of_workspace("GET", f"{_RUN}/details", Operations.get_details, _RUNS_READ),
    "GetRunChildren": _of_workspace("GET", f"{_RUN}/children", Operations.get_children, _RUNS_READ),
    "GetRunData": _of_workspace("POST", _RUN_DATA, Operations.get_run_data, _RUNS_READ),
    "LogBatch": Operation("POST", f"{_MLFLOW}/runs/log-batch", Operations.log_batch),
    "LogToRun": Operation("POST", f"{_MLFLOW}/runs/{{call}}", Operations.log_one),
    "GetRun": _of_workspace("GET", f"{_MLFLOW}/runs/get", Operations.get_run, _RUNS_READ),
    "GetMetricHistory": _of_workspace(
        "GET", f"{_MLFLOW}/metrics/get-history", Operations.get_history, _RUNS_READ
    ),
    "GetClouds": Operation(
        "GET", own_client.CLOUDS, lambda o, _: own_client.get_clouds(o.url, o.key)
    ),
    "GetDiscovery": Operation(
        "GET", own_client.DISCOVERY, lambda o, _: own_client.get_discovery(o.url)
    ),
    "ListCode": _of_workspace(
        "GET", _CODES, lambda _o, _: own_client.list_code(), "codes/versions/read"
    ),
    "ListBlobs": Operation("GET", _CONTAINER, Operations.list_blobs, f"{_BLOBS}read"),
    "GetBlob": Operation("GET", _BLOB, Operations.get_blob, f"{_BLOBS}read"),
    "HeadBlob": Operation("HEAD", _BLOB, Operations.head_blob, f"{_BLOBS}read"),
    "PutBlob": Operation("PUT", _BLOB, Operations.put_blob, f"{_BLOBS}write"),
    "DeleteBlob": Operation("DELETE", _BLOB, Operations.delete_blob, f"{_BLOBS}delete"),
}
