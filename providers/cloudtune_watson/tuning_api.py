"""Calls the searches of WML Accelerator, for which IBM's package no longer works.

Calls: ``/platform/rest/deeplearning/v1/hypersearch``, see `cloudtune_watson.capabilities.CLIENT`.
Sign-in: Cloud Pak for Data 4.0 and later exchanges a key for a token, as for IBM's packages; 3.5
exchanges a password, by ``/auth/v1/logon``; a standalone WML Accelerator accepts the password.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from cloudtune.provider import Json
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import HttpClient
from cloudtune_watson.versions import STANDALONE, parse_version

_REST = "/platform/rest/deeplearning/v1"
_KEY_SIGN_IN = (4, 0)
"""The first version that exchanges a key for a token."""


class WmlaClient:
    """The searches of one user. Each call may raise `WatsonError`."""

    def __init__(self, http: HttpClient, facts: Mapping[str, Any]) -> None:
        """Create the client without sending a request.

        Args:
            http: The connection to WML Accelerator.
            facts: The provider's facts, with ``version`` and ``sign_in_url``.
        """
        self._http = http
        self._facts = facts
        self._headers: dict[str, str] | None = None
        """The headers that sign in; None before the sign-in."""

    @property
    def emulated(self) -> bool:
        """Whether the service is an emulator."""
        return self._http.connection.emulated

    def submit(self, request: Json, code: Path) -> str:
        """Create a search and return its name.

        Args:
            request: ``file``, the name of the archive, and ``data``.
            code: The archive.

        Raises:
            OSError: If the archive cannot be read.
        """
        self._http.retry(self._sign_in)
        with code.open("rb") as file:
            response = self._send(
                "POST",
                "/hypersearch",
                files={"file": (request["file"], file, "application/octet-stream")},
                data={"data": json.dumps(request["data"])},
            )
        # Older versions return the name as text, newer ones as uid.
        name = cast("Json", response).get("uid") if isinstance(response, dict) else response
        if not isinstance(name, str) or not name.strip():
            raise WatsonError(f"the response to the new search has no name: {response}")
        return name.strip()

    def get(self, name: str) -> Json:
        """Return a search with its trials."""
        search: Json = self._call("GET", f"/hypersearch/{quote(name, safe='')}")
        return search

    def stop(self, name: str) -> None:
        """Stop a search."""
        self._call("PUT", f"/hypersearch/{quote(name, safe='')}")

    def log(self, trial: str) -> str:
        """Return the log of a trial."""
        log = self._call("GET", f"/execs/{quote(trial, safe='')}/log")
        return log if isinstance(log, str) else json.dumps(log)

    def _call(self, method: str, path: str) -> Any:
        """Return the response to an idempotent call, with retries."""
        return self._http.retry(lambda: self._call_once(method, path))

    def _call_once(self, method: str, path: str) -> Any:
        """Return the response to a call, repeated once if the sign-in had expired."""
        just_signed_in = self._headers is None
        try:
            return self._send(method, path)
        except WatsonError as error:
            if just_signed_in or not error.signed_out:
                raise
        self._headers = None
        return self._send(method, path)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._http.connection.url}{_REST}{path}"
        response = self._http.send(method, url, headers=self._sign_in(), **options)
        try:
            return response.json()
        except ValueError:
            return response.text

    def _sign_in(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = self._request_headers()
        return self._headers

    def _request_headers(self) -> dict[str, str]:
        user, key = self._http.connection.user, self._http.connection.key
        url, version = str(self._facts["sign_in_url"]), str(self._facts["version"])
        basic = {"Authorization": "Basic " + b64encode(f"{user}:{key}".encode()).decode()}
        if version == STANDALONE:
            return basic
        if (parse_version(version) or _KEY_SIGN_IN) < _KEY_SIGN_IN:
            response = self._http.get(f"{url}/auth/v1/logon", headers=basic)
            return {"X-Auth-Token": _token(response, "accessToken")}
        credentials = {"username": user, "api_key": key}
        response = self._http.post(f"{url}/icp4d-api/v1/authorize", json=credentials)
        return {"Authorization": f"Bearer {_token(response, 'token')}"}


def _token(response: Any, name: str) -> str:
    try:
        return str(response.json()[name])
    except (ValueError, KeyError, TypeError) as error:
        message = "the response to the sign-in has no token"
        raise WatsonError(message, affects_all_calls=True) from error
