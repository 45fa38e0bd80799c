"""The calls of one workspace: jobs, code, environments, run history and MLflow.

Paths and fields are those of recorded traffic (tests/recordings/azure), but for the list of jobs
(Jobs - List of the REST API, read 2026-11-30) and MLflow, which are not verified against the live
service.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import quote, urlsplit

from cloudtune.provider import JobContext, Json, Plan, if_found
from cloudtune.provider.answers import Fields
from cloudtune_azure.answers import (
    CHILDREN,
    DATASTORE,
    DETAILS,
    HISTORY,
    IDS,
    JOB,
    JOBS,
    RUN,
    SIZES,
    UPLOAD,
    USAGES,
    WORKSPACE,
    checked,
)
from cloudtune_azure.errors import AzureError
from cloudtune_azure.http import AzureHttp, Connection
from cloudtune_azure.settings import ENVIRONMENT, workspace_id

API_VERSION = "2024-04-01"
_LATEST = re.compile(r"azureml:([^:@/]+)@latest")
_TRACKING = re.compile(r"azureml://([^/]+)(/mlflow/v\d+\.\d+)(/[^?]*?)/*(?:\?.*)?")
"""A tracking address: recordings have v1.0; Microsoft's tests of its clients also have v2.0
(promptflow, EvalRun; azure-dev, TestParseTrackingEndpoint; read 2026-12-01)."""


def connect(plan: Plan, context: JobContext) -> AzureClient:
    """Return a client of a plan's workspace or emulator, without sending a request.

    Raises:
        MissingExtraError: If azure-identity is not installed.
        ProviderError: If the plan is emulated and the context is not, or vice versa.
    """
    plan.check_context(context)
    emulator = context.emulator
    connection = Connection()
    if emulator:
        connection = Connection(emulator.url, emulator.key, emulator.certificate)
    return AzureClient(AzureHttp(connection, context.is_stopping), workspace_id(plan.facts.data))


class AzureClient:
    """One workspace. Each call may raise `AzureError`."""

    def __init__(self, http: AzureHttp, workspace: str) -> None:
        """Create the client without sending a request."""
        self.http = http
        self.workspace = workspace
        self._tracking: str | None = None
        self._datastores: dict[str, Json] = {}
        self._environments: dict[str, str] = {}

    @property
    def emulated(self) -> bool:
        """Whether an emulator answers."""
        return self.http.connection.emulated

    def get_workspace(self) -> Json:
        """Return the workspace."""
        return checked("the workspace", self._call("GET", ""), WORKSPACE)

    def get_compute(self, name: str) -> Json | None:
        """Return a cluster, or None if it does not exist."""
        found = self._find(f"/computes/{quote(name, safe='')}")
        return found and checked(f"the compute {name}", found, DATASTORE)

    def has_environment(self, name: str, version: str) -> bool:
        """Return whether the workspace has a version of an environment."""
        path = f"/environments/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        return self._find(path) is not None

    def machine_sizes(self, location: str) -> list[Json]:
        """Return the machines of a region, with their prices."""
        return self._of_region(location, "vmSizes", SIZES)

    def usages(self, location: str) -> list[Json]:
        """Return the subscription's quotas in a region, and what is in use."""
        return self._of_region(location, "usages", USAGES)

    def environment_id(self, environment: str) -> str:
        """Return the id of an environment: with the label ``latest``, of its newest version now.

        As Microsoft's client does (command_job_dependency_label_resolution in tests/recordings).
        """
        match = _LATEST.fullmatch(environment)
        if match is None:
            return environment
        if environment not in self._environments:
            query = {"$orderBy": "createdtime desc", "$top": "1"}
            path = f"/environments/{quote(match[1], safe='')}/versions"
            page = checked(f"the environment {match[1]}", self._call("GET", path, query=query), IDS)
            if not (page.get("value") or ()):
                raise AzureError(f"the workspace has no version of the environment {match[1]}")
            self._environments[environment] = page["value"][0]["id"]
        return self._environments[environment]

    def put_job(self, name: str, body: Json) -> Json:
        """Create a job. With the same name, Azure updates it, and starts no second one."""
        return checked(f"the job {name}", self._call("PUT", _job(name), body), JOB)

    def get_job(self, name: str) -> Json | None:
        """Return a job, or None if it does not exist."""
        found = self._find(_job(name))
        return found if found is None else checked(f"the job {name}", found, JOB)

    def list_jobs(self, tag: str) -> list[Json]:
        """Return the jobs that have a tag with this key."""
        jobs = self._pages("the list of jobs", self._call("GET", "/jobs", query={"tag": tag}), JOBS)
        return [checked("the list of jobs", each, JOB) for each in jobs]

    def cancel_job(self, name: str) -> None:
        """Ask a job to end; no effect if it has ended or does not exist."""
        if_found(lambda: self._call("POST", f"{_job(name)}/cancel"))

    def has_code(self, name: str) -> bool:
        """Return whether code is registered."""
        return self._find(_code(name)) is not None

    def start_upload(self, name: str) -> tuple[str, str]:
        """Return the address of an empty container for code, and the same with a signature."""
        content = {"pendingUploadType": "TemporaryBlobReference"}
        answer = self._call("POST", f"{_code(name)}/startPendingUpload", content)
        answer = checked("startPendingUpload", answer, UPLOAD)
        reference: Json = answer["blobReferenceForConsumption"]
        return reference["blobUri"], reference["credential"]["sasUri"]

    def put_code(self, name: str, address: str) -> None:
        """Register code."""
        content = {"properties": {"isAnonymous": True, "codeUri": address}}
        self._call("PUT", _code(name), content)

    def put_environment(self, version: str, image: str, conda: str | None = None) -> None:
        """Register an environment: an image, or what Azure builds on it by a Conda file's text."""
        content: Json = {"properties": {"isAnonymous": True, "image": image}}
        if conda is not None:
            content["properties"]["condaFile"] = conda
        self._call("PUT", f"/environments/{ENVIRONMENT}/versions/{version}", content)

    def get_datastore(self, name: str) -> Json:
        """Return the properties of a datastore, which is read once."""
        if name not in self._datastores:
            answer = self._call("GET", f"/datastores/{quote(name, safe='')}")
            answer = checked(f"the datastore {name}", answer, DATASTORE)
            self._datastores[name] = answer["properties"]
        return self._datastores[name]

    def mlflow(self, tracking: str, call: str, **query: str) -> Json:
        """Return the answer of one of MLflow's own calls that read.

        Args:
            tracking: The tracking address of a job.
            call: Such as ``runs/get``.
            query: Its parameters.
        """
        url = f"{self._service(tracking)}/api/2.0/mlflow/{call}"
        fields = RUN if call == "runs/get" else HISTORY
        return checked(call, self.http.json("GET", url, query=query), fields)

    def run_details(self, tracking: str, run: str) -> Json:
        """Return what run history knows of a job, such as its error and its logs; maybe nothing."""
        url = f"{self._history(tracking, run)}/details"
        answer = if_found(lambda: self.http.json("GET", url))
        return {} if answer is None else checked(f"the run {run}", answer, DETAILS)

    def run_children(self, tracking: str, run: str) -> list[Json]:
        """Return the children of a run in run history; none if it does not know the run yet."""
        url = f"{self._history(tracking, run)}/children"
        page = if_found(lambda: self.http.json("GET", url))
        return [] if page is None else self._pages(f"the children of {run}", page, CHILDREN)

    def _pages(self, what: str, first: Any, fields: Fields) -> list[Json]:
        page = checked(what, first, fields)
        rows: list[Json] = list(page.get("value") or ())
        read: set[str] = set()
        while next_page := page.get("nextLink"):
            if next_page in read:
                raise AzureError(f"{what}: a page names itself as the next one")
            read.add(next_page)
            page = checked(what, self.http.json("GET", str(next_page)), fields)
            rows += page.get("value") or ()
        return rows

    def tracking_address(self) -> str:
        """Return the tracking address of the workspace, which a sweep does not have; read once."""
        if self._tracking is None:
            properties: Json = self.get_workspace().get("properties") or {}
            self._tracking = str(properties.get("mlFlowTrackingUri") or "")
        return self._tracking

    def _history(self, tracking: str, run: str) -> str:
        return f"{self._service(tracking, '/history/v1.0')}/runs/{quote(run, safe='')}"

    def _service(self, tracking: str, service: str = "") -> str:
        """Return the HTTP address of a service of the workspace: MLflow unless another is named."""
        match = _TRACKING.fullmatch(tracking)
        if match is None:
            raise AzureError(f"not a tracking address of Azure: {tracking}")
        host, mlflow, workspace = match.groups()
        scheme = urlsplit(self.http.connection.address).scheme
        return f"{scheme}://{host}{service or mlflow}{workspace}"

    def _of_region(self, location: str, what: str, fields: Fields) -> list[Json]:
        subscription = self.workspace.partition("/resourceGroups/")[0]
        url = (
            f"{self.http.connection.address}{subscription}/providers"
            f"/Microsoft.MachineLearningServices/locations/{quote(location, safe='')}/{what}"
        )
        page = self.http.json("GET", url, query={"api-version": API_VERSION})
        return self._pages(f"{what} of {location}", page, fields)

    def _find(self, path: str) -> Json | None:
        return cast("Json | None", if_found(lambda: self._call("GET", path)))

    def _call(
        self, method: str, path: str, content: Any = None, query: dict[str, str] | None = None
    ) -> Any:
        url = f"{self.http.connection.address}{self.workspace}{path}"
        parameters = {"api-version": API_VERSION, **(query or {})}
        return self.http.json(method, url, content=content, query=parameters)


def _job(name: str) -> str:
    return f"/jobs/{quote(name, safe='')}"


def _code(name: str) -> str:
    return f"/codes/{quote(name, safe='')}/versions/1"
