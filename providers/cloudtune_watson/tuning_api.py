"""Reaches the search of WML Accelerator, for which IBM has no package that works with it any more.

Calls: ``/platform/rest/deeplearning/v1/hypersearch`` of `cloudtune_watson.capabilities.REST`.
Sign-in: Cloud Pak for Data 4.0 and later gives a token for a key, as to IBM's own packages; 3.5
one for a password, by ``/auth/v1/logon``; a standalone Accelerator takes the password itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from cloudtune.provider import Json
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import Way
from cloudtune_watson.versions import STANDALONE, number

_REST = "/platform/rest/deeplearning/v1"
_SECOND_SIGN_IN = (4, 0)
"""The first version that gives a token for a key."""


class Accelerator:
    """The searches of one user. Each call may raise `WatsonError`."""

    def __init__(self, way: Way, own: Mapping[str, Any]) -> None:
        """Prepare; nothing is called.

        Args:
            way: To the Accelerator.
            own: What is known of it: ``version`` and ``sign_in_url``.
        """
        self._way = way
        self._own = own
        self._headers: dict[str, str] | None = None

    @property
    def emulated(self) -> bool:
        """Whether it is an emulator."""
        return self._way.caller.emulated

    def submit(self, request: Json, code: Path) -> str:
        """Start a search; return what the Accelerator calls it.

        Args:
            request: ``file``, the name of the archive, and ``data``.
            code: The archive.

        Raises:
            OSError: If it cannot be read.
        """
        self._way.patiently(self._signed_in)
        with code.open("rb") as file:
            return _name_in(
                self._answer(
                    "POST",
                    "/hypersearch",
                    files={"file": (request["file"], file, "application/octet-stream")},
                    data={"data": json.dumps(request["data"])},
                )
            )

    def get(self, name: str) -> Json:
        """Return a search with its trials."""
        found: Json = self._call("GET", f"/hypersearch/{quote(name, safe='')}")
        return found

    def names(self) -> list[str]:
        """Return the names of all searches."""
        found: list[Json] = self._call("GET", "/hypersearch")
        return [str(each.get("hpoName", "")) for each in found]

    def stop(self, name: str) -> None:
        """Ask a search to end."""
        self._call("PUT", f"/hypersearch/{quote(name, safe='')}")

    def log(self, trial: str) -> str:
        """Return what a trial has printed."""
        said = self._call("GET", f"/execs/{quote(trial, safe='')}/log")
        return said if isinstance(said, str) else json.dumps(said)

    def _call(self, method: str, path: str) -> Any:
        """Return the answer to a call that may be made more than once."""
        return self._way.patiently(lambda: self._once(method, path))

    def _once(self, method: str, path: str) -> Any:
        """Return the answer to a call, made again where the sign-in had expired."""
        fresh = self._headers is None
        try:
            return self._answer(method, path)
        except WatsonError as error:
            if fresh or not error.signed_out:
                raise
        self._headers = None
        return self._answer(method, path)

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        url = f"{self._way.caller.url}{_REST}{path}"
        answer = self._way.send(method, url, headers=self._signed_in(), **more)
        try:
            return answer.json()
        except ValueError:
            return answer.text

    def _signed_in(self) -> dict[str, str]:
        """Return the headers that say who calls."""
        if self._headers is None:
            self._headers = self._sign_in()
        return self._headers

    def _sign_in(self) -> dict[str, str]:
        caller = self._way.caller
        cluster, version = str(self._own["sign_in_url"]), str(self._own["version"])
        if version == STANDALONE:
            return {"Authorization": _basic(caller.user, caller.key)}
        if (number(version) or _SECOND_SIGN_IN) < _SECOND_SIGN_IN:
            basic = {"Authorization": _basic(caller.user, caller.key)}
            answer = self._way.get(f"{cluster}/auth/v1/logon", headers=basic)
            return {"X-Auth-Token": _token(answer, "accessToken")}
        who = {"username": caller.user, "api_key": caller.key}
        answer = self._way.post(f"{cluster}/icp4d-api/v1/authorize", json=who)
        return {"Authorization": f"Bearer {_token(answer, 'token')}"}


def _basic(user: str, key: str) -> str:
    from base64 import b64encode

    return "Basic " + b64encode(f"{user}:{key}".encode()).decode()


def _token(answer: Any, name: str) -> str:
    try:
        return str(answer.json()[name])
    except (ValueError, KeyError, TypeError) as error:
        raise WatsonError(
            "the answer to the sign-in holds no token", affects_all_calls=True
        ) from error


def _name_in(answer: Any) -> str:
    """Return the name in an answer: older Accelerators give it as text, newer ones as ``uid``."""
    name: Any = cast("Json", answer).get("uid") if isinstance(answer, dict) else answer
    if not isinstance(name, str) or not name.strip():
        raise WatsonError(f"the answer to the submitted search names none: {answer}")
    return name.strip()
