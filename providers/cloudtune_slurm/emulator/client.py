"""Calls the emulator for a command."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 100.0
"""Seconds to wait for a response."""
UNREACHABLE = "Unable to contact slurm controller (connect failure)"
ENDED = "the emulator has ended, and its jobs with it"
NO_ANSWER = "Zero Bytes were transmitted or received"


class ControllerError(Exception):
    """An error that slurmctld returned, or a missing response."""

    def __init__(self, message: str, notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.notes = list(notes)


def call(operation: str, document: Any) -> Any:
    """Return the response of the emulator that the environment names.

    Raises:
        ControllerError: In Slurm's words.
    """
    url, key = os.environ.get("CLOUDTUNE_SLURM_URL"), os.environ.get("CLOUDTUNE_SLURM_KEY")
    if not url or not key:
        text = "set CLOUDTUNE_SLURM_URL and CLOUDTUNE_SLURM_KEY, which `cloudtune emulate` prints"
        raise ControllerError(UNREACHABLE, [text])
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        try:
            connection.connect()
        except OSError as error:
            raise ControllerError(UNREACHABLE, [ENDED]) from error
        try:
            connection.request("POST", f"/{operation}", json.dumps(document), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except TimeoutError as error:
            raise ControllerError("Socket timed out on send/recv operation") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ControllerError(NO_ANSWER) from error
    finally:
        connection.close()
    if response.status != 200:
        raise ControllerError(answer["error"], answer["notes"])
    return answer
