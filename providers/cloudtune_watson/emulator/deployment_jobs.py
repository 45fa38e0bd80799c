"""Jobs of batch deployments, which run a script and keep the files that it leaves.

The calls are those of ``deployments.py`` of ibm_watsonx_ai 1.8.1 (``create_job``,
``get_job_details``, ``get_job_status``, ``delete_job``); variables, filters and the location of the
results are those of IBM's pages and types that ``jobs/SOURCES.md`` names. Chosen, since no source
says it: results exist only if the script ends without an error; a script that fails makes its job
``failed``; IBM does not start a script again; names need not be unique.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudtune.emulator_kit import Context, Json, Response, json_response, operation
from cloudtune_watson.contract import BatchMetrics, Container, batch_start
from cloudtune_watson.emulator import delays
from cloudtune_watson.emulator.assets import DATA, SCRIPT, Assets
from cloudtune_watson.emulator.deployments import HARDWARE, Deployment, Deployments
from cloudtune_watson.emulator.errors import ServiceError, invalid, not_found, unimplemented
from cloudtune_watson.emulator.keys import Keys
from cloudtune_watson.emulator.lists import demand_version, page_of
from cloudtune_watson.emulator.script import create_container
from cloudtune_watson.emulator.script_jobs import Jobs
from cloudtune_watson.emulator.state import Job, Script
from cloudtune_watson.emulator.storage import Scope, files, scope_in, scope_of
from cloudtune_watson.emulator.times import format_time
from cloudtune_watson.emulator.wire import (
    ANY,
    FREE,
    TEXT,
    Call,
    ListOf,
    Map,
    demand,
)

MAX_RUNNING = 2
"""Running jobs of one deployment (page on batch deployments of Cloud Pak for Data 3.5)."""
MAX_KEPT = 300
"""Jobs in a list: a cluster keeps the most recent ones (``cpd-cli`` deployment-job list, 5.4)."""
_REFERENCE = Map(
    {"type": TEXT, "location": FREE},
    {"id": TEXT, "name": TEXT, "connection": FREE, "schema": FREE},
)
REQUEST = Map(
    {"name": TEXT, "space_id": TEXT, "deployment": Map({"id": TEXT}, {"href": TEXT})},
    {
        "description": TEXT,
        "tags": ListOf(TEXT),
        "custom": FREE,
        "hardware_spec": HARDWARE,
        "hybrid_pipeline_hardware_specs": ListOf(FREE),
        "decision_optimization": ANY,
        "scoring": Map(
            {},
            {
                "environment_variables": FREE,
                "input_data": ListOf(FREE),
                "input_data_references": ListOf(_REFERENCE),
                "output_data_reference": _REFERENCE,
            },
        ),
    },
)
STATES = {
    "waiting": "queued",
    "running": "running",
    "storing": "running",
    "completed": "completed",
    "failed": "failed",
    "stopped": "canceled",
}
PATH = "/ml/v4/deployment_jobs"
_JOB_RUN = "/v2/jobs/{id}/runs/{run}"


@dataclass
class DeploymentJob:
    """A job of a deployment. Changed only under the emulator's lock."""

    scope: Scope
    request: Json
    job: Job
    platform_job: str
    run: str
    output: str | None = None
    """The id of the data asset with its results."""

    @property
    def deployment(self) -> str:
        """The id of its deployment."""
        id_: str = self.request["deployment"]["id"]
        return id_


class DeploymentJobs:
    """The jobs of all deployments."""

    def __init__(self, assets: Assets, keys: Keys, context: Context[Jobs]) -> None:
        self._assets = assets
        self._keys = keys
        self._context = context
        self._jobs = context.jobs
        self._by_id: dict[str, DeploymentJob] = {}
        self.deployments = Deployments(assets, context, self._delete_of_deployment)

    @operation("POST", PATH, name="CreateDeploymentJob")
    def create(self, call: Call) -> Response:
        """POST /ml/v4/deployment_jobs."""
        demand_version(call)
        request = call.json()
        demand(request, REQUEST)
        scope = scope_of(request["space_id"], None)
        deployment = self.deployments.find(scope, request["deployment"]["id"])
        if deployment is None:
            raise not_found(f"The deployment {request['deployment']['id']!r} does not exist.")
        if deployment.state != "ready":
            raise invalid(f"The deployment is {deployment.state}.")
        _demand_supported(request)
        id_ = str(uuid.uuid4())
        folder = self._context.folder / "jobs" / id_
        payload = folder / "payload.json"
        job = Job(
            id=id_,
            log=folder / "logs" / "output.txt",
            prepare=self._preparation(folder, request, deployment, payload),
            live=False,
            queued=lambda: self._is_queued(id_),
            restarts=False,
            keep=lambda: self._keep(id_, folder),
            payload=payload,
            fault=self._context.faults.next_trial(),
        )
        created = DeploymentJob(scope, request, job, str(uuid.uuid4()), str(uuid.uuid4()))
        self._by_id[id_] = created
        self._jobs.launch(job)
        return json_response(self._view(created, ""), 202)

    @operation("GET", f"{PATH}/{{id}}", name="GetDeploymentJob")
    def get(self, call: Call) -> Response:
        """GET /ml/v4/deployment_jobs/{id}."""
        demand_version(call)
        return json_response(self._view(self._named(call), call.one("include") or ""))

    @operation("GET", PATH, name="ListDeploymentJobs")
    def list(self, call: Call) -> Response:
        """GET /ml/v4/deployment_jobs: the most recent ones, by deployment, state and tags."""
        demand_version(call)
        scope, deployment, state = scope_in(call), call.one("deployment_id"), call.one("state")
        tags = set(call.query.get("tag.value", ()))
        of_space = [each for each in self._by_id.values() if each.scope == scope][-MAX_KEPT:]
        rows = [
            self._view(each, call.one("include") or "")
            for each in reversed(of_space)
            if deployment in (None, each.deployment)
            and state in (None, self._state(each.job))
            and tags <= set(each.request.get("tags", ()))
        ]
        return json_response(page_of(call, PATH, rows))

    @operation("DELETE", f"{PATH}/{{id}}", name="DeleteDeploymentJob")
    def delete(self, call: Call) -> Response:
        """DELETE /ml/v4/deployment_jobs/{id}: cancel it; with ``hard_delete`` also delete it.

        Chosen: the refusal to cancel a job that has ended is that of trainings.
        """
        demand_version(call)
        job = self._named(call)
        if call.one("hard_delete") == "true":
            self._jobs.stop(job.job)
            del self._by_id[job.job.id]
        elif job.job.is_over:
            raise invalid(f"Job already completed with state {self._state(job.job)}.")
        else:
            self._jobs.stop(job.job)
        return Response(204)

    @operation("GET", _JOB_RUN, name="GetJobRun")
    def get_run(self, call: Call) -> Response:
        """GET /v2/jobs/{id}/runs/{run}."""
        job = self._of_run(call)
        state = self._state(job.job).capitalize()
        entity = {"job_run": {"job_ref": job.platform_job, "state": state}}
        return json_response({"metadata": {"asset_id": job.run}, "entity": entity})

    @operation("DELETE", _JOB_RUN, name="DeleteJobRun")
    def delete_run(self, call: Call) -> Response:
        """DELETE /v2/jobs/{id}/runs/{run}, with which clients of older clusters cancel a job."""
        self._jobs.stop(self._of_run(call).job)
        return Response(204)

    @operation("GET", f"{_JOB_RUN}/logs", name="GetJobRunLogs")
    def run_logs(self, call: Call) -> Response:
        """GET /v2/jobs/{id}/runs/{run}/logs; that it has a script's output is not established."""
        log = self._of_run(call).job.log
        lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
        return json_response({"results": lines, "total_count": len(lines)})

    def _view(self, job: DeploymentJob, include: str) -> Json:
        """Return a job in the recorded form; with ``include``, only these parts of ``scoring``.

        While it is queued, ``platform_job`` is there and ``modified_at`` is not; there is no
        ``owner`` (tests/recordings/ibm, 2020 to 2024).
        """
        request, state = job.request, job.job
        scoring: Json = dict(request["scoring"])
        if job.output is not None:
            reference: Json = scoring["output_data_reference"]
            href = f"/v2/assets/{job.output}?space_id={job.scope[1]}"
            location = {**reference["location"], "href": href}
            scoring["output_data_reference"] = {**reference, "location": location}
        scoring["status"] = status = self._status(state)
        if include:
            parts = set(include.split(","))
            scoring = {name: part for name, part in scoring.items() if name in parts}
        entity: Json = {
            "deployment": request["deployment"],
            "platform_job": {"job_id": job.platform_job, "run_id": job.run},
            "scoring": scoring,
        }
        if "hardware_spec" in request:
            entity["hardware_spec"] = request["hardware_spec"]
        metadata = {
            "id": state.id,
            "name": request["name"],
            "created_at": format_time(state.created),
            "space_id": job.scope[1],
        }
        metadata |= {
            name: request[name] for name in ("description", "tags", "custom") if name in request
        }
        if self._state(state) != "queued":
            metadata["modified_at"] = max(format_time(state.updated), status["completed_at"])
        return {"entity": entity, "metadata": metadata}

    def _running_at(self, job: Job) -> float | None:
        """Return when a job is shown as running, at the latest at its end."""
        if job.started is None:
            return None
        return min(job.started + delays.SEEN / self._context.delays.speed, job.ended or math.inf)

    def _state(self, job: Job) -> str:
        """Return the state of a job in IBM's words."""
        running_at = self._running_at(job)
        is_seen = running_at is not None and running_at <= time.time()
        return STATES["waiting" if not job.is_over and not is_seen else job.state]

    def _status(self, job: Job) -> Json:
        running_at, state = self._running_at(job), self._state(job)
        is_seen = running_at is not None and state != "queued"
        status: Json = {
            "state": state,
            "running_at": _whole_second(job, running_at if is_seen else None),
            "completed_at": _whole_second(job, job.ended),
        }
        if job.state == "failed":
            status["failure"] = {
                "trace": job.id,
                "errors": ServiceError(400, "deployment_job_failed", job.reason).errors,
            }
            status["message"] = {"level": "error", "text": job.reason.partition("\n")[0]}
        return status

    def _named(self, call: Call) -> DeploymentJob:
        job = self._by_id.get(call.names["id"])
        if job is None or job.scope != scope_in(call):
            raise not_found(f"The deployment job {call.names['id']!r} does not exist.")
        return job

    def _of_run(self, call: Call) -> DeploymentJob:
        scope = scope_in(call)
        for job in self._by_id.values():
            ids = (job.platform_job, job.run)
            if job.scope == scope and ids == (call.names["id"], call.names["run"]):
                return job
        raise not_found(f"The run {call.names['run']!r} does not exist.")

    def _delete_of_deployment(self, deployment: str) -> None:
        for id_, job in list(self._by_id.items()):
            if job.deployment == deployment:
                self._jobs.stop(job.job)
                del self._by_id[id_]

    def _is_queued(self, job_id: str) -> bool:
        """Return whether a job waits for those that were created before it."""
        with self._context.lock:
            job = self._by_id.get(job_id)
            unfinished = [
                each.job.id
                for each in self._by_id.values()
                if job is not None and each.deployment == job.deployment and not each.job.is_over
            ]
            return job_id in unfinished[MAX_RUNNING:]

    def _preparation(
        self, folder: Path, request: Json, deployment: Deployment, payload: Path
    ) -> Callable[[], Script]:
        """Check that what a request names exists; return what creates the job's container."""
        scope = deployment.scope
        _, script = self._assets.find(scope, deployment.script, SCRIPT)
        scoring: Json = request.get("scoring", {})
        inputs = [
            self._assets.find(scope, _asset_id(reference), DATA)
            for reference in scoring.get("input_data_references", ())
        ]
        container = Container(folder, folder / "input", folder / "output", folder / "logs")

        def prepare() -> Script:
            def unpack(work: Path) -> None:
                shutil.copyfile(script, work / "script.py")

            python = create_container(container, unpack)
            container.data.mkdir()
            for asset, path in inputs:
                shutil.copyfile(path, container.data / Path(asset.metadata["name"]).name)
            payload.touch(mode=0o600)
            payload.write_text(json.dumps(request), "utf-8")
            variables = scoring.get("environment_variables", {})
            start = batch_start(container, variables, payload, python)
            return Script(start, BatchMetrics(container.result))

        return prepare

    def _keep(self, job_id: str, folder: Path) -> None:
        """Create the data asset with the files that the script of a job has left."""
        job = self._by_id.get(job_id)
        if job is None:
            return
        reference: Json = job.request["scoring"].get("output_data_reference", {})
        top = folder / "output"
        paths = files(top)
        if not paths or reference.get("type") != DATA:
            return

        def store(target: Path) -> None:
            if self._keys.is_cloud and len(paths) == 1:
                shutil.copyfile(paths[0], target)
                return
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in paths:
                    archive.write(path, path.relative_to(top))

        job.output = self._assets.add(job.scope, reference["location"]["name"], store)


def _whole_second(job: Job, time_: float | None) -> str:
    """Return a time without its fraction, as most recorded jobs have it (tests/recordings/ibm).

    The jobs of 2021 and 2022 that ran scikit-learn, SPSS or AutoAI had fractions. If a job is over
    in the second of its creation, as only on a fast emulator, it is the next second.
    """
    if time_ is None:
        return ""
    second = math.floor(time_)
    return format_time(second if second >= job.created else math.ceil(job.created))


def _demand_supported(request: Json) -> None:
    if "decision_optimization" in request:
        raise unimplemented("This emulator has no decision optimization.")
    if "scoring" not in request:
        raise invalid("'scoring' is required.")
    scoring: Json = request["scoring"]
    variables: Json = scoring.get("environment_variables", {})
    if any(not isinstance(value, str) for value in variables.values()):
        raise invalid("'scoring.environment_variables' must have texts.")
    output: Json = scoring.get("output_data_reference", {})
    for reference in (*scoring.get("input_data_references", ()), *([output] if output else ())):
        if reference["type"] != DATA:
            raise unimplemented(f"This emulator has references of the type {DATA} only.")
    if output and not isinstance(output["location"].get("name"), str):
        raise invalid("'scoring.output_data_reference.location.name' is required.")


def _asset_id(reference: Json) -> str:
    href = str(reference["location"].get("href", ""))
    return href.partition("?")[0].rpartition("/")[2]
