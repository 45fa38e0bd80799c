"""What the emulator does for each operation: jobs, assets, run history, MLflow and blobs."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path

from cloudtune.emulator_kit import (
    Context,
    Delays,
    FaultPlan,
    Json,
    Response,
    StudyError,
    app,
)
from cloudtune_azure.emulator import machines, own_client, sweep_views, tracking, views
from cloudtune_azure.emulator.blobs import (
    ACCOUNT,
    ARTIFACTS,
    DEFAULT_DATASTORE,
    Blobs,
    artifacts_folder,
)
from cloudtune_azure.emulator.calls import JOB, Call, answer, check_job
from cloudtune_azure.emulator.errors import asset_not_found, bad_argument, job_not_found
from cloudtune_azure.emulator.script_jobs import Jobs, missing_binding
from cloudtune_azure.emulator.state import Job, Sweep
from cloudtune_azure.emulator.tuner import Tuner

LOCATION = "emulated"
_CHANGEABLE = ("tags", "properties", "displayName", "description", "isArchived")
"""The fields of a job that a second PUT changes."""


class Operations(app.Operations[Jobs, Tuner]):
    """Carries out operations on emulated workspaces, which share their jobs and assets."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        lock = threading.RLock()
        self.blobs = Blobs(folder / "blobs")
        jobs = Jobs(delays, lock, self.blobs, url, key, trusting=own_client.trusting(folder, url))
        super().__init__(Context(folder, delays, faults, jobs, lock))
        self.url = url
        self.key = key
        self.jobs: dict[str, Job | Sweep] = {}
        self._assets: dict[str, Json] = {}
        """Codes and environments by their path."""

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

    def get_compute(self, call: Call) -> Response:
        """Return a cluster; each name is one."""
        return answer({**machines.compute(call.path), "location": LOCATION, "tags": None})

    def list_sizes(self, call: Call) -> Response:
        """Return the one type of machine."""
        del call
        return answer({"value": [machines.size()]})

    def list_usages(self, call: Call) -> Response:
        """Return the quota of a region."""
        running = sum(not job.is_over for job in self.jobs.values())
        return answer({"value": [machines.usage(call.names["subscription"], running)]})

    def get_datastore(self, call: Call) -> Response:
        """Return a datastore; each name is one, with a container of that name."""
        return answer(_datastore(call.path))

    def list_datastores(self, call: Call) -> Response:
        """Return the default datastore."""
        return answer({"value": [_datastore(f"{call.path}/{DEFAULT_DATASTORE}")]})

    def get_asset(self, call: Call) -> Response:
        """Return a version of code or of an environment."""
        if call.path not in self._assets:
            raise asset_not_found(call.path, call.names["name"], call.names["version"])
        return answer(self._assets[call.path])

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

    def put_environment(self, call: Call) -> Response:
        """Register an environment: 201, or 200 if it is there."""
        given = call.properties({})
        empty: Json = {"description": None, "tags": {}, "properties": {}, "condaFile": ""}
        properties: Json = {**empty, **given, "environmentType": "UserCreated", "osType": "Linux"}
        if call.version >= "2023":
            properties |= {"provisioningState": "Succeeded", "autoRebuild": "Disabled"}
            properties |= {"stage": "Logged", "intellectualProperty": None}
            properties["autoDeleteSetting"] = None
        return self._put(call, "environments/versions", properties)

    def start_upload(self, call: Call) -> Response:
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
        location = ("Location", f"{self.url}{call.path}?api-version={call.version}")
        return answer(self._view(job, call), 201, location)

    def _start(self, call: Call, given: Json) -> Job:
        name = call.names["name"]
        try:
            folder = self.context.job_folder(name)
        except ValueError as error:
            raise bad_argument(f"The name of the job is invalid: {error}") from error
        job = Job(name, call.workspace, given, folder, folder / "log.txt")
        job.fault = self.context.faults.next_trial()
        self.jobs[name] = job
        self._publish_log(job)
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
        self._publish_log(job)

    def get_job(self, call: Call) -> Response:
        """Return a job."""
        return answer(self._view(self._job(call), call))

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

    def get_result(self, call: Call) -> Response:
        """Return the result of a cancellation: 202 until the job has ended."""
        if self._job(call).is_over:
            return Response(200, headers=[("x-ms-response-type", "standard")])
        address = f"{self.url}{call.path}?api-version={call.version}"
        return answer({}, 202, ("Location", address))

    def get_details(self, call: Call) -> Response:
        """Return a job in run history."""
        job = self._job(call)
        if isinstance(job, Sweep):
            return answer(views.details(job, ""))
        log = f"{self.url}/{ACCOUNT}/{_log_blob(job)}?sig={self.key}"
        return answer(views.details(job, log if job.log.is_file() else ""))

    def get_children(self, call: Call) -> Response:
        """Return the children of a job in run history, on one page."""
        job = self._job(call)
        return answer(sweep_views.children(job) if isinstance(job, Sweep) else {"value": []})

    def get_run_data(self, call: Call) -> Response:
        """Return a job in run history, by its name in the body."""
        job = self.jobs.get(str(call.content.get("runId")))
        if job is None:
            raise job_not_found(str(call.content.get("runId")))
        return answer({"runMetadata": views.details(job, ""), "runDefinition": None})

    def log_batch(self, call: Call) -> Response:
        """Add values and tags to a run."""
        content = call.content
        return answer(tracking.log_batch(self._run(str(content.get("run_id"))), content))

    def log_one(self, call: Call) -> Response:
        """Add a metric, a parameter or a tag to a run, or end it."""
        content = call.content
        run = self._run(str(content.get("run_id") or content.get("run_uuid")))
        return answer(tracking.log(run, call.names["call"], content))

    def get_run(self, call: Call) -> Response:
        """Return a run."""
        return answer(tracking.get_run(self._run(call.query.get("run_id", ""))))

    def get_history(self, call: Call) -> Response:
        """Return all values of a metric of a run."""
        run = self._run(call.query.get("run_id", ""))
        return answer(tracking.get_history(run, call.query.get("metric_key", "")))

    def list_blobs(self, call: Call) -> Response:
        """Return the blobs of a container."""
        return self.blobs.list(call.names["container"], call.query.get("prefix", ""))

    def get_blob(self, call: Call) -> Response:
        """Return a blob or a part of it."""
        range_ = call.headers.get("x-ms-range") or call.headers.get("range") or ""
        return self.blobs.get(*_place(call), range_)

    def head_blob(self, call: Call) -> Response:
        """Return the properties of a blob."""
        return self.blobs.head(*_place(call))

    def put_blob(self, call: Call) -> Response:
        """Write a blob, one of its parts, the list of them, or its metadata."""
        kind = call.query.get("comp")
        if kind == "metadata":
            return self.blobs.set_metadata(*_place(call))
        if kind == "blocklist":
            return self.blobs.put_block_list(*_place(call), call.body)
        if kind == "block":
            block = call.query.get("blockid", "")
            return self.blobs.put_block(*_place(call), block, call.stream, call.length)
        return self.blobs.put(*_place(call), call.stream, call.length)

    def delete_blob(self, call: Call) -> Response:
        """Delete a blob."""
        return self.blobs.delete(*_place(call))

    def _put(self, call: Call, kind: str, properties: Json) -> Response:
        is_new = call.path not in self._assets
        found = views.resource(call.path, kind, properties, time.time())
        self._assets[call.path] = found
        location = ("Location", f"{self.url}{call.path}?api-version={call.version}")
        return answer(found, 201, location) if is_new else answer(found)

    def _publish_log(self, job: Job) -> None:
        container, _, name = _log_blob(job).partition("/")
        path = self.blobs.path(container, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(job.log)

    def _view(self, job: Job | Sweep, call: Call) -> Json:
        if isinstance(job, Sweep):
            return sweep_views.sweep(job, self.url, call.version)
        return views.job(job, self.url, call.version)

    def _job(self, call: Call) -> Job | Sweep:
        job = self.jobs.get(call.names["name"])
        if job is None:
            raise job_not_found(call.names["name"])
        return job

    def _run(self, run: str) -> Job:
        job = self.jobs.get(run)
        if not isinstance(job, Job):
            raise tracking.no_run(run)
        return job


def _datastore(path: str) -> Json:
    name = path.rpartition("/")[2]
    properties = {
        "description": None,
        "tags": None,
        "properties": None,
        "isDefault": name == DEFAULT_DATASTORE,
        "credentials": {"credentialsType": "AccountKey"},
        "datastoreType": "AzureBlob",
        "accountName": ACCOUNT,
        "containerName": name,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": "None",
    }
    return views.resource(path, "datastores", properties, time.time())


def _log_blob(job: Job) -> str:
    return f"{ARTIFACTS}/{artifacts_folder(job.name)}/user_logs/std_log.txt"


def _place(call: Call) -> tuple[str, str]:
    return call.names["container"], call.names["blob"]
