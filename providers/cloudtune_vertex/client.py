"""Calls Google. Only this file imports its clients.

With an emulator, every service has the emulator's address, its key is the only credential, no proxy
or configuration is read, and requests to other addresses fail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cloudtune._version import __version__
from cloudtune.provider import (
    Emulator,
    EmulatorEndedError,
    Json,
    MissingExtraError,
    guard_redirects,
    retry_pauses,
)
from cloudtune.provider.call_record import recorded_call
from cloudtune_vertex.answers import checked_job, checked_name, read_json
from cloudtune_vertex.errors import (
    PROVIDER,
    GoogleError,
    connection_error,
    refusal,
    service_error,
)
from cloudtune_vertex.google_sdk import import_google
from cloudtune_vertex.guard import guard_adapter, refuse_redirect

T = TypeVar("T")

TIMEOUT = 60.0
"""Maximum seconds of one call."""
PAGE_SIZE = 100
"""Jobs of one page of a list."""
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TUNING, _CUSTOM = "hyperparameterTuningJobs", "customJobs"
_NAMES = {
    _TUNING: ("HyperparameterTuningJob", "hyperparameter_tuning_job"),
    _CUSTOM: ("CustomJob", "custom_job"),
}
"""The names of the two kinds of job in Google's types and methods."""


@dataclass(frozen=True)
class StoredObject:
    """An object of Cloud Storage."""

    name: str
    size: int
    generation: str
    """A new one after each write."""
    md5: str | None
    """In base64, if known."""


class Google:
    """Vertex AI in one location and Cloud Storage, for one caller.

    Jobs are in the JSON of the REST API. Each call may raise `GoogleError`. Objects may be read
    from several threads.
    """

    def __init__(
        self,
        project: str,
        location: str,
        *,
        impersonate: str | None = None,
        emulator: Emulator | None = None,
        is_stopping: Callable[[], bool] = bool,
    ) -> None:
        """Create the client without calling Google.

        Args:
            project: The project's id.
            location: The location of the jobs.
            impersonate: The service account to use for all calls.
            emulator: The only address to call, if any.
            is_stopping: Returns whether calls that fail are to give up soon.

        Raises:
            MissingExtraError: If Google's packages are not installed.
        """
        self.emulated = emulator is not None
        self.project = project
        self._location = location
        self._impersonate = impersonate
        self._emulator = emulator
        self._is_stopping = is_stopping
        self.date = ""
        """When Google responded last, as in its header ``Date``."""
        self._types = _import("google.cloud.aiplatform_v1.types")
        self._storage = _import("google.cloud.storage")
        self._errors = _import("google.api_core.exceptions")
        self._json_format = _import("google.protobuf.json_format")
        self._requests = _import("requests")
        self._storage_errors = _import("google.cloud.storage.exceptions")
        self._client_errors: tuple[type[BaseException], ...] = (
            self._errors.GoogleAPIError,
            _import("google.auth.exceptions").GoogleAuthError,
            self._requests.RequestException,
            self._storage_errors.InvalidResponse,
            self._storage_errors.DataCorruption,
            self._json_format.ParseError,
        )

    def create(self, request: Json) -> Json:
        """Create the job of a request and return it. The call is not retried."""
        is_tuning = "hyperparameterTuningJob" in request
        type_name, method = _NAMES[_TUNING if is_tuning else _CUSTOM]
        body = request["hyperparameterTuningJob" if is_tuning else "customJob"]
        message_type = getattr(self._types, type_name)
        path = f"{request['parent']}/{_TUNING if is_tuning else _CUSTOM}"
        with self._recorded(f"Create{type_name}", "POST", path, body) as record:
            try:
                job = message_type.from_json(json.dumps(body))
            except (TypeError, ValueError, self._json_format.ParseError) as error:
                raise GoogleError(f"Vertex AI's types reject the request: {error}") from error
            response = getattr(self._jobs, f"create_{method}")(
                request={"parent": request["parent"], method: job}, retry=None, timeout=TIMEOUT
            )
            return record(self._to_json(type_name, response))

    def get(self, name: str) -> Json:
        """Return a job by its full name."""
        return self._call("Get", "GET", name)

    def list_tuning_jobs(self, filter_: str) -> list[Json]:
        """Return the tuning jobs that match a filter, without their trials."""
        return self._list(_TUNING, filter_)

    def list_custom_jobs(self, filter_: str) -> list[Json]:
        """Return the custom jobs that match a filter."""
        return self._list(_CUSTOM, filter_)

    def cancel(self, name: str) -> None:
        """Request the end of a job."""
        self._call("Cancel", "POST", name, verb=":cancel")

    def delete_job(self, name: str) -> None:
        """Delete a job that has ended, without waiting for the end of the deletion."""
        self._call("Delete", "DELETE", name)

    def list_objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """Return the objects of a bucket whose names start with a prefix."""
        with self._translate_errors(f"the list of the bucket {bucket}"):
            blobs = self._files.list_blobs(
                bucket,
                prefix=prefix,
                fields="items(name,size,generation,md5Hash),nextPageToken",
                retry=self._retry,
                timeout=TIMEOUT,
            )
            return [
                StoredObject(blob.name, blob.size or 0, str(blob.generation), blob.md5_hash)
                for blob in blobs
            ]

    def read(self, bucket: str, name: str, start: int, end: int | None = None) -> bytes:
        """Return the bytes of an object; empty if it has none there, or does not exist."""
        with self._translate_errors(f"reading gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            try:
                data: bytes = blob.download_as_bytes(
                    start=start or None, end=end and end - 1, retry=self._retry, timeout=TIMEOUT
                )
            except (self._errors.RequestRangeNotSatisfiable, self._errors.NotFound):
                return b""
            return data

    def write(self, bucket: str, name: str, path: Path) -> None:
        """Write a local file to an object.

        Raises:
            OSError: If the file cannot be read.
        """
        with self._translate_errors(f"writing gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            blob.upload_from_filename(str(path), retry=self._retry, timeout=TIMEOUT)

    def write_bytes(self, bucket: str, name: str, content: bytes) -> None:
        """Write an object."""
        with self._translate_errors(f"writing gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            blob.upload_from_string(content, retry=self._retry, timeout=TIMEOUT)

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object; no effect if it does not exist."""
        with self._translate_errors(f"deleting gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            try:
                blob.delete(retry=self._retry, timeout=TIMEOUT)
            except self._errors.NotFound:
                return

    def rest(self, method: str, service: str, path: str, **options: Any) -> Json:
        """Return the response of a REST API of Google that only reads.

        Args:
            method: The HTTP method.
            service: The name of the API in its address, such as ``cloudresourcemanager``.
            path: The path, with the version.
            options: Such as ``params`` and ``json``.
        """
        root = self._emulator.url if self._emulator else f"https://{service}.googleapis.com"
        operation = f"{service} {path.rpartition('/')[2]}"
        with self._translate_errors(operation):
            response = self._session.request(method, root + path, timeout=TIMEOUT, **options)
        self.date = str(response.headers.get("Date", ""))
        return read_json(operation, response)

    def credentials_source(self) -> tuple[str, str, str]:
        """Return kind, place and account of the credentials, not themselves; empty if unknown."""
        if self._emulator is not None:
            return "key", "the emulator", ""
        with self._translate_errors("the credentials"):
            info: Json = self._credentials.get_cred_info() or {}
        names = ("credential_type", "credential_source", "principal")
        kind, source, account = (str(info.get(name) or "") for name in names)
        return kind or "credentials", source, account

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket on an emulator, unless another run has created it."""
        with self._translate_errors(f"the bucket {bucket}"):
            try:
                self._files.create_bucket(bucket, timeout=TIMEOUT)
            except self._errors.Conflict:
                return

    def _call(self, operation: str, method: str, name: str, *, verb: str = "") -> Json:
        """Return the response of a call with the name of a job; empty after a cancellation."""
        name = checked_name(operation, name)
        type_name, word = _NAMES[_TUNING if f"/{_TUNING}/" in name else _CUSTOM]
        with self._recorded(f"{operation}{type_name}", method, name + verb) as record:
            call = getattr(self._jobs, f"{operation.lower()}_{word}")
            response = call(request={"name": name}, retry=self._retry, timeout=TIMEOUT)
            if operation == "Delete":
                return record(self._json_format.MessageToDict(response.operation))
            return record(self._to_json(type_name, response) if operation == "Get" else {})

    @contextmanager
    def _recorded(
        self, name: str, method: str, path: str, body: Json | None = None
    ) -> Generator[Callable[[Json], Json]]:
        """Translate the errors of a call; a verification records what the function gets."""
        content: Json = {} if body is None else {"body_rebuilt_from_answer": body}
        request = {"method": method, "path": f"/v1/{path}", **content}
        with recorded_call(name, request, refusal) as record, self._translate_errors(name):
            yield record

    def _list(self, kind: str, filter_: str) -> list[Json]:
        type_name, method = _NAMES[kind]
        request = {
            "parent": f"projects/{self.project}/locations/{self._location}",
            "filter": filter_,
            "page_size": PAGE_SIZE,
        }
        with self._recorded(f"List{type_name}s", "GET", f"{request['parent']}/{kind}") as record:
            call = getattr(self._jobs, f"list_{method}s")
            jobs = call(request=request, retry=self._retry, timeout=TIMEOUT)
            rows = [self._to_json(type_name, job) for job in jobs]
            record({kind: rows} if rows else {})
            return rows

    def _to_json(self, type_name: str, message: Any) -> Json:
        message_type = getattr(self._types, type_name)
        return checked_job(type_name, self._json_format.MessageToDict(message_type.pb(message)))

    @cached_property
    def _jobs(self) -> Any:
        """The client of Vertex AI."""
        info = _import("google.api_core.gapic_v1.client_info").ClientInfo(
            user_agent=f"cloudtune/{__version__}"
        )
        service = _import("google.cloud.aiplatform_v1.services.job_service")
        client = service.JobServiceClient(
            transport="rest",
            credentials=self._credentials,
            client_options=self._client_options(f"{self._location}-aiplatform.googleapis.com"),
            client_info=info,
        )
        self._guard(client.transport._session)  # not public
        return client

    @cached_property
    def _session(self) -> Any:
        """The HTTP session for Cloud Storage and Cloud Logging."""
        sessions = _import("google.auth.transport.requests")
        session = sessions.AuthorizedSession(self._credentials)
        self._guard(session)
        return session

    @cached_property
    def _files(self) -> Any:
        """The client of Cloud Storage."""
        client = self._storage.Client(
            project=self.project,
            credentials=self._credentials,
            # Explicit, since the client also reads STORAGE_EMULATOR_HOST.
            client_options=self._client_options("https://storage.googleapis.com"),
            _http=self._session,
        )
        client._bucket_metadata_cache = None  # it requests the bucket, in a thread
        return client

    def _client_options(self, endpoint: str) -> dict[str, str]:
        if self._emulator is None:
            return {"api_endpoint": endpoint}
        return {"api_endpoint": self._emulator.url, "universe_domain": "googleapis.com"}

    @cached_property
    def _credentials(self) -> Any:
        if self._emulator is not None:
            return _import("google.oauth2.credentials").Credentials(token=self._emulator.key)
        credentials, _ = _import("google.auth").default(scopes=[_SCOPE])
        if not self._impersonate:
            return credentials
        return _import("google.auth.impersonated_credentials").Credentials(
            source_credentials=credentials,
            target_principal=self._impersonate,
            target_scopes=[_SCOPE],
        )

    def _guard(self, session: Any) -> None:
        """Block redirects to other addresses, and with an emulator all requests to them."""
        for each in (session, session._auth_request.session):  # the latter gets tokens; not public
            guard_redirects(each, refuse_redirect)
        if self._emulator is None:
            return
        session.trust_env = False
        adapter = guard_adapter(self._emulator.url)
        session.mount("https://", adapter)
        session.mount("http://", adapter)

    @property
    def _retry(self) -> Any:
        """The retries of a call that changes nothing, which a request to stop ends at once.

        Google's own would wait until their pause is over.
        """

        def retried(_retry: Any, function: Callable[..., T], _on_error: Any = None) -> Any:
            def call(*args: Any, **options: Any) -> T:
                pauses = retry_pauses(self._is_stopping, emulated=self.emulated)
                while True:
                    try:
                        return function(*args, **options)
                    except Exception as error:
                        is_temporary = self._to_error("", error).retryable
                        is_retryable = is_temporary and not self._emulator_has_ended(error)
                        if not (is_retryable and next(pauses, False)):
                            raise

            return call

        return type("Retry", (_import("google.api_core.retry").Retry,), {"__call__": retried})()

    def _emulator_has_ended(self, error: BaseException) -> bool:
        refused = "Connection refused" in str(error)
        return self.emulated and refused and isinstance(error, self._requests.ConnectionError)

    @contextmanager
    def _translate_errors(self, operation: str) -> Generator[None]:
        try:
            yield
        except self._client_errors as error:
            if self._emulator_has_ended(error):
                raise EmulatorEndedError(PROVIDER, operation) from error
            raise self._to_error(operation, error) from error

    def _to_error(self, operation: str, error: BaseException) -> GoogleError:
        code = getattr(error, "code", None)
        if isinstance(error, self._errors.GoogleAPICallError) and code:
            return service_error(operation, int(code), str(getattr(error, "message", error)))
        response = getattr(error, "response", None)
        if isinstance(error, self._storage_errors.InvalidResponse) and response is not None:
            return service_error(operation, int(response.status_code), str(error))
        if isinstance(error, self._json_format.ParseError):
            return GoogleError(f"{operation}: Google's types do not have such a response: {error}")
        classes = [each.__name__ for each in type(error).__mro__]
        retryable = bool(getattr(error, "retryable", False))
        return connection_error(operation, classes, str(error), retryable=retryable)


def _import(name: str) -> Any:
    try:
        return import_google(name)
    except ImportError as error:
        raise MissingExtraError("Vertex AI", "vertex") from error
