"""Reaches Google: the only file that imports its clients.

On an emulator nothing else is reached: its address stands in for every service's, its key is the
only credential, no proxy or configuration is read, and a call to any other address fails.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudtune._version import __version__
from cloudtune.provider import Emulator, EmulatorEndedError, Json, MissingExtraError
from cloudtune_vertex.errors import PROVIDER, GoogleError, not_reached, refusal

TIMEOUT = 60.0
"""Seconds that one call may take."""
PATIENCE = 60.0
"""Seconds for which a call that changes nothing is made again."""
PATIENCE_EMULATED = 5.0
PAGE = 100
"""Jobs of one page of a list."""
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TUNING, _CUSTOM = "hyperparameterTuningJobs", "customJobs"
_NAMES = {
    _TUNING: ("HyperparameterTuningJob", "hyperparameter_tuning_job"),
    _CUSTOM: ("CustomJob", "custom_job"),
}
"""What the two kinds of job are called in Google's types and methods."""


@dataclass(frozen=True)
class Object:
    """An object of Cloud Storage, as a list tells it."""

    name: str
    size: int
    generation: str
    """Another one each time that it is written."""
    md5: str | None
    """In base 64, where it is known."""


class Google:
    """Vertex AI in one location and Cloud Storage, for one caller.

    Jobs are given and returned in the JSON of the REST API. Each call may raise `GoogleError`.
    Reading of objects is safe in threads.
    """

    def __init__(
        self,
        project: str,
        location: str,
        *,
        impersonate: str | None = None,
        emulator: Emulator | None = None,
    ) -> None:
        """Prepare; nothing is called.

        Args:
            project: The project's id.
            location: Of the jobs.
            impersonate: The service account as which all is done.
            emulator: Reach this alone.

        Raises:
            MissingExtraError: If Google's packages are not installed.
        """
        self.emulated = emulator is not None
        self._project = project
        self._location = location
        self._impersonate = impersonate
        self._emulator = emulator
        self._types = _imported("google.cloud.aiplatform_v1")
        self._storage = _imported("google.cloud.storage")
        self._errors = _imported("google.api_core.exceptions")
        self._auth_errors = _imported("google.auth.exceptions")
        self._requests = _imported("requests")

    def create(self, request: Json) -> Json:
        """Create the job that a request describes; return it. Nothing is tried again."""
        kind = _TUNING if "hyperparameterTuningJob" in request else _CUSTOM
        said, called = _NAMES[kind]
        described = request["hyperparameterTuningJob" if kind == _TUNING else "customJob"]
        message = getattr(self._types, said)
        with self._told(f"Create{said}"):
            try:
                job = message.from_json(json.dumps(described))
            except (TypeError, ValueError, self._json_format.ParseError) as error:
                raise GoogleError(f"the request is none of Vertex AI's: {error}") from error
            made = getattr(self._jobs, f"create_{called}")(
                request={"parent": request["parent"], called: job}, retry=None, timeout=TIMEOUT
            )
            return self._plain(said, made)

    def get(self, name: str) -> Json:
        """Return a job by its full name."""
        said, called = _NAMES[_kind(name)]
        with self._told(f"Get{said}"):
            found = getattr(self._jobs, f"get_{called}")(
                request={"name": name}, retry=self._retry, timeout=TIMEOUT
            )
            return self._plain(said, found)

    def tuning_jobs(self, chosen: str) -> list[Json]:
        """Return the tuning jobs that a filter lets through, without their trials."""
        return self._listed(_TUNING, chosen)

    def custom_jobs(self, chosen: str) -> list[Json]:
        """Return the custom jobs that a filter lets through."""
        return self._listed(_CUSTOM, chosen)

    def cancel(self, name: str) -> None:
        """Ask a job to end."""
        said, called = _NAMES[_kind(name)]
        with self._told(f"Cancel{said}"):
            getattr(self._jobs, f"cancel_{called}")(
                request={"name": name}, retry=self._retry, timeout=TIMEOUT
            )

    def objects(self, bucket: str, prefix: str) -> list[Object]:
        """Return the objects of a bucket whose names begin so."""
        with self._told(f"the list of the bucket {bucket}"):
            found = self._files.list_blobs(
                bucket,
                prefix=prefix,
                fields="items(name,size,generation,md5Hash),nextPageToken",
                retry=self._retry,
                timeout=TIMEOUT,
            )
            return [
                Object(each.name, each.size or 0, str(each.generation), each.md5_hash)
                for each in found
            ]

    def read(self, bucket: str, name: str, start: int) -> bytes:
        """Return an object from a byte on; nothing where it has no more, or is not there."""
        with self._told(f"reading gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            try:
                data: bytes = blob.download_as_bytes(
                    start=start or None, retry=self._retry, timeout=TIMEOUT
                )
            except (self._errors.RequestRangeNotSatisfiable, self._errors.NotFound):
                return b""
            return data

    def write(self, bucket: str, name: str, path: Path) -> None:
        """Write a file of this machine as an object.

        Raises:
            OSError: If the file cannot be read.
        """
        with self._told(f"writing gs://{bucket}/{name}"):
            blob = self._files.bucket(bucket).blob(name)
            blob.upload_from_filename(str(path), retry=self._retry, timeout=TIMEOUT)

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket, on an emulator."""
        with self._told(f"the bucket {bucket}"):
            self._files.create_bucket(bucket, timeout=TIMEOUT)

    def _listed(self, kind: str, chosen: str) -> list[Json]:
        said, called = _NAMES[kind]
        asked = {
            "parent": f"projects/{self._project}/locations/{self._location}",
            "filter": chosen,
            "page_size": PAGE,
        }
        with self._told(f"List{said}s"):
            pages = getattr(self._jobs, f"list_{called}s")(
                request=asked, retry=self._retry, timeout=TIMEOUT
            )
            return [self._plain(said, job) for job in pages]

    def _plain(self, said: str, message: Any) -> Json:
        kind = getattr(self._types, said)
        plain: Json = self._json_format.MessageToDict(kind.pb(message))
        return plain

    @cached_property
    def _json_format(self) -> Any:
        return _imported("google.protobuf.json_format")

    @cached_property
    def _jobs(self) -> Any:
        """The client of jobs."""
        info = _imported("google.api_core.gapic_v1.client_info").ClientInfo(
            user_agent=f"cloudtune/{__version__}"
        )
        where = {"api_endpoint": f"{self._location}-aiplatform.googleapis.com"}
        if self._emulator is not None:
            where = {"api_endpoint": self._emulator.url, "universe_domain": "googleapis.com"}
        client = self._types.JobServiceClient(
            transport="rest",
            credentials=self._credentials,
            client_options=where,
            client_info=info,
        )
        self._guard(client.transport._session)  # there is no public way to it
        return client

    @cached_property
    def _files(self) -> Any:
        """The client of Cloud Storage."""
        sessions = _imported("google.auth.transport.requests")
        session = sessions.AuthorizedSession(self._credentials)
        # Said explicitly, or the client would go where STORAGE_EMULATOR_HOST says.
        where = {"api_endpoint": "https://storage.googleapis.com"}
        if self._emulator is not None:
            where = {"api_endpoint": self._emulator.url, "universe_domain": "googleapis.com"}
        self._guard(session)
        client = self._storage.Client(
            project=self._project,
            credentials=self._credentials,
            client_options=where,
            _http=session,
        )
        client._bucket_metadata_cache = None  # it asks for the bucket, in a thread of its own
        return client

    @cached_property
    def _credentials(self) -> Any:
        if self._emulator is not None:
            made = _imported("google.oauth2.credentials")
            return made.Credentials(token=self._emulator.key)
        found, _ = _imported("google.auth").default(scopes=[_SCOPE])
        if not self._impersonate:
            return found
        return _imported("google.auth.impersonated_credentials").Credentials(
            source_credentials=found, target_principal=self._impersonate, target_scopes=[_SCOPE]
        )

    def _guard(self, session: Any) -> None:
        """Let a session reach the emulator alone, where there is one."""
        if self._emulator is None:
            return
        session.trust_env = False
        adapter = _guarding(self._emulator.url)
        session.mount("https://", adapter)
        session.mount("http://", adapter)

    @cached_property
    def _retry(self) -> Any:
        """How a call that changes nothing is made again."""
        patience = PATIENCE_EMULATED if self.emulated else PATIENCE
        return _imported("google.api_core.retry").Retry(
            predicate=self._passes, initial=patience / 60, maximum=patience / 6, timeout=patience
        )

    def _passes(self, error: Exception) -> bool:
        return self._meaning("", error).retryable and not self._has_ended(error)

    def _has_ended(self, error: BaseException) -> bool:
        """Tell whether an error says that the emulator is not there any more."""
        refused = "Connection refused" in str(error)
        return self.emulated and refused and isinstance(error, self._requests.ConnectionError)

    @contextmanager
    def _told(self, operation: str) -> Generator[None]:
        """Say in our own error what went wrong in the block."""
        try:
            yield
        except self._failures as raised:
            gave_up = isinstance(raised, self._errors.RetryError)
            error: BaseException = (raised.__cause__ if gave_up else None) or raised
            if self._has_ended(error):
                words = f"{operation}: the emulator has ended, and its jobs with it"
                raise EmulatorEndedError(PROVIDER, words) from raised
            raise self._meaning(operation, error) from raised

    @cached_property
    def _failures(self) -> tuple[type[BaseException], ...]:
        """What the clients raise."""
        storage = _imported("google.cloud.storage.exceptions")
        return (
            self._errors.GoogleAPIError,
            self._auth_errors.GoogleAuthError,
            self._requests.RequestException,
            storage.InvalidResponse,
            storage.DataCorruption,
        )

    def _meaning(self, operation: str, error: BaseException) -> GoogleError:
        code = getattr(error, "code", None)
        if isinstance(error, self._errors.GoogleAPICallError) and code:
            return refusal(operation, int(code), str(getattr(error, "message", error)))
        response = getattr(error, "response", None)
        if isinstance(error, self._failures[3]) and response is not None:
            return refusal(operation, int(response.status_code), str(error))
        kinds = [kind.__name__ for kind in type(error).__mro__]
        passing = bool(getattr(error, "retryable", False))
        return not_reached(operation, kinds, str(error), passing=passing)


def _kind(name: str) -> str:
    """Return which kind of job a full name is of."""
    return _TUNING if f"/{_TUNING}/" in name else _CUSTOM


def _guarding(url: str) -> Any:
    """Return an adapter of requests that refuses to send one anywhere but to a URL's origin."""
    adapters: Any = _imported("requests.adapters")
    origin = urlsplit(url)[:2]
    plain: Callable[..., Any] = adapters.HTTPAdapter.send

    def send(self: Any, request: Any, *args: Any, **more: Any) -> Any:
        sent_to: str = request.url
        found = urlsplit(sent_to)
        if found[:2] != origin:
            raise GoogleError(
                f"a call would have left for {found.netloc}, and an emulated run reaches its "
                "emulator alone",
                affects_all_calls=True,
            )
        return plain(self, request, *args, **more)

    return type("Guard", (adapters.HTTPAdapter,), {"send": send})()


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("Vertex AI", "vertex") from error
