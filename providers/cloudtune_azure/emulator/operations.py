"""What the emulator does for each operation: jobs, assets, run history, MLflow and blobs.

The names are the emulator's own, for fault plans; the rights are those that Azure's roles grant
(learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning).
"""

from __future__ import annotations

import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

from cloudtune.emulator_kit import (
    Context,
    Delays,
    FaultPlan,
    Json,
    Operation,
    Response,
    StudyError,
    app,
    operation,
    operations_of,
)
from cloudtune_azure.emulator import machines, own_client, sweep_views, views
from cloudtune_azure.emulator.blobs import (
    ACCOUNT,
    ARTIFACTS,
    DEFAULT_DATASTORE,
    Blobs,
    log_blob,
)
from cloudtune_azure.emulator.calls import JOB, WORKSPACE_ID, Call, answer, check_job
from cloudtune_azure.emulator.errors import asset_not_found, bad_argument, job_not_found
from cloudtune_azure.emulator.mlflow_calls import RUNS_READ, MlflowCalls
from cloudtune_azure.emulator.script_jobs import Jobs, missing_binding
from cloudtune_azure.emulator.state import Job, Sweep
from cloudtune_azure.emulator.tuner import Tuner

LOCATION = "emulated"
_CHANGEABLE = ("tags", "properties", "displayName", "description", "isArchived")
"""The fields of a job that a second PUT changes."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "command jobs do not stop early",
    "no_metric": "command jobs need no metrics",
}
"""Effects that are impossible for jobs, and why."""
NOT_MANAGED: Mapping[str, str] = {}
_ASSET = "/{name}/versions/{version}"
_NOT_SET = ("intellectualProperty", "autoDeleteSetting")
_HISTORY = f"(?i)/history/v1.0{WORKSPACE_ID}"
_REGION = (
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
)
_CONTAINER = f"/{ACCOUNT}/{{container}}"
_BLOB = f"{_CONTAINER}/{{blob}}"
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"

Method = Callable[["Operations", Call], Response]


def _of_workspace(
    method: str, path: str, right: str, *, name: str = ""
) -> Callable[[Method], Method]:
    right = f"Microsoft.MachineLearningServices/workspaces/{right}"
    return operation(method, f"(?i){WORKSPACE_ID}{path}", right, name=name)


def _of_region(path: str, right: str) -> Callable[[Method], Method]:
    right = f"Microsoft.MachineLearningServices/locations/{right}"
    return operation("GET", f"(?i){_REGION}/{path}", right)


class Operations(MlflowCalls, app.Operations[Jobs, Tuner]):
    """Carries out operations on emulated workspaces, which share their jobs and assets."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        lock = threading.RLock()
        self.blobs = Blobs(folder / "blobs")
        variables = {
            **dict.fromkeys(("AZUREML_RUN_TOKEN", "MLFLOW_TRACKING_TOKEN"), key),
            "MLFLOW_TRACKING_URI": f"{url}/mlflow/v1.0",
            **own_client.trusting(folder, url),
        }
        jobs = Jobs(delays, lock, self.blobs, variables)
        super().__init__(Context(folder, delays, faults, jobs, lock))
        self.url = url
        self.key = key
        self.jobs = {}
        self.nested = {}
        self._assets: dict[str, Json] = {}
        """Codes and environments by their path."""

    @_of_workspace("GET", "", "read")
    def get_workspace(self, call: Call) -> Response:
        """Return a workspace; each name is one (import_job_download)."""
        host = self.url.partition("://")[2]
        properties = {
            "friendlyName": call.names["workspace"],
            "provisioningState": "Succeeded",
            "discoveryUrl": f"{self.url}{own_client.DISCOVERY}?sig={self.key}",
            "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{call.workspace}",
            "publicNetworkAccess": "Enabled",
        }
        found = views.resource(call.path, "", properties, time.time())
        kind = "Microsoft.MachineLearningServices/workspaces"
        return answer({**found, "type": kind, "location": LOCATION, "tags": {}})

    @_of_workspace("GET", "/computes/{name}", "computes/read")
    def get_compute(self, call: Call) -> Response:
        """Return a cluster; each name is one."""
        return answer({**machines.compute(call.path), "location": LOCATION, "tags": None})

    @_of_region("vmSizes", "vmSizes/read")
    def list_sizes(self, _call: Call) -> Response:
        """Return the one type of machine."""
        return answer({"value": [machines.size()]})

    @_of_region("usages", "usages/read")
    def list_usages(self, call: Call) -> Response:
        """Return the quota of a region."""
        return self.usages(call, machines.QUOTA)

    def usages(self, call: Call, limit: int) -> Response:
        """Return the quota of a region: so many vCPUs."""
        running = sum(not job.is_over for job in self.jobs.values())
        return answer({"value": [machines.usage(call.names["subscription"], running, limit)]})

    @_of_workspace("GET", "/datastores/{name}", "datastores/read")
    def get_datastore(self, call: Call) -> Response:
        """Return a datastore; each name is one, with a container of that name."""
        return answer(machines.datastore(call.path))

    @_of_workspace("GET", "/datastores", "datastores/read")
    def list_datastores(self, call: Call) -> Response:
        """Return the default datastore."""
        return answer({"value": [machines.datastore(f"{call.path}/{DEFAULT_DATASTORE}")]})

    @_of_workspace("GET", f"/codes{_ASSET}", "codes/versions/read")
    def get_code(self, call: Call) -> Response:
        """Return a version of code."""
        if call.path not in self._assets:
            raise asset_not_found(call.path, call.names["name"], call.names["version"])
        return answer(self._assets[call.path])

    @_of_workspace("GET", f"/environments{_ASSET}", "environments/read")
    def get_environment(self, call: Call) -> Response:
        """Return a version of an environment; each name but that of those without one has all."""
        if call.path in self._assets or call.names["name"] == machines.NO_NAME:
            return self.get_code(call)
        return answer(machines.environment(call.path))

    @_of_workspace("GET", "/environments/{name}/versions", "environments/read")
    def list_environments(self, call: Call) -> Response:
        """Return the versions of an environment, the newest first; 1 if none is registered."""
        known = [each for path, each in self._assets.items() if path.startswith(f"{call.path}/")]
        found = known[::-1] or [machines.environment(f"{call.path}/1")]
        return answer({"value": found[: int(call.query.get("$top", len(found)))]})

    @_of_workspace("PUT", f"/codes{_ASSET}", "codes/versions/write")
    def put_code(self, call: Call) -> Response:
        """Register code: 201, or 200 if it is there."""
        given = call.properties({"codeUri": str})
        address: str = given["codeUri"]
        _, found, place = address.partition(f"/{ACCOUNT}/")
        container, _, folder = place.partition("/")
        if not found or not container:
            raise bad_argument(f"The code {address} is not in a storage account of the workspace.")
        self.context.jobs.codes[call.path] = container, folder
        properties: Json = {"description": None, "tags": {}, "properties": {}, **given}
        properties["isAnonymous"] = False
        if call.version >= "2023":
            properties["provisioningState"] = "Succeeded"
        return self._put(call, "codes/versions", properties)

    @_of_workspace("PUT", f"/environments{_ASSET}", "environments/write")
    def put_environment(self, call: Call) -> Response:
        """Register an environment: 201, or 200 if it is there."""
        given = call.properties({})
        empty: Json = {"description": None, "tags": {}, "properties": {}, "condaFile": ""}
        properties: Json = {**empty, **given, "environmentType": "UserCreated", "osType": "Linux"}
        if call.version >= "2023":
            properties |= {"provisioningState": "Succeeded", "autoRebuild": "Disabled"}
            properties |= {"stage": "Logged", **dict.fromkeys(_NOT_SET)}
        return self._put(call, "environments/versions", properties)

    @_of_workspace("POST", f"/codes{_ASSET}/startPendingUpload", "codes/versions/write")
    def start_pending_upload(self, call: Call) -> Response:
        """Return a new container with a signature (asset_pending_upload_same_code_twice)."""
        container = f"{secrets.token_hex(4)}-b-{secrets.token_hex(8)}"
        address = f"{self.url}/{ACCOUNT}/{container}"
        reference = {
            "blobUri": address,
            "storageAccountArmId": f"/subscriptions/{call.names['subscription']}/{ACCOUNT}",
            "credential": {"credentialType": "SAS", "sasUri": f"{address}?sig={self.key}"},
        }
        return answer(
            {
                "blobReferenceForConsumption": reference,
                "pendingUploadId": secrets.token_hex(16),
                "pendingUploadType": "None",
            }
        )

    @_of_workspace("PUT", "/jobs/{name}", "jobs/write")
    def put_job(self, call: Call) -> Response:
        """Create a job: 201, or change one that exists: 200 (command_job_local)."""
        given = call.properties(JOB)
        name = call.names["name"]
        if (job := self.jobs.get(name)) is not None:
            job.request |= {key: given[key] for key in _CHANGEABLE if key in given}
            return answer(self._view(job, call))
        kind = given.get("jobType")
        if kind not in {"Command", "Sweep"}:
            raise bad_argument(f"The emulator runs no jobs of the type {kind}.")
        check_job(given)
        if binding := missing_binding(given):
            raise bad_argument(f"Invalid command, since {binding} does not exist.")
        job = self._start_sweep(call, name, given) if kind == "Sweep" else self._start(call, given)
        return answer(self._view(job, call), 201, self._location(call))

    def _start(self, call: Call, given: Json) -> Job:
        name = call.names["name"]
        try:
            folder = self.context.job_folder(name)
        except ValueError as error:
            raise bad_argument(f"The name of the job is invalid: {error}") from error
        job = Job(name, call.workspace, given, folder, folder / "log.txt")
        job.fault = self.context.faults.next_trial()
        self.jobs[name] = job
        self.blobs.publish_log(job.name, job.log)
        self.context.jobs.launch(job)
        return job

    def _start_sweep(self, call: Call, name: str, given: Json) -> Sweep:
        sweep = Sweep(name, call.workspace, given)
        try:
            tuner = Tuner(sweep, self.context, self._add_child)
        except (StudyError, ValueError, OverflowError) as error:
            raise bad_argument(f"The sweep is invalid: {error}") from error
        self.jobs[name] = sweep
        self.tuners[name] = tuner
        tuner.start()
        return sweep

    def _add_child(self, job: Job) -> None:
        self.jobs[job.name] = job
        self.blobs.publish_log(job.name, job.log)

    @_of_workspace("GET", "/jobs/{name}", "jobs/read")
    def get_job(self, call: Call) -> Response:
        """Return a job."""
        return answer(self._view(self._job(call), call))

    @_of_workspace("GET", "/jobs", "jobs/read")
    def list_jobs(self, call: Call) -> Response:
        """Return the jobs that are not archived, all or archived, or have a tag, on one page."""
        tag, which = call.query.get("tag"), call.query.get("listViewType", "ActiveOnly")
        found = [
            self._view(job, call)
            for job in self.jobs.values()
            if getattr(job, "sweep", None) is None  # the children of sweeps are in run history
            if which == "All" or bool(job.request.get("isArchived")) == (which == "ArchivedOnly")
            if tag is None or tag in (job.request.get("tags") or {})
        ]
        return answer({"value": found})

    @_of_workspace("POST", "/jobs/{name}/cancel", "jobs/cancel/action")
    def cancel_job(self, call: Call) -> Response:
        """Cancel a job: 202 with the address of the result, or 200 if it has ended."""
        job = self._job(call)
        if job.is_over:
            return Response(200, headers=[("x-ms-response-type", "standard")])
        if isinstance(job, Sweep):
            self.tuners[job.name].cancel()
        else:
            self.context.jobs.stop(job)
        result = (
            f"{self.url}/subscriptions/{call.names['subscription']}/providers/"
            f"Microsoft.MachineLearningServices/locations/{LOCATION}/mfeOperationResults/"
            f"jc:{secrets.token_hex(8)}:{job.name}?api-version={call.version}"
        )
        timeout = ("x-ms-async-operation-timeout", "PT1H")
        return answer("null", 202, ("Location", result), timeout)

    @operation(
        "GET",
        f"(?i){_REGION}/mfeOperationResults/jc:{{result}}:{{name}}",
        "Microsoft.MachineLearningServices/workspaces/jobs/read",
    )
    def get_operation_result(self, call: Call) -> Response:
        """Return the result of a cancellation: 202 until the job has ended."""
        if self._job(call).is_over:
            return Response(200, headers=[("x-ms-response-type", "standard")])
        return answer({}, 202, self._location(call))

    @operation("GET", f"{_HISTORY}/runs/{{name}}/details", RUNS_READ)
    def get_run_details(self, call: Call) -> Response:
        """Return a job in run history."""
        job = self._job(call)
        if isinstance(job, Sweep):
            return answer(views.details(job, ""))
        log = f"{self.url}/{ACCOUNT}/{ARTIFACTS}/{log_blob(job.name)}?sig={self.key}"
        return answer(views.details(job, log if job.log.is_file() else ""))

    @operation("GET", f"{_HISTORY}/runs/{{name}}/children", RUNS_READ)
    def get_run_children(self, call: Call) -> Response:
        """Return the children of a job in run history, on one page."""
        job = self._job(call)
        return answer(sweep_views.children(job) if isinstance(job, Sweep) else {"value": []})

    @operation("POST", f"{_HISTORY}/rundata", RUNS_READ)
    def get_run_data(self, call: Call) -> Response:
        """Return a job in run history, by its name in the body."""
        job = self._find(str(call.content.get("runId")))
        return answer({"runMetadata": views.details(job, ""), "runDefinition": None})

    @_of_workspace("GET", "/codes/{name}/versions", "codes/versions/read")
    def list_code(self, _call: Call) -> Response:
        """Return no version of code with this hash: it is uploaded (sweep_submit_minimal)."""
        return answer({"value": []})

    @_of_workspace("POST", "/datastores/{name}/listSecrets", "datastores/listSecrets/action")
    def list_secrets(self, _call: Call) -> Response:
        """Return a key of the storage account, whose signatures nothing checks."""
        return answer({"secretsType": "AccountKey", "key": b64encode(b"emulated").decode()})

    @operation("GET", own_client.CLOUDS)
    def get_clouds(self, _call: Call) -> Response:
        """Return the addresses of this cloud, for Microsoft's own client."""
        return answer(own_client.clouds(self.url, self.key))

    @operation("GET", own_client.DISCOVERY)
    def get_discovery(self, _call: Call) -> Response:
        """Return the addresses of a workspace's own services."""
        return answer({"api": self.url, "history": self.url})

    def _put(self, call: Call, kind: str, properties: Json) -> Response:
        is_new = call.path not in self._assets
        found = views.resource(call.path, kind, properties, time.time())
        self._assets[call.path] = found
        return answer(found, 201, self._location(call)) if is_new else answer(found)

    def _location(self, call: Call) -> tuple[str, str]:
        return "Location", f"{self.url}{call.path}?api-version={call.version}"

    def _view(self, job: Job | Sweep, call: Call) -> Json:
        if isinstance(job, Sweep):
            return sweep_views.sweep(job, self.url, call.version)
        return views.job(job, self.url, call.version)

    def _job(self, call: Call) -> Job | Sweep:
        return self._find(call.names["name"])

    def _find(self, name: str) -> Job | Sweep:
        if name not in self.jobs:
            raise job_not_found(name)
        return self.jobs[name]


OPERATIONS: Mapping[str, Operation] = {
    **operations_of(MlflowCalls),
    **operations_of(Operations),
    "ListBlobs": Operation("GET", _CONTAINER, lambda o, c: o.blobs.list(c), f"{_BLOBS}read"),
    "GetBlob": Operation("GET", _BLOB, lambda o, c: o.blobs.get(c), f"{_BLOBS}read"),
    "HeadBlob": Operation("HEAD", _BLOB, lambda o, c: o.blobs.head(c), f"{_BLOBS}read"),
    "PutBlob": Operation("PUT", _BLOB, lambda o, c: o.blobs.put(c), f"{_BLOBS}write"),
    "DeleteBlob": Operation("DELETE", _BLOB, lambda o, c: o.blobs.delete(c), f"{_BLOBS}delete"),
}
