"""The calls of Ray's Jobs API, and of the dashboard's state API for files and nodes.

Paths and fields as in Ray 2.60.0: dashboard/modules/job/job_head.py, dashboard/modules/state.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlencode

from cloudtune.provider import JobContext, Json, Plan, if_found
from cloudtune_ray.errors import RayError, service_error
from cloudtune_ray.http import Connection, HttpClient
from cloudtune_ray.settings import RaySettings

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Bytes of a record that are read at once."""
MAX_LOG_LINES = 1_000_000
MAX_LOG_BYTES = 64 * 1024 * 1024
_JOBS = "/api/jobs/"
_UNREADABLE = ("A file is not found at", "Agent for node id", "Cannot find")
"""Texts of the state API's response, with the status 500, for a file that does not exist and for a
node that is gone (log_agent.py and state_manager.py)."""
_OLD_ERRORS = (
    b"[get_logs] Fetch log error: ",
    b"0Closing HTTP stream due to internal server error",
)
"""How the content begins with which Ray before 2.45 reports an error, with the status 200
(https://github.com/ray-project/ray/pull/51787)."""
_OLD_PART = 65_536
"""Bytes of a file after each of which Ray before 2.34 puts a byte, 1
(https://github.com/ray-project/ray/pull/46556; state_head.py and log_agent.py of 2.9.3)."""


def connect(plan: Plan, context: JobContext) -> RayClient:
    """Return a client of a job's cluster or emulator, without sending a request.

    Raises:
        ProviderError: If the plan is emulated and the context is not, or vice versa.
    """
    plan.check_context(context)
    if (emulator := context.emulator) is not None:
        return RayClient(HttpClient(Connection(emulator.url, emulator.key, emulated=True)))
    data = plan.facts.data
    assert isinstance(plan.settings, RaySettings)
    token = os.environ.get(plan.settings.token_variable, "")
    certificate = Path(data["certificate"]) if data["certificate"] else None
    return RayClient(HttpClient(Connection(data["address"], token, certificate)))


class RayClient:
    """The jobs, packages, logs and nodes of one cluster. Each call may raise `RayError`."""

    def __init__(self, http: HttpClient) -> None:
        """Create the client without sending a request."""
        self.http = http

    @property
    def emulated(self) -> bool:
        """Whether the cluster is an emulator."""
        return self.http.connection.emulated

    def version(self) -> Json:
        """Return the versions of Ray and of its API."""
        version: Json = self.http.get("/api/version")
        return version

    def nodes(self) -> list[Json]:
        """Return the nodes that are alive, with their resources."""
        rows: Json = self.http.get("/api/v0/nodes")
        nodes: list[Json] = rows["data"]["result"]["result"]
        return [node for node in nodes if node.get("state") == "ALIVE"]

    def has_package(self, name: str) -> bool:
        """Return whether the cluster has a package; this call also keeps it for ten minutes."""
        found = if_found(lambda: self.http.send("GET", f"/api/packages/gcs/{quote(name)}"))
        return found is not None

    def put_package(self, name: str, content: bytes) -> None:
        """Store a package."""
        self.http.send("PUT", f"/api/packages/gcs/{quote(name)}", content)

    def create(self, request: Json) -> None:
        """Create a job; Ray refuses a second one with the same name."""
        self.http.post(_JOBS, request)

    def get(self, job: str) -> Json | None:
        """Return a job, or None if it does not exist."""
        found = if_found(lambda: self.http.get(_JOBS + quote(job, safe="")))
        return cast("Json | None", found)

    def list_all(self) -> list[Json]:
        """Return all jobs of the cluster."""
        jobs: list[Json] = self.http.get(_JOBS)
        return jobs

    def stop(self, job: str) -> None:
        """Ask a job to end; no effect if it has ended or does not exist."""
        if_found(lambda: self.http.post(f"{_JOBS}{quote(job, safe='')}/stop"))

    def delete(self, job: str) -> None:
        """Delete a job that has ended; no effect if it does not exist."""
        if_found(lambda: self.http.send("DELETE", _JOBS + quote(job, safe="")))

    def log(self, job: str) -> list[str]:
        """Return the last lines of the log of a job; before it starts, what it waits for."""
        details = self.get(job)
        if details is None:
            raise RayError(f"the cluster does not know the job {job}")
        node: str | None = details.get("driver_node_id")
        if not node:
            return str(details.get("message") or "").splitlines()
        count = MAX_LOG_LINES
        while True:
            content = self._read_end(node, f"job-driver-{job}.log", count, MAX_LOG_BYTES)
            if content is None:
                raise RayError(f"the node of the job {job} is gone, and its log with it")
            if len(content) < MAX_LOG_BYTES or count == 1:
                return _to_lines(content)
            count //= 10  # what was cut are the last ones, which matter most

    def tail(self, node: str, file: str, lines: int) -> list[str] | None:
        """Return the last lines of a record in a node's log folder; None if it cannot be read."""
        content = self._read_end(node, file, lines, MAX_RECORD_BYTES)
        if content and content.startswith(b"1{"):  # lines of a record are objects
            starts = range(1, len(content), _OLD_PART + 1)
            content = b"".join(content[start : start + _OLD_PART] for start in starts)
        return None if content is None else _to_lines(content)

    def _read_end(self, node: str, file: str, lines: int, max_bytes: int) -> bytes | None:
        """Return the last lines, cut after ``max_bytes``."""
        # Ray 2.34 to 2.44 needs the format to return the bytes of the file alone.
        query = urlencode({"node_id": node, "filename": file, "lines": lines, "format": "text"})
        path = "/api/v0/logs/file"
        try:
            content = self.http.send("GET", f"{path}?{query}", max_bytes=max_bytes)
            if content.startswith(_OLD_ERRORS):
                raise service_error(f"GET {path}", 500, content.decode("utf-8", "replace"))
            return content
        except RayError as error:
            if error.not_found or any(text in error.text for text in _UNREADABLE):
                return None
            raise


def _to_lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()
