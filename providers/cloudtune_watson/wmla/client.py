"""Calls the searches of WML Accelerator, for which IBM's package no longer works.

Calls: ``/platform/rest/deeplearning/v1/hypersearch``, see `cloudtune_watson.capabilities.CLIENT`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from cloudtune.provider import Json
from cloudtune.provider.answers import Fields, problem
from cloudtune_watson.auth import cluster_headers
from cloudtune_watson.errors import WatsonError
from cloudtune_watson.http import ServiceClient
from cloudtune_watson.wmla.native.names import LATEST

REST = "/platform/rest/deeplearning/v1"
_NUMBER = (int, float, str)
NEEDED: Fields = {
    "experiments[]?.id": _NUMBER,
    "experiments[]?.hyperParams[]?.name": str,
    "experiments[]?.metrics[]?.name": str,
    **{f"experiments[]?.metrics[]?.{name}?": _NUMBER for name in (LATEST, "min", "max")},
    **{f"experiments[]?.{name}?": _NUMBER for name in ("metricVal", "maxiteration")},
}
"""The fields of a search that its readers need."""


class WmlaClient(ServiceClient[dict[str, str]]):
    """The searches of one user. Each call may raise `WatsonError`.

    Its session is the headers that sign in.
    """

    def submit(self, request: Json, code: Path) -> str:
        """Create a search and return its name.

        Args:
            request: ``file``, the name of the archive, and ``data``.
            code: The archive.

        Raises:
            OSError: If the archive cannot be read.
        """
        headers = self.sign_in()
        with code.open("rb") as file:
            response = self._send(
                headers,
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
        if wrong := problem(search, NEEDED):
            raise WatsonError(f"the search {name}: {wrong}")
        return search

    def stop(self, name: str) -> None:
        """Stop a search."""
        self._call("PUT", f"/hypersearch/{quote(name, safe='')}")

    def log(self, trial: str) -> str:
        """Return the log of a trial."""
        log = self._call("GET", f"/execs/{quote(trial, safe='')}/log")
        return log if isinstance(log, str) else json.dumps(log)

    def _call(self, method: str, path: str) -> Any:
        return self.call(lambda headers: self._send(headers, method, path))

    def _send(self, headers: dict[str, str], method: str, path: str, **options: Any) -> Any:
        url = f"{self.http.connection.url}{REST}{path}"
        response = self.http.send(method, url, headers=headers, **options)
        try:
            return response.json()
        except ValueError:
            return response.text

    def create_session(self) -> dict[str, str]:
        """Return the headers that sign in."""
        return cluster_headers(self.http, self.facts)
