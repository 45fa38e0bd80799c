"""Sends all HTTP requests to a cluster, including those of IBM's packages.

It always verifies the cluster's certificate: against the certificates that Python trusts, the file
in the settings, or the emulator's certificate. It follows redirects only to the same address. With
an emulator, requests to other addresses fail, and proxies and configuration files are not used.
IBM's packages by themselves would stop verifying after a failure, wait forever for a response, and
repeat requests that may have been carried out.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from cloudtune.provider import EmulatorEndedError, MissingExtraError, guard_redirects, retry_pauses
from cloudtune.provider.answers import problem
from cloudtune.provider.call_record import record_call
from cloudtune_watson.errors import PROVIDER, WatsonError, connection_error, service_error

T = TypeVar("T")
SessionT = TypeVar("SessionT")

TIMEOUT = 120.0
"""Seconds to wait for the next part of a response."""
_SAFE_POSTS = ("/authorize", "/identity/token", "/complete", "/search")
"""The ends of the paths of POST requests that may be carried out twice."""
_ASSETS = "/v2/assets"
_RECORDED = ("/ml/v4/deployments", "/ml/v4/deployment_jobs", "/ml/v4/trainings")
"""The paths whose calls a verification records."""
_THROTTLED = 429
_PART_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Connection:
    """The address of a cluster and the credentials of a user."""

    url: str
    user: str
    key: str
    certificate: Path | None = None
    """The file to verify its certificate; None for the certificates that Python trusts."""
    emulated: bool = False
    """Whether it is an emulator, so that other addresses must not be called."""

    @property
    def verify(self) -> str | bool:
        """The argument ``verify`` of ``requests``."""
        return str(self.certificate) if self.certificate else True


class HttpClient:
    """Sends requests, and translates errors into `WatsonError`.

    The methods `get`, `post`, `put` and `delete` are those of ``requests``, for which IBM's older
    package uses this object.
    """

    def __init__(self, connection: Connection, is_stopping: Callable[[], bool] = bool) -> None:
        """Create a session without sending a request.

        ``is_stopping`` returns whether calls that fail are to give up soon.

        Raises:
            MissingExtraError: If ``requests`` is not installed.
        """
        self.connection = connection
        self._is_stopping = is_stopping
        self.raises = True
        """Whether an error response raises; if not, the caller checks it."""
        self.last_error: WatsonError | None = None
        """The error of the last request, if it failed."""
        try:
            requests = importlib.import_module("requests")
        except ImportError as error:
            raise MissingExtraError("IBM Watson", "watsonx") from error
        self._session = requests.Session()
        self._session.trust_env = not connection.emulated
        self._session.auth = _no_auth  # otherwise requests reads ~/.netrc
        guard_redirects(self._session, _refuse_redirect)

    def send(self, method: str, url: str, **options: Any) -> Any:
        """Send a request and return the response, a ``requests.Response``.

        After a transient error a request is repeated for a while, if that has no other effect than
        one request.

        Args:
            method: The HTTP method.
            url: The complete address.
            **options: The other arguments of ``requests.request``.

        Raises:
            WatsonError: If there is no response, or it is an error.
            EmulatorEndedError: If the emulator is no longer running.
        """
        path = urlsplit(url).path
        self._check_url(f"{method} {path}", url)
        if method == "PUT" and (files := options.get("files")):  # an open file is read only once
            options["files"] = {field: _read_upload(upload) for field, upload in files.items()}
        pauses = self.pauses()
        while True:
            error, response = None, None
            try:
                response = self._send_once(method, url, options)
            except WatsonError as raised:
                error = raised
            if response is not None and response.status_code >= 400:
                error = service_error(f"{method} {path}", response.status_code, response.text)
            self.last_error = error
            if response is not None and path.startswith(_RECORDED):
                request = _request(method, path, options)
                status, answer = response.status_code, _document(response)
                record_call(_operation(method, path), request, status, answer)
            if error is None:
                return response
            if not (_may_repeat(method, path, error) and next(pauses, False)):
                if response is not None and not self.raises:
                    return response
                raise error

    def _send_once(self, method: str, url: str, options: Mapping[str, Any]) -> Any:
        operation = f"{method} {urlsplit(url).path}"
        options = {"timeout": TIMEOUT, **options, "verify": self.connection.verify}
        try:
            return self._session.request(method, url, **options)
        except OSError as error:
            if self.connection.emulated and "Connection refused" in str(error):
                raise EmulatorEndedError(PROVIDER, operation) from error
            raise connection_error(operation, error) from error

    def pauses(self) -> Iterator[bool]:
        """Return the pauses before the further attempts of a call, as `retry_pauses` does."""
        return retry_pauses(self._is_stopping, emulated=self.connection.emulated)

    def get(self, url: str, params: Any = None, **options: Any) -> Any:
        """Send a GET request."""
        return self.send("GET", url, params=params, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Any:
        """Send a POST request."""
        return self.send("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> Any:
        """Send a PUT request."""
        return self.send("PUT", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> Any:
        """Send a DELETE request."""
        return self.send("DELETE", url, **options)

    def download(self, url: str, path: Path) -> None:
        """Write the content of an address to a file, without credentials.

        Raises:
            OSError: If the file cannot be written.
            WatsonError: If the content cannot be read.
        """
        pauses = self.pauses()
        while True:
            response = self.get(url, stream=True)
            try:
                with path.open("wb") as file:
                    for part in self.parts(url, response):
                        file.write(part)
            except WatsonError as error:
                if not (error.retryable and next(pauses, False)):
                    raise
            else:
                return
            finally:
                response.close()

    def parts(self, url: str, response: Any) -> Iterator[bytes]:
        """Yield the content of a response that is streamed.

        Raises:
            WatsonError: If the connection is lost.
        """
        try:
            yield from response.iter_content(_PART_BYTES)
        except OSError as error:
            raise connection_error(f"GET {urlsplit(url).path}", error) from error

    def _check_url(self, operation: str, url: str) -> None:
        """Refuse addresses without encryption, and in emulated runs all but the emulator's."""
        problem, address = "", url.partition("?")[0]
        if not url.startswith("https://"):
            problem = f"{address} does not start with https://"
        elif (
            self.connection.emulated
            and urlsplit(url).netloc != urlsplit(self.connection.url).netloc
        ):
            problem = f"an emulated run must not call {address}"
        if problem:
            raise WatsonError(f"{operation}: {problem}", affects_all_calls=True)


class ServiceClient(ABC, Generic[SessionT]):
    """Calls a service after a sign-in, which it repeats once when it has expired."""

    def __init__(self, http: HttpClient, facts: Mapping[str, Any]) -> None:
        """Create the client without sending a request.

        Args:
            http: The connection to the service.
            facts: The provider's facts about the service.
        """
        self.http = http
        self.facts = facts
        self._session: SessionT | None = None

    @property
    def emulated(self) -> bool:
        """Whether the service is an emulator."""
        return self.http.connection.emulated

    @abstractmethod
    def create_session(self) -> SessionT:
        """Sign in, and return what calls need."""

    def sign_in(self) -> SessionT:
        """Return the session, after a sign-in if necessary."""
        if self._session is None:
            self._session = self.create_session()
        return self._session

    def call(self, call: Callable[[SessionT], T]) -> T:
        """Return the result of a call, repeated once if the sign-in had expired."""
        just_signed_in = self._session is None
        try:
            return self.translate_errors(call)
        except WatsonError as error:
            if just_signed_in or not error.signed_out:
                raise
        self._session = None
        return self.translate_errors(call)

    def translate_errors(self, call: Callable[[SessionT], T]) -> T:
        """Return the result of a call, whose errors are `WatsonError`."""
        return call(self.sign_in())


def _may_repeat(method: str, path: str, error: WatsonError) -> bool:
    """Return whether a request that failed can be sent again.

    A second POST would create a second resource, unless it was throttled and so not carried out.
    The caller of a new training looks for it instead, and decides when to try again.
    """
    safe = method != "POST" or path.endswith(_SAFE_POSTS)
    throttled = error.code == _THROTTLED and path.startswith(_ASSETS)
    return error.retryable and (safe or throttled)


def bearer_token(response: Any, name: str) -> str:
    """Return the token in the response to a sign-in.

    Raises:
        WatsonError: If it has none.
    """
    answer: Any = None
    try:
        answer = response.json()
        wrong = problem(answer, {name: str})
    except ValueError:
        wrong = "it is not JSON"
    if wrong:
        message = f"the response to the sign-in has no token: {wrong}"
        raise WatsonError(message, affects_all_calls=True)
    token: str = answer[name]
    return token


def _operation(method: str, path: str) -> str:
    """Return the emulator's name for a call of the runtime; IBM's REST APIs have none."""
    parts = path.strip("/").split("/")[2:]
    kind = {"deployments": "Deployment", "deployment_jobs": "DeploymentJob"}.get(
        parts[0], "Training"
    )
    if len(parts) == 1:
        return f"Create{kind}" if method == "POST" else f"List{kind}s"
    return f"{'Delete' if method == 'DELETE' else 'Get'}{kind}"


def _request(method: str, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request as recordings have it; its headers sign in, and are left out."""
    parts = {"query": options.get("params"), "body": options.get("json")}
    return {"method": method, "path": path, **{key: part for key, part in parts.items() if part}}


def _document(response: Any) -> Any:
    """Return the document of a response; empty if there is none."""
    try:
        return response.json() if response.content else {}
    except ValueError:
        return {}


def _read_upload(upload: Sequence[Any]) -> Sequence[Any]:
    name, file, *rest = upload
    return (name, file.read(), *rest)


def _no_auth(request: Any) -> Any:
    return request


def _refuse_redirect(message: str) -> WatsonError:
    return WatsonError(
        f"{message}: check providers.watson.url and sign_in_url", affects_all_calls=True
    )
