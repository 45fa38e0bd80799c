"""How requests show the emulator's key: as a token, a password, or in a signed address.

Cloud Pak for Data answers ``POST /icp4d-api/v1/authorize`` with a JSON web token, whose ``exp``
both of IBM's clients read (ibm_watsonx_ai 1.8.1 ``utils/auth/icp_auth.py:90``,
ibm_watson_machine_learning 1.0.370 ``instance_new_plan.py``). WML Accelerator has ``GET
/auth/v1/logon`` with a password (dlicmd 4.8.2 of IBM/wmla-assets), or takes a password with every
request (HPO notebooks there). Tokens here are signed with the key, so that nobody else can make
one.

Attachments are put to an address without any credentials (``model_definition.py:213`` of the first,
``store`` of the second), so that address is signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from cloudtune.study.schema import Json
from cloudtune.study.yaml_reader import is_map
from cloudtune_watson.emulator.wire import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

AUTHORIZE = "/icp4d-api/v1/authorize"
VERSIONS = ("/ml/wml_services/version", "/ml/wml_services/v2/version")
"""What both clients ask before they sign in, without any credentials (``client.py:169`` of
ibm_watson_machine_learning 1.0.370, ``client.py:416`` of ibm_watsonx_ai 1.8.1)."""
FILES = "/v2/asset_files/"
LASTS = 12 * 3600
"""Seconds for which a token is good; IBM's default for a session."""
_MOST = 64 * 1024


class Keys:
    """Makes tokens and signatures, and finds the key in requests."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token(self, user: str) -> str:
        """Return a new token for somebody."""
        now = int(time.time())
        head = _packed({"alg": "HS256", "typ": "JWT"})
        claims = _packed(
            {
                "username": user,
                "sub": user,
                "iss": "KNOXSSO",
                "aud": "DSX",
                "role": "Admin",
                "iat": now,
                "exp": now + LASTS,
            }
        )
        return f"{head}.{claims}.{self._signature(f'{head}.{claims}')}"

    def signed(self, path: str, scope: tuple[str, str]) -> str:
        """Return the address, without the host, at which a file may be put and read.

        Args:
            path: The file's, in its space or project.
            scope: ``space_id`` or ``project_id``, and which.
        """
        kind, name = scope
        address = FILES + quote(path, safe="")
        return f"{address}?{kind}={quote(name, safe='')}&signature={self._of_file(path, scope)}"

    def of(self, environ: WSGIEnvironment) -> str | None:
        """Return the key that a request shows; None if it shows none."""
        path = path_of(environ)
        if path in VERSIONS and environ["REQUEST_METHOD"] == "GET":
            return self._key
        if path == AUTHORIZE and environ["REQUEST_METHOD"] == "POST":
            return _in_body(environ)
        if path.startswith(FILES) and (found := self._in_address(environ)):
            return found
        kind, _, shown = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if kind in {"Basic", "ZenApiKey"}:
            return _password(shown)
        if kind == "Bearer":
            return self._behind(shown.strip())
        token: str = environ.get("HTTP_X_AUTH_TOKEN", "")
        return self._behind(token) if token else None

    def _behind(self, token: str) -> str | None:
        """Return the key with which a token is signed; a text that is no token may be the key."""
        signed, _, signature = token.rpartition(".")
        if signed.count(".") != 1:
            return token
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            return None
        return self._key if _claims(signed).get("exp", 0) > time.time() else None

    def _in_address(self, environ: WSGIEnvironment) -> str | None:
        said = parse_qs(environ.get("QUERY_STRING", ""))
        path = unquote(path_of(environ).removeprefix(FILES))
        for kind in ("space_id", "project_id"):
            if kind in said and "signature" in said:
                right = self._of_file(path, (kind, said[kind][-1]))
                if hmac.compare_digest(right.encode(), said["signature"][-1].encode()):
                    return self._key
        return None

    def _of_file(self, path: str, scope: tuple[str, str]) -> str:
        return self._signature("\n".join([path, *scope]))

    def _signature(self, text: str) -> str:
        made = hmac.new(self._key.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha256)
        return base64.urlsafe_b64encode(made.digest()).decode().rstrip("=")


def _packed(claims: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def _claims(signed: str) -> Json:
    text = signed.rpartition(".")[2]
    found: Json = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def _password(shown: str) -> str | None:
    try:
        return base64.b64decode(shown.strip()).decode().partition(":")[2] or None
    except ValueError:
        return None


def _in_body(environ: WSGIEnvironment) -> str | None:
    """Return the key of somebody who signs in; the body is there to be read once more."""
    length = str(environ.get("CONTENT_LENGTH") or "0")
    stream: Any = environ["wsgi.input"]
    body: bytes = stream.read(min(int(length), _MOST)) if length.isdecimal() else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not is_map(said):
        return None
    shown = said.get("api_key", said.get("password"))
    return shown if isinstance(shown, str) else None
