"""Calls watsonx.ai Runtime: scripts, deployments and jobs of a space, on IBM Cloud or a cluster.

The calls are those of ibm-watsonx-ai 1.8.1 (script.py, deployments.py, connections.py; read
2026-11-27). They are sent without that package, which drops the tags of a job and repeats requests
that may have been carried out. IBM Cloud has three addresses: IAM exchanges the key for a token,
watsonx.ai Runtime has deployments and jobs, the platform has assets. Files are sent to and read
from a signed address of the storage, without the token.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from cloudtune.provider import Json, if_found, is_list
from cloudtune.provider.answers import problem
from cloudtune_watson.documents import created_at, job_of, name_of, part, read_text, rows
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import ServiceClient, bearer_token

API_VERSION = "2026-10-14"
"""The date that requests carry, as those of ibm-watsonx-ai 1.8.1."""
JOBS, DEPLOYMENTS = "/ml/v4/deployment_jobs", "/ml/v4/deployments"
ASSETS = "/v2/assets"
_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_PAGE_SIZE = 200
"""Assets of one response to a search: the most of ibm-watsonx-ai 1.8.1, wml_resource.py."""
_LAST_DELETED_RUN = (5, 1)
"""The last version on which cancelling a job deletes the run of its platform job first
(ibm-watsonx-ai 1.8.1, deployments.py, delete_job)."""


class RuntimeClient(ServiceClient[dict[str, str]]):
    """The scripts, deployments, jobs and data assets of one space.

    Each call may raise `WatsonError`. Its session is the headers that sign in.
    """

    # Jobs.

    def create_job(self, request: Json) -> Json:
        """Create a job and return its description."""
        return job_of(self._json("POST", self._runtime(JOBS), json=request))

    def get_job(self, job: str) -> Json | None:
        """Return the description of a job, or None if it does not exist."""
        found = self._find(self._runtime(JOBS, job))
        return None if found is None else job_of(found)

    def list_jobs(self, deployment: str) -> list[Json]:
        """Return the jobs of a deployment, oldest first."""
        found = self._pages(self._runtime(JOBS), {"deployment_id": deployment})
        return sorted(map(job_of, found), key=created_at)

    def cancel_job(self, job: Json, version: tuple[int, ...] | None) -> None:
        """Stop a job.

        Args:
            job: Its description.
            version: The version of the cluster; None on IBM Cloud.
        """
        run = part(job, "entity", "platform_job")
        if version and version[:2] <= _LAST_DELETED_RUN and run.get("run_id"):
            ids = str(run.get("job_id", "")), str(run["run_id"])
            url = self._platform("/v2/jobs", ids[0], "runs", ids[1])
            try:
                self._send("DELETE", url)
            except WatsonError as error:
                if error.retryable or error.affects_all_calls:
                    raise
            else:
                return
        self._send("DELETE", self._runtime(JOBS, job["metadata"]["id"]))

    def delete_job(self, job: str) -> None:
        """Delete a job with its description; no effect if it does not exist."""
        self._delete(self._runtime(JOBS, job), {"hard_delete": "true"})

    def job_log(self, job: Json) -> list[str] | None:
        """Return the lines that the platform has of a job's output, or None if there is no log."""
        run = part(job, "entity", "platform_job")
        if not run.get("run_id") or not run.get("job_id"):
            return None
        url = self._platform("/v2/jobs", str(run["job_id"]), "runs", str(run["run_id"]), "logs")
        found = self._find(url)
        if found is None:
            return None
        lines: Any = found.get("results")
        return [str(line) for line in lines] if is_list(lines) else []

    # Deployments.

    def create_deployment(self, request: Json) -> str:
        """Create a deployment and return its id."""
        return read_text(
            self._json("POST", self._runtime(DEPLOYMENTS), json=request), "metadata", "id"
        )

    def get_deployment(self, deployment: str) -> Json | None:
        """Return a deployment, or None if it does not exist."""
        return self._find(self._runtime(DEPLOYMENTS, deployment))

    def list_deployments(self, name: str) -> list[Json]:
        """Return the deployments with a name, oldest first."""
        found = self._pages(self._runtime(DEPLOYMENTS), {"name": name})
        return sorted((row for row in found if name_of(row) == name), key=created_at)

    def delete_deployment(self, deployment: str) -> None:
        """Delete a deployment; no effect if it does not exist."""
        self._delete(self._runtime(DEPLOYMENTS, deployment))

    # Scripts and data assets.

    def find_assets(self, kind: str, name: str) -> list[str]:
        """Return the ids of the assets of a type with a name."""
        page: Json | None = {"query": "*:*", "limit": _PAGE_SIZE}
        ids: list[str] = []
        while page:
            url = self._platform("/v2/asset_types", kind, "search")
            response = self._json("POST", url, json=page)
            found = [part(each, "metadata") for each in rows(response, "results")]
            ids += [read_text(row, "asset_id") for row in found if row.get("name") == name]
            page = part(response, "next")
        return ids

    def get_asset(self, asset: str) -> Json | None:
        """Return an asset, or None if it does not exist."""
        return self._find(self._platform(ASSETS, asset))

    def create_asset(self, request: Json) -> str:
        """Create an asset without content and return its id."""
        response = self._json("POST", self._platform(ASSETS), json=request)
        return read_text(response, "metadata", "asset_id")

    def upload(self, asset: str, kind: str, path: Path) -> None:
        """Store the content of a new asset.

        Raises:
            OSError: If the file cannot be read.
        """
        document = {"asset_type": kind, "name": path.name}
        attachment = self._json("POST", self._platform(ASSETS, asset, "attachments"), json=document)
        id_, address = read_text(attachment, "attachment_id"), read_text(attachment, "url1")
        content = path.read_bytes()
        if self.facts["is_cloud"]:
            self.http.put(self._signed(address), data=content)
        else:
            file = (path.name, io.BytesIO(content), "application/octet-stream")
            self.http.put(self._signed(address), files={"file": file})
        self._send("POST", self._platform(ASSETS, asset, "attachments", id_, "complete"))

    def download(self, asset: Json, path: Path) -> bool:
        """Write the content of an asset to a file; return whether it has any.

        Raises:
            OSError: If the file cannot be written.
        """
        attachments = rows(asset, "attachments")
        if not attachments:
            return False
        about = attachments[-1]
        id_ = str(about.get("id") or about.get("attachment_id"))
        asset_id = read_text(asset, "metadata", "asset_id")
        address = self._json("GET", self._platform(ASSETS, asset_id, "attachments", id_))
        self.http.download(self._signed(read_text(address, "url")), path)
        return True

    def delete_asset(self, asset: str) -> None:
        """Delete an asset; no effect if it does not exist."""
        self._delete(self._platform(ASSETS, asset))

    def find_specification(self, kind: str, name: str) -> Json | None:
        """Return the hardware or software specification with a name, or None."""
        url = self._platform(f"/v2/{kind}_specifications")
        found = rows(self._json("GET", url, {"name": name}), "resources")
        return next((row for row in found if name_of(row) == name), None)

    # What the doctor reads.

    def get_space(self) -> Json | None:
        """Return the space, or None if the user has no such space."""
        return self._find(self._platform("/v2/spaces", str(self.facts["space_id"])))

    def task_credentials(self) -> Sequence[Json]:
        """Return the user's task credentials on IBM Cloud."""
        url = self._platform("/v1/task_credentials")
        return rows(self._json("GET", url), "credentials")

    def get_instance(self, instance: str) -> Json | None:
        """Return an instance of watsonx.ai Runtime with what is used of it, or None."""
        return self._find(self._runtime("/ml/v4/instances", instance))

    def list_space_jobs(self) -> list[Json]:
        """Return all jobs of the space."""
        return list(self._pages(self._runtime(JOBS), {"include": "status"}))

    # Addresses, sign-in and requests.

    def create_session(self) -> dict[str, str]:
        """Return the headers that sign in."""
        if not self.facts["is_cloud"]:
            credentials = {
                "username": self.http.connection.user,
                "api_key": self.http.connection.key,
            }
            url = f"{self.facts['sign_in_url']}/icp4d-api/v1/authorize"
            token = bearer_token(self.http.post(url, json=credentials), "token")
        else:
            form = {"grant_type": _GRANT, "apikey": self.http.connection.key}
            response = self.http.post(f"{self.facts['iam_url']}/identity/token", data=form)
            token = bearer_token(response, "access_token")
        return {"Authorization": f"Bearer {token}"}

    def _runtime(self, path: str, *parts: str) -> str:
        return self.http.connection.url + _join(path, *parts)

    def _platform(self, path: str, *parts: str) -> str:
        return str(self.facts["platform_url"]) + _join(path, *parts)

    def _signed(self, address: str) -> str:
        return address if "://" in address else f"{self.facts['platform_url']}{address}"

    def _send(self, method: str, url: str, params: Json | None = None, **options: Any) -> Any:
        query = {"version": API_VERSION, "space_id": self.facts["space_id"], **(params or {})}

        def send(headers: Mapping[str, str]) -> Any:
            return self.http.send(method, url, params=query, headers=dict(headers), **options)

        return self.call(send)

    def _json(self, method: str, url: str, params: Json | None = None, **options: Any) -> Json:
        response = self._send(method, url, params, **options)
        try:
            answer: Json = response.json()
        except ValueError as error:
            raise WatsonError(f"{method} {url}: the response is not JSON") from error
        if wrong := problem(answer, {}):
            raise WatsonError(f"{method} {url}: {wrong}")
        return answer

    def _find(self, url: str) -> Json | None:
        return if_found(lambda: self._json("GET", url))

    def _delete(self, url: str, params: Json | None = None) -> None:
        if_found(lambda: self._send("DELETE", url, params))

    def _pages(self, url: str, params: Json) -> Iterator[Json]:
        """Yield the resources of a list, which may have a link to a next part."""
        page = self._json("GET", url, params)
        while True:
            yield from rows(page, "resources")
            if not (href := str(part(page, "next").get("href") or "")):
                return
            page = self._json("GET", url, _query(href))


def describe_software(specification: Json) -> Json:
    """Return how a script refers to its software specification (script.py, _create_asset)."""
    kind = part(specification, "entity", "software_specification").get("type", "base")
    return {"base_id" if kind == "base" else "id": read_text(specification, "metadata", "asset_id")}


def asset_of(reference: Json) -> str | None:
    """Return the id of the data asset in the ``href`` of a reference, or None.

    Example:
        >>> asset_of({"location": {"href": "/v2/assets/a-1?space_id=s"}})
        'a-1'
    """
    href = str(part(reference, "location").get("href") or "")
    folder, _, name = href.partition("?")[0].rpartition("/")
    return name if folder.endswith("/assets") and name else None


def _join(path: str, *parts: str) -> str:
    return "/".join([path, *(quote(part, safe="") for part in parts)])


def _query(href: str) -> Json:
    return dict(parse_qsl(urlsplit(href).query))
