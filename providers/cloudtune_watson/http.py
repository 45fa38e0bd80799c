"""The one way out: all requests to a cluster go through here, those of IBM's packages among them.

The cluster's certificate is always checked: against what Python trusts, the file that the settings
name, or the emulator's own. On an emulator nothing else is reached, and no proxy or configuration
is read. IBM's packages would otherwise leave the check out once it fails, wait for ever for an
answer, and send a request again that may have been carried out.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cloudtune.provider import EmulatorEndedError, MissingExtraError
from cloudtune_watson.errors import PROVIDER, WatsonError, not_reached, refusal

T = TypeVar("T")

TIMEOUT = 120.0
"""Seconds that a cluster may let us wait for the next part of an answer."""
PATIENCE = 60.0
"""Seconds for which a call that changes nothing is made again."""
PATIENCE_EMULATED = 5.0


@dataclass(frozen=True)
class Caller:
    """Who calls which cluster."""

    url: str
    user: str
    key: str
    certificate: Path | None = None
    """What its certificate is checked against; what Python trusts where it is None."""
    emulated: bool = False
    """Whether it is an emulator, and nothing else may be reached."""

    @property
    def verify(self) -> str | bool:
        """How ``requests`` is told to check the certificate."""
        return str(self.certificate) if self.certificate else True


class Way:
    """Sends requests, and turns what goes wrong into `WatsonError`."""

    def __init__(self, caller: Caller) -> None:
        """Prepare; nothing is sent.

        Raises:
            MissingExtraError: If ``requests`` is not installed.
        """
        self.caller = caller
        self.raises = True
        """Whether an answer that is an error raises; if not, the caller looks at it."""
        self.refused: WatsonError | None = None
        """The last such answer."""
        try:
            requests = importlib.import_module("requests")
        except ImportError as error:
            raise MissingExtraError("IBM Watson", "watsonx") from error
        self._session = requests.Session()
        self._session.trust_env = not caller.emulated
        self._session.auth = _as_it_is  # else ~/.netrc would say who calls

    def send(self, method: str, url: str, **more: Any) -> Any:
        """Send one request and return the answer, a ``requests.Response``.

        Args:
            method: Of HTTP.
            url: The whole address.
            **more: As ``requests.request`` takes it.

        Raises:
            WatsonError: If there is no answer, or it is an error.
            EmulatorEndedError: If the emulator is not there any more.
        """
        parts = urlsplit(url)
        operation = f"{method} {parts.path}"
        self._check(operation, url)
        more = {"timeout": TIMEOUT, **more, "verify": self.caller.verify}
        try:
            answer = self._session.request(method, url, **more)
        except OSError as error:
            if self.caller.emulated and "Connection refused" in str(error):
                words = f"{operation}: the emulator has ended, and its jobs with it"
                raise EmulatorEndedError(PROVIDER, words) from error
            raise not_reached(operation, error) from error
        if answer.status_code >= 400:
            self.refused = refusal(operation, answer.status_code, answer.text)
            if self.raises:
                raise self.refused
        return answer

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what a call gives, made again for a while where what is wrong may pass."""
        patience = PATIENCE_EMULATED if self.caller.emulated else PATIENCE
        due = time.monotonic() + patience
        pause = patience / 60
        while True:
            try:
                return call()
            except WatsonError as error:
                if not error.retryable or time.monotonic() + pause > due:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, patience / 6)

    def get(self, url: str, params: Any = None, **more: Any) -> Any:
        """Send a GET; this and the following as in ``requests``."""
        return self.send("GET", url, params=params, **more)

    def post(self, url: str, data: Any = None, json: Any = None, **more: Any) -> Any:
        """Send a POST."""
        return self.send("POST", url, data=data, json=json, **more)

    def put(self, url: str, data: Any = None, **more: Any) -> Any:
        """Send a PUT."""
        return self.send("PUT", url, data=data, **more)

    def delete(self, url: str, **more: Any) -> Any:
        """Send a DELETE."""
        return self.send("DELETE", url, **more)

    def _check(self, operation: str, url: str) -> None:
        """Let nothing out that would not be encrypted, or that leaves the emulator.

        Raises:
            WatsonError: If it would be so.
        """
        if not url.startswith("https://"):
            raise WatsonError(
                f"{operation}: {url} does not begin with https://", affects_all_calls=True
            )
        own = urlsplit(self.caller.url)
        if self.caller.emulated and urlsplit(url).netloc != own.netloc:
            raise WatsonError(
                f"{operation}: an emulated run reaches its emulator alone, not {url}",
                affects_all_calls=True,
            )


def _as_it_is(request: Any) -> Any:
    return request
