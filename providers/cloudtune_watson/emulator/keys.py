"""How requests have the emulator's key: as a token, a password, or in a signed URL.

Cloud Pak for Data answers ``POST /icp4d-api/v1/authorize`` with a JSON web token, whose ``exp``
both of IBM's clients read (ibm_watsonx_ai 1.8.1 ``utils/auth/icp_auth.py:90``,
ibm_watson_machine_learning 1.0.370 ``instance_new_plan.py``). WML Accelerator has ``GET
/auth/v1/logon`` with a password (dlicmd 4.8.2 of IBM/wmla-assets), or takes a password with every
request (HPO notebooks there). Tokens here are signed with the key, so that nothing
else can create one.

Attachments are uploaded without credentials (``model_definition.py:213`` of the first, ``store`` of
the second), so their URL is signed.
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

from cloudtune.emulator_kit import Json, is_map
from cloudtune_watson.emulator.wire import path_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

AUTHORIZE = "/icp4d-api/v1/authorize"
IAM = "/identity/token"
"""On IBM Cloud (``href_definitions.py`` of ibm_watsonx_ai 1.8.1)."""
VERSIONS = ("/ml/wml_services/version", "/ml/wml_services/v2/version")
"""What both clients read before they sign in, without credentials (``client.py:169`` of
ibm_watson_machine_learning 1.0.370, ``client.py:416`` of ibm_watsonx_ai 1.8.1)."""
FILES = "/v2/asset_files/"
TOKEN_SECONDS = 12 * 3600
"""The lifetime of a token; IBM's default for a session."""
_MAX_BODY = 64 * 1024


class Keys:
    """Creates tokens and signatures, and finds the key in requests."""

    def __init__(self, key: str, url: str = "") -> None:
        self._key = key
        self._url = url
        self.is_cloud = False
        """Whether the last client has signed in as to IBM Cloud, and not as to a cluster."""

    def token(self, user: str) -> str:
        """Return a new token for a user."""
        now = int(time.time())
        head = _encode({"alg": "HS256", "typ": "JWT"})
        claims = _encode(
            {
                "username": user,
                "sub": user,
                "iss": "KNOXSSO",
                "aud": "DSX",
                "role": "Admin",
                "iat": now,
                "exp": now + TOKEN_SECONDS,
            }
        )
        return f"{head}.{claims}.{self._signature(f'{head}.{claims}')}"

    def signed_url(self, path: str, scope: tuple[str, str]) -> str:
        """Return the URL at which a file can be written and read; on a cluster without the host.

        Args:
            path: The file's, in its space or project.
            scope: ``space_id`` or ``project_id``, and its value.
        """
        kind, name = scope
        signature = self._file_signature(path, scope)
        host = self._url if self.is_cloud else ""
        query = f"{kind}={quote(name, safe='')}&signature={signature}"
        return f"{host}{FILES}{quote(path, safe='')}?{query}"

    def find(self, environ: WSGIEnvironment) -> str | None:
        """Return the key of a request; None if it has none."""
        path = path_of(environ)
        if path in VERSIONS and environ["REQUEST_METHOD"] == "GET":
            return self._key
        if path == IAM and environ["REQUEST_METHOD"] == "POST":
            form = parse_qs(_body(environ).decode("utf-8", "replace"))
            return form["apikey"][-1] if "apikey" in form else None
        if path == AUTHORIZE and environ["REQUEST_METHOD"] == "POST":
            return _key_in_body(environ)
        if path.startswith(FILES) and (key := self._key_in_url(environ)):
            return key
        kind, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if kind in {"Basic", "ZenApiKey"}:
            return _password(credentials)
        if kind == "Bearer":
            return self._key_in_token(credentials.strip())
        token: str = environ.get("HTTP_X_AUTH_TOKEN", "")
        return self._key_in_token(token) if token else None

    def _key_in_token(self, token: str) -> str | None:
        """Return the key that signed a token; text that is not a token may be the key."""
        signed, _, signature = token.rpartition(".")
        if signed.count(".") != 1:
            return token
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            return None
        return self._key if _claims(signed).get("exp", 0) > time.time() else None

    def _key_in_url(self, environ: WSGIEnvironment) -> str | None:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        path = unquote(path_of(environ).removeprefix(FILES))
        for kind in ("space_id", "project_id"):
            if kind in query and "signature" in query:
                expected = self._file_signature(path, (kind, query[kind][-1]))
                if hmac.compare_digest(expected.encode(), query["signature"][-1].encode()):
                    return self._key
        return None

    def _file_signature(self, path: str, scope: tuple[str, str]) -> str:
        return self._signature("\n".join([path, *scope]))

    def _signature(self, text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        digest = hmac.new(self._key.encode(), data, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _encode(claims: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def _claims(signed: str) -> Json:
    text = signed.rpartition(".")[2]
    claims: Json = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return claims


def _password(credentials: str) -> str | None:
    try:
        return base64.b64decode(credentials.strip()).decode().partition(":")[2] or None
    except ValueError:
        return None


def _key_in_body(environ: WSGIEnvironment) -> str | None:
    """Return the key in a request to sign in."""
    try:
        document = json.loads(_body(environ))
    except (ValueError, RecursionError):
        return None
    if not is_map(document):
        return None
    key = document.get("api_key", document.get("password"))
    return key if isinstance(key, str) else None


def _body(environ: WSGIEnvironment) -> bytes:
    """Return the body of a request, which can be read again."""
    length = str(environ.get("CONTENT_LENGTH") or "0")
    stream: Any = environ["wsgi.input"]
    body: bytes = stream.read(min(int(length), _MAX_BODY)) if length.isdecimal() else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return body
