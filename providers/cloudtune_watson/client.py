"""Reaches Watson Machine Learning: the only file that imports IBM's packages.

Either does: ibm-watsonx-ai, or the older ibm-watson-machine-learning, whose client is nearly alike.
They sign in, know which version of the API a cluster wants, and store the code; every request of
theirs goes out through `Way`. Result files are read as ibm-watsonx-ai 1.8.1 reads them, in
``helpers/connections/base_data_connection.py``: ``/v2/asset_files/`` and what follows ``/assets/``
in the path.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cloudtune.provider import Json, MissingExtraError
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import Way

T = TypeVar("T")

NEWER, OLDER = "ibm_watsonx_ai", "ibm_watson_machine_learning"
_VERIFY = {NEWER: "WX_CLIENT_VERIFY_REQUESTS", OLDER: "WML_CLIENT_VERIFY_REQUESTS"}
"""The variable without which a package gives up checking a certificate once that fails."""
SENT = frozenset({
    "name",
    "description",
    "tags",
    "space_id",
    "project_id",
    "training_data_references",
    "results_reference",
    "test_data_references",
    "model_definition",
})  # fmt: skip
"""What of a training either package sends; it drops all else without a word."""


class Trainings:
    """Trainings, the definitions that they run, and the files that they write, in one space.

    Each call may raise `WatsonError`.
    """

    def __init__(self, way: Way, data: Mapping[str, Any]) -> None:
        """Prepare; nothing is called.

        Args:
            way: To the cluster.
            data: What is known of it: ``version``, and ``space_id`` or ``project_id``.

        Raises:
            MissingExtraError: If neither package is installed.
        """
        self._way = way
        self._own = data
        self._package = package(str(data["version"]))
        self._signed_in: Any = None
        os.environ[_VERIFY[self._package]] = str(way.caller.verify)  # read when it is imported
        logging.getLogger(self._package).setLevel(logging.CRITICAL + 1)  # its errors become ours

    @property
    def emulated(self) -> bool:
        """Whether the cluster is an emulator."""
        return self._way.caller.emulated

    def create(self, request: Json) -> str:
        """Start the training that a request describes; return IBM's id of it."""
        if dropped := sorted(request.keys() - SENT):
            raise WatsonError(f"IBM's Python package does not send {', '.join(dropped)}")
        self._call(lambda _: None)  # signs in, which may be tried more than once
        made: Json = self._once(lambda api: api.training.run(request))
        return str(made["metadata"]["id"])

    def get(self, training: str) -> Json:
        """Return a training as it stands."""
        return self._call(lambda api: api.training.get_details(training))

    def tagged(self, tag: str) -> list[Json]:
        """Return the trainings that have a tag."""
        found: Json = self._call(
            lambda api: api.training.get_details(tag_value=tag, get_all=True, limit=None)
        )
        return list(found["resources"])

    def cancel(self, training: str) -> None:
        """Ask a training to end."""
        self._call(lambda api: api.training.cancel(training))

    def definitions(self, name: str) -> list[str]:
        """Return the ids of the stored definitions of a name."""

        def named(api: Any) -> list[str]:
            found: list[Json] = api.model_definitions.get_details()["resources"]
            same = [each for each in found if each["metadata"].get("name") == name]
            return [str(api.model_definitions.get_id(each)) for each in same]

        return self._call(named)

    def has(self, definition: str) -> bool:
        """Tell whether a definition is there."""
        try:
            self._call(lambda api: api.model_definitions.get_details(definition))
        except WatsonError as error:
            if error.not_found:
                return False
            raise
        return True

    def store(self, name: str, path: Path) -> str:
        """Store code as a model definition; return its id.

        Args:
            name: Of the definition.
            path: A zip file of this machine.
        """
        about = {
            "name": name,
            "description": "Trials of cloudtune",
            "platform": {"name": "python", "versions": [_python(str(self._own["software_spec"]))]},
            "version": "1.0",
        }

        def stored(api: Any) -> str:
            made = api.model_definitions.store(str(path), about)
            return str(api.model_definitions.get_id(made))

        return self._call(stored)

    def download(self, definition: str, path: Path) -> None:
        """Write the code of a definition to a file that is not there yet."""
        with redirect_stdout(StringIO()):  # the packages say so
            self._call(lambda api: api.model_definitions.download(definition, str(path)))

    def read(self, path: str) -> bytes | None:
        """Return a file among the assets of the space, or None if it is not there.

        Args:
            path: Its address, with the space.
        """
        inner = quote(path.split("/assets/", maxsplit=1)[-1])
        url = f"{self._way.caller.url}/v2/asset_files/{inner}"
        try:
            answer = self._call(
                lambda api: self._way.get(url, params=api._params(), headers=api._get_headers())
            )
        except WatsonError as error:
            if error.not_found:
                return None
            raise
        return bytes(answer.content)

    def _call(self, call: Callable[[Any], T]) -> T:
        """Return what a call gives that may be made more than once."""
        return self._way.patiently(lambda: self._once(call))

    def _once(self, call: Callable[[Any], T]) -> T:
        """Return what a call gives, made again where the sign-in had expired and nothing else."""
        fresh = self._signed_in is None
        try:
            return self._told(call)
        except WatsonError as error:
            if fresh or not error.signed_out:
                raise
        self._signed_in = None
        return self._told(call)

    def _told(self, call: Callable[[Any], T]) -> T:
        """Say in our own error what IBM's package says in one of its own."""
        self._way.refused = None
        errors = _imported(f"{self._package}.wml_client_error")
        try:
            return call(self._api())
        except errors.WMLClientError as error:
            raise (self._way.refused or WatsonError(str(error))) from error
        except (KeyError, IndexError, ValueError) as error:
            words = f"an answer of the cluster is not as IBM's package wants it: {error!r}"
            raise WatsonError(words) from error

    def _api(self) -> Any:
        """Return IBM's client, signed in."""
        if self._signed_in is None:
            sign_in = _newer if self._package == NEWER else _older
            self._way.raises = False  # the packages look for what an older cluster does not have
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._signed_in = sign_in(self._way, self._own)
            finally:
                self._way.raises = True
        return self._signed_in


def package(version: str) -> str:
    """Return which of IBM's packages is used: the newer one if it knows the cluster's version.

    Raises:
        MissingExtraError: If neither is installed.
    """
    wanted = [OLDER, NEWER] if version.startswith("4.") else [NEWER, OLDER]
    for name in wanted:
        if importlib.util.find_spec(name) is not None:
            return name
    raise MissingExtraError("IBM Watson", "watsonx")


def _newer(way: Way, data: Mapping[str, Any]) -> Any:
    caller = way.caller
    httpx = _imported("httpx")
    ibm = _imported(NEWER)

    class Through(httpx.BaseTransport):  # type: ignore[misc, name-defined]
        """Sends what the package sends through our way out."""

        def handle_request(self, request: Any) -> Any:
            answer = way.send(
                request.method,
                str(request.url),
                headers=dict(request.headers),
                data=request.read(),
            )
            return httpx.Response(
                answer.status_code,
                headers={"Content-Type": answer.headers.get("Content-Type", "")},
                content=answer.content,
                request=request,
            )

    credentials = ibm.Credentials(
        url=caller.url,
        username=caller.user,
        api_key=caller.key,
        version=data["version"],
        verify=caller.verify,
    )
    place = {name: data[name] for name in ("project_id", "space_id") if data.get(name)}
    return ibm.APIClient(credentials, httpx_client=httpx.Client(transport=Through()), **place)


def _older(way: Way, data: Mapping[str, Any]) -> Any:
    caller = way.caller
    wrapper = _imported(f"{OLDER}._wrappers.requests")
    wrapper.requests = way  # all that the package sends goes through this module
    credentials = {
        "url": caller.url,
        "username": caller.user,
        "apikey": caller.key,
        "instance_id": "openshift",
        "version": data["version"],
    }
    client = _imported(OLDER).APIClient(credentials)
    if data.get("project_id"):
        client.set.default_project(data["project_id"])
    else:
        client.set.default_space(data["space_id"])
    return client


def _python(software_spec: str) -> str:
    """Return the version of Python in the name of a software specification."""
    found = re.search(r"py(\d\.\d+)", software_spec)
    return found[1] if found else "3.11"


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("IBM Watson", "watsonx") from error
