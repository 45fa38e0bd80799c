"""Calls Watson Machine Learning. Only this file imports IBM's packages.

It uses either ibm-watsonx-ai or the older ibm-watson-machine-learning, whose clients are similar.
They sign in, know the API version of a cluster, and store the code; `HttpClient` sends all their
requests. Result files are read as in ibm-watsonx-ai 1.8.1,
``helpers/connections/base_data_connection.py``: from ``/v2/asset_files/`` and the part of the path
after ``/assets/``.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from cloudtune.provider import MissingExtraError, if_found
from cloudtune_watson.documents import job_of, part, read_text, rows
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import HttpClient, ServiceClient

if TYPE_CHECKING:
    from cloudtune.provider import Json
    from cloudtune.provider.trial_files import StoredFile

T = TypeVar("T")

NEWER, OLDER = "ibm_watsonx_ai", "ibm_watson_machine_learning"
_VERIFY = {NEWER: "WX_CLIENT_VERIFY_REQUESTS", OLDER: "WML_CLIENT_VERIFY_REQUESTS"}
"""The variable without which a package stops verifying certificates after a failure."""
_PAGE_SIZE = 200
"""Definitions of one response to a search: the most of ibm-watsonx-ai 1.8.1, wml_resource.py."""
SENT_FIELDS = frozenset(
    {
        *("name", "description", "tags", "space_id", "project_id", "model_definition"),
        *("training_data_references", "test_data_references", "results_reference"),
    }
)
"""The fields of a training that both packages send; they silently drop all others."""


class WmlClient(ServiceClient[Any]):
    """The trainings, model definitions and files of one space or project.

    Each call may raise `WatsonError`.
    """

    def __init__(self, http: HttpClient, facts: Mapping[str, Any]) -> None:
        """Create the client without sending a request.

        Args:
            http: The connection to the cluster.
            facts: The provider's facts, with ``version``, and ``space_id`` or ``project_id``.

        Raises:
            MissingExtraError: If neither package is installed.
        """
        super().__init__(http, facts)
        self._package = choose_package(str(facts["version"]))
        os.environ[_VERIFY[self._package]] = str(http.connection.verify)  # read at its import
        logging.getLogger(self._package).setLevel(logging.CRITICAL + 1)  # its errors are raised

    def create(self, request: Json) -> str:
        """Create a training and return its id."""
        if dropped := sorted(request.keys() - SENT_FIELDS):
            raise WatsonError(f"IBM's Python package does not send {', '.join(dropped)}")
        training: Json = self.call(lambda api: api.training.run(request))
        return read_text(training, "metadata", "id")

    def get(self, training: str) -> Json:
        """Return the description of a training."""
        return job_of(self.call(lambda api: api.training.get_details(training)))

    def list_by_tag(self, tag: str) -> list[Json]:
        """Return the trainings that have a tag."""
        response: Json = self.call(
            lambda api: api.training.get_details(tag_value=tag, get_all=True, limit=None)
        )
        return [job_of(row) for row in rows(response, "resources")]

    def cancel(self, training: str) -> None:
        """Stop a training."""
        self.call(lambda api: api.training.cancel(training))

    def definitions(self, name: str) -> list[str]:
        """Return the ids of the model definitions with a name."""
        url = f"{self.http.connection.url}/v2/asset_types/wml_model_definition/search"

        def read(api: Any) -> list[str]:
            ids: list[str] = []
            page: Json | None = {"query": "*:*", "limit": _PAGE_SIZE}
            while page:
                response: Json = self.http.post(
                    url, json=page, params=api._params(), headers=api._get_headers()
                ).json()
                found = [part(row, "metadata") for row in rows(response, "results")]
                ids += [read_text(each, "asset_id") for each in found if each.get("name") == name]
                page = part(response, "next")
            return ids

        return self.call(read)

    def has_definition(self, definition: str) -> bool:
        """Return whether a model definition exists."""
        return (
            if_found(lambda: self.call(lambda api: api.model_definitions.get_details(definition)))
            is not None
        )

    def store(self, name: str, path: Path) -> str:
        """Store a zip file as a model definition and return its id.

        That takes several requests. If one fails, what the others have stored is deleted.
        """
        match = re.search(r"py(\d\.\d+)", str(self.facts["software_spec"]))
        properties = {
            "name": name,
            "description": "Trials of cloudtune",
            "platform": {"name": "python", "versions": [match[1] if match else "3.11"]},
            "version": "1.0",
        }

        def write(api: Any) -> str:
            definition = api.model_definitions.store(str(path), properties)
            return str(api.model_definitions.get_id(definition))

        others = self.definitions(name)
        pauses = self.http.pauses()
        while True:
            try:
                return self.call(write)
            except WatsonError as error:
                for definition in self.definitions(name):
                    if definition not in others:
                        self.delete_definition(definition)
                if not (error.retryable and next(pauses, False)):
                    raise

    def delete_definition(self, definition: str) -> None:
        """Delete a model definition; no effect if it does not exist."""
        if_found(lambda: self.call(lambda api: api.model_definitions.delete(definition)))

    def download(self, definition: str, path: Path) -> None:
        """Write the code of a model definition to a file that does not exist."""
        with redirect_stdout(StringIO()):  # the packages print a message
            self.call(lambda api: api.model_definitions.download(definition, str(path)))

    def read(self, path: str) -> bytes | None:
        """Return a file among the assets of the space, or None if it does not exist.

        Args:
            path: The path on the volume, with the space.
        """
        inner = quote(path.split("/assets/", maxsplit=1)[-1])
        url = f"{self.http.connection.url}/v2/asset_files/{inner}"

        def get(api: Any) -> bytes:
            response = self.http.get(url, params=api._params(), headers=api._get_headers())
            return bytes(response.content)

        return if_found(lambda: self.call(get))

    def list_files(self, folder: str) -> dict[str, int]:
        """Return the sizes of the files below a folder among the assets, by path.

        Without the folder there are none. As in ibm-watsonx-ai 1.8.1, ``connections.py`` and
        ``FSLocation._get_file_size``.
        """
        files = f"{self.http.connection.url}/v2/asset_files"

        def send(method: str, path: str, **more: str) -> Any:
            return self.call(
                lambda api: self.http.send(
                    method,
                    f"{files}/{quote(path)}",
                    params={**api._params(), **more},
                    headers=api._get_headers(),
                )
            )

        try:
            found = rows(send("GET", folder, flat="true").json(), "resources")
            paths = [read_text(row, "path") for row in found if row.get("type") == "file"]
            inside = [path for path in paths if path.startswith(f"{folder}/")]
            return {path: int(send("HEAD", path).headers["X-Asset-Files-Size"]) for path in inside}
        except WatsonError as error:
            if error.not_found:
                return {}
            raise
        except (KeyError, ValueError) as error:
            raise WatsonError(f"the list of {folder} cannot be read: {error!r}") from error

    def stream(self, file: StoredFile, start: int) -> Iterator[bytes]:
        """Yield a file among the assets from a byte on, which IBM sends from its beginning."""
        url = f"{self.http.connection.url}/v2/asset_files/{quote(file.address)}"
        response = self.call(
            lambda api: self.http.get(
                url, params=api._params(), headers=api._get_headers(), stream=True
            )
        )
        with closing(response):
            for part in self.http.parts(url, response):
                yield part[start:]
                start = max(0, start - len(part))

    def translate_errors(self, call: Callable[[Any], T]) -> T:
        """Return the result of a call, whose errors are `WatsonError`."""
        self.http.last_error = None
        errors = _import(f"{self._package}.wml_client_error")
        try:
            return super().translate_errors(call)
        except errors.WMLClientError as error:
            raise (self.http.last_error or WatsonError(str(error))) from error
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            message = f"IBM's package cannot read a response of the cluster: {error!r}"
            raise WatsonError(message) from error

    def create_session(self) -> Any:
        """Return IBM's client, which signs in."""
        connect = _connect_newer if self._package == NEWER else _connect_older
        self.http.raises = False  # the packages try addresses that older clusters do not have
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return connect(self.http, self.facts)
        finally:
            self.http.raises = True


def choose_package(version: str) -> str:
    """Return the installed package of IBM that best supports a version of the cluster.

    Raises:
        MissingExtraError: If neither package is installed.
    """
    packages = [OLDER, NEWER] if version.startswith("4.") else [NEWER, OLDER]
    for name in packages:
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingExtraError("IBM Watson", "watsonx")


def _connect_newer(http: HttpClient, facts: Mapping[str, Any]) -> Any:
    connection = http.connection
    httpx = _import("httpx")
    ibm = _import(NEWER)

    class Transport(httpx.BaseTransport):  # type: ignore[misc, name-defined]
        """Sends the package's requests with the HTTP client."""

        def handle_request(self, request: Any) -> Any:
            response = http.send(
                request.method,
                str(request.url),
                headers=dict(request.headers),
                data=request.read(),
            )
            return httpx.Response(
                response.status_code,
                headers={"Content-Type": response.headers.get("Content-Type", "")},
                content=response.content,
                request=request,
            )

    credentials = ibm.Credentials(
        url=connection.url,
        username=connection.user,
        api_key=connection.key,
        version=facts["version"],
        verify=connection.verify,
    )
    scope = {name: facts[name] for name in ("project_id", "space_id") if facts.get(name)}
    return ibm.APIClient(credentials, httpx_client=httpx.Client(transport=Transport()), **scope)


def _connect_older(http: HttpClient, facts: Mapping[str, Any]) -> Any:
    wrapper = _import(f"{OLDER}._wrappers.requests")
    wrapper.requests = http  # the package sends all its requests with this module
    credentials = {
        "url": http.connection.url,
        "username": http.connection.user,
        "apikey": http.connection.key,
        "instance_id": "openshift",
        "version": facts["version"],
    }
    client = _import(OLDER).APIClient(credentials)
    if facts.get("project_id"):
        client.set.default_project(facts["project_id"])
    else:
        client.set.default_space(facts["space_id"])
    return client


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("IBM Watson", "watsonx") from error
