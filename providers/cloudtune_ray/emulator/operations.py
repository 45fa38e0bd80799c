"""The operations of the dashboard: their method, their path, and what carries them out.

The names are the emulator's own, for fault plans; Ray's REST API has none.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.emulator_kit import (
    Call,
    Context,
    Delays,
    FaultPlan,
    Response,
    app,
    json_response,
    operation,
    operations_of,
)
from cloudtune_ray.emulator.errors import (
    bad_request,
    failed,
    not_found,
    refused_by_agent,
)
from cloudtune_ray.emulator.requests import MAX_PACKAGE, read_request
from cloudtune_ray.emulator.script_jobs import FORGET_PACKAGES, OUT_OF_MEMORY, RESTART_HEAD, Jobs
from cloudtune_ray.emulator.session import Session
from cloudtune_ray.emulator.state import Job, Node

VERSION = "2.60.0"
EFFECTS = (FORGET_PACKAGES, RESTART_HEAD, OUT_OF_MEMORY)
"""Effects on a trial that only this emulator has."""
NOT_DRIVEN: Mapping[str, str] = {
    "stop_early": "Ray Jobs do not stop early",
    "no_metric": "Ray Jobs have no metrics",
}
"""Effects that are impossible for jobs, and why."""
NOT_MANAGED: Mapping[str, str] = {}
_PACKAGE = "/api/packages/(?P<protocol>gcs)/{name}"
_JOB = "/api/jobs/{id}"


class Operations(app.Operations[Jobs, Any]):
    """Carries out operations on one emulated cluster."""

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan) -> None:
        lock = threading.RLock()
        self.session = Session(folder / "session")
        jobs = Jobs(delays, lock, self.session)
        super().__init__(Context(folder, delays, faults, jobs, lock))

    @operation("GET", "/api/version")
    def get_version(self, _call: Call) -> Response:
        """GET /api/version (job_head.py, get_version)."""
        return json_response(
            {
                "version": "4",
                "ray_version": VERSION,
                "ray_commit": "emulated",
                "session_name": self.session.name,
            }
        )

    @operation("GET", _PACKAGE)
    def get_package(self, call: Call) -> Response:
        """GET /api/packages/{protocol}/{name} (job_head.py, get_package)."""
        if call.names["name"] not in self.session.packages:
            raise not_found(f"Package gcs://{call.names['name']} does not exist")
        return Response(200)

    @operation("PUT", _PACKAGE)
    def put_package(self, call: Call) -> Response:
        """PUT /api/packages/{protocol}/{name} (job_head.py, upload_package)."""
        if len(call.body) >= MAX_PACKAGE:  # packaging.py, GCS_STORAGE_MAX_SIZE
            raise failed(f"ValueError: Package size exceeds the maximum size of {MAX_PACKAGE}.")
        self.session.packages[call.names["name"]] = call.body
        return Response(200)

    @operation("POST", "/api/jobs/")
    def submit_job(self, call: Call) -> Response:
        """POST /api/jobs/ (job_head.py and job_agent.py, submit_job)."""
        request = read_request(call.body)
        name = request.get("submission_id") or f"raysubmit_{secrets.token_hex(8)}"
        if name in self.session.jobs:
            raise refused_by_agent(
                f"Job with submission_id {name} already exists. "
                "Please use a different submission_id."
            )
        try:
            folder = self.context.job_folder(name)
        except ValueError as error:
            raise bad_request(f"emulator: {error}") from error
        job = Job(name, request, folder, self.session.job_log(name))
        job.fault = self.context.faults.next_trial()
        self.session.jobs[name] = job
        self.context.jobs.launch(job)
        return json_response({"job_id": name, "submission_id": name})

    @operation("GET", "/api/jobs/")
    def list_jobs(self, _call: Call) -> Response:
        """GET /api/jobs/ (job_head.py, list_jobs)."""
        return json_response([job.describe() for job in self.session.jobs.values()])

    @operation("GET", _JOB)
    def get_job(self, call: Call) -> Response:
        """GET /api/jobs/{id} (job_head.py, get_job_info)."""
        return json_response(self._job(call).describe())

    @operation("POST", f"{_JOB}/stop")
    def stop_job(self, call: Call) -> Response:
        """POST /api/jobs/{id}/stop: false if it has ended (job_manager.py, stop_job)."""
        job = self._job(call)
        if not job.is_over:
            self.context.jobs.stop(job)
            return json_response({"stopped": True})
        return json_response({"stopped": False})

    @operation("DELETE", _JOB)
    def delete_job(self, call: Call) -> Response:
        """DELETE /api/jobs/{id}, only of an ended one (job_manager.py, delete_job)."""
        job = self._job(call)
        if not job.is_over:
            raise failed(
                f"RuntimeError: Attempted to delete job '{job.id}', but it is in a non-terminal "
                f"state {job.state}."
            )
        del self.session.jobs[job.id]
        return json_response({"deleted": True})

    @operation("GET", f"{_JOB}/logs")
    def get_job_logs(self, call: Call) -> Response:
        """GET /api/jobs/{id}/logs: the whole log, from its node (job_head.py, get_job_logs)."""
        job = self._job(call)
        if job.node is None:
            return json_response({"logs": ""})
        if not job.node.is_alive:
            raise failed("ClientConnectorError: Cannot connect to host 127.0.0.1:52365")
        text = job.log.read_text("utf-8", "replace") if job.log.exists() else ""
        return json_response({"logs": text})

    @operation("GET", "/api/v0/nodes")
    def list_nodes(self, _call: Call) -> Response:
        """GET /api/v0/nodes (state_head.py; also dead nodes)."""
        rows = [node.describe() for node in self.session.nodes]
        return json_response({"result": True, "msg": "", "data": {"result": {"result": rows}}})

    @operation("GET", "/api/v0/logs/file")
    def get_log_file(self, call: Call) -> Response:
        """GET /api/v0/logs/file: the last lines of a file (state_head.py and log_agent.py)."""
        query = call.query
        if "node_id" not in query:  # GetLogOptions fails, which aiohttp reports
            raise failed("500 Internal Server Error\n\nServer got itself in trouble")
        node = self._node(query["node_id"])
        if node is None or not node.is_alive:
            raise failed(f"Agent for node id: {query['node_id']} doesn't exist.")
        name = query.get("filename", "")
        file = self.session.logs / name
        if not name or "/" in name or not file.is_file():
            raise failed(f"A file is not found at: {file}")
        count = int(query.get("lines", 1000))
        lines = file.read_bytes().splitlines(keepends=True)
        last = lines if count < 0 else lines[len(lines) - min(count, len(lines)) :]
        return Response(200, b"".join(last), "text/plain")

    def _job(self, call: Call) -> Job:
        job = self.session.jobs.get(call.names["id"])
        if job is None:
            raise not_found(f"Job {call.names['id']} does not exist")
        return job

    def _node(self, id_: str) -> Node | None:
        return next((node for node in self.session.nodes if node.id == id_), None)


OPERATIONS = operations_of(Operations)
