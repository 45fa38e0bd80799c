"""What a failed call to Google means: whether it may pass, and what to do about it, in plain words.

Codes: the HTTP codes of google.rpc.Code, which google-api-core 2.44 gives with every error. Words:
as users quote them in public reports; where a text is not known, the code alone counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cloudtune.provider import ProviderError

PROVIDER = "vertex"

_PASSING = frozenset([408, 500, 502, 503, 504])
_FULL = re.compile(r"quota metrics exceed quota limits", re.I)
"""Of a 429: there is no place for another job; any other one is about too many calls."""
_PREFIX = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: ")
"""What the clients put before the service's own text."""
_PERMISSION = re.compile(r"\b(?:aiplatform|storage|iam|serviceusage)\.[a-zA-Z]+\.[a-zA-Z]+\b")

_SIGN_IN = (
    "sign in with `gcloud auth application-default login`, or let GOOGLE_APPLICATION_CREDENTIALS "
    "name a key file"
)
_NETWORK = "it cannot be reached; is the network there?"

_LOCAL: Mapping[str, tuple[bool, str]] = {
    "SSLError": (
        False,
        "its certificate is not trusted here; REQUESTS_CA_BUNDLE names the file of a company's own",
    ),
    "ProxyError": (True, "the proxy cannot be reached"),
    "ConnectTimeout": (True, _NETWORK),
    "Timeout": (True, "it did not answer in time"),
    "ChunkedEncodingError": (True, "the connection ended within the answer"),
    "ConnectionError": (True, _NETWORK),
    "RequestException": (True, "the connection failed"),
    "DataCorruption": (True, "what arrived is not what was sent"),
    "TransportError": (True, "the sign-in service cannot be reached; is the network there?"),
    "TimeoutError": (True, "the sign-in service did not answer in time"),
    "DefaultCredentialsError": (False, f"no credentials were found; {_SIGN_IN}"),
    "ReauthFailError": (False, f"the sign-in has expired; {_SIGN_IN}, then `cloudtune resume`"),
    "RefreshError": (False, f"the sign-in is not valid any more; {_SIGN_IN}"),
    "GoogleAuthError": (False, f"the credentials cannot be used; {_SIGN_IN}"),
}
"""What the clients themselves raise, by the name of the error: whether it may pass, and what it
means."""


class GoogleError(ProviderError):
    """Google refused a call or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        retryable: bool = False,
        affects_all_calls: bool = False,
        quota_exceeded: bool = False,
    ) -> None:
        self.code = code
        """That of the HTTP answer; 0 where there was none."""
        super().__init__(
            PROVIDER,
            message,
            retryable=retryable,
            affects_all_calls=affects_all_calls,
            quota_exceeded=quota_exceeded,
        )

    @property
    def not_found(self) -> bool:
        """Whether what was named is not there."""
        return self.code == 404


def refusal(operation: str, code: int, said: str) -> GoogleError:
    """Return the error for an answer that is one.

    Args:
        operation: What was called.
        code: Of the HTTP answer.
        said: The service's message.
    """
    said = _PREFIX.sub("", said).strip()
    quota_exceeded = code == 429 and bool(_FULL.search(said))
    words = f"{operation}: {said or 'refused'} [{code}]"
    if advice := _advice(code, said, quota_exceeded=quota_exceeded):
        words += f" ({advice})"
    return GoogleError(
        words,
        code=code,
        retryable=code in _PASSING or (code == 429 and not quota_exceeded),
        affects_all_calls=code in {401, 403},
        quota_exceeded=quota_exceeded,
    )


def not_reached(operation: str, kinds: Sequence[str], said: str, *, passing: bool) -> GoogleError:
    """Return the error for a call that was not answered.

    Args:
        operation: What was called.
        kinds: The names of the error's class and of those above it, nearest first.
        said: The error's own text.
        passing: Whether the error itself says that it may pass.
    """
    kind = next((each for each in kinds if each in _LOCAL), "")
    retryable, meaning = _LOCAL.get(kind, (False, ""))
    if kind == "RefreshError" and "impersonate" in said:
        meaning = (
            "the service account of providers.vertex.impersonate cannot be impersonated; your "
            "account needs the role Service Account Token Creator on it"
        )
    if kind == "ConnectionError" and "aborted" in said:
        meaning = "the connection ended before the answer"
    retryable = retryable or passing
    words = f"{operation}: {meaning} [{said}]" if meaning else f"{operation}: {said}"
    return GoogleError(words, retryable=retryable, affects_all_calls=bool(kind) and not retryable)


def _advice(code: int, said: str, *, quota_exceeded: bool) -> str:
    low = said.lower()
    if quota_exceeded:
        return (
            "Google raises quotas on request, under IAM & Admin, Quotas, for Vertex AI in this "
            "location; or use fewer or other machines"
        )
    if code == 401:
        return f"{_SIGN_IN}, then `cloudtune resume`"
    if code == 403:
        return _advice_denied(said, low)
    if code == 404 and "bucket" in low:
        return "create it in the location of the job, or name another under providers.vertex.bucket"
    return ""


def _advice_denied(said: str, low: str) -> str:
    if "has not been used in project" in low or "is disabled" in low:
        return (
            "switch it on: gcloud services enable aiplatform.googleapis.com storage.googleapis.com"
        )
    if "quota project" in low:
        return "gcloud auth application-default set-quota-project PROJECT"
    if "billing" in low:
        return "the project needs a billing account"
    if "act as" in low or "actas" in low:
        return (
            "your account needs the role Service Account User on the account under "
            "providers.vertex.service_account"
        )
    permission = found[0] if (found := _PERMISSION.search(said)) else ""
    if permission.startswith("aiplatform."):
        return f"your account lacks the permission {permission}; the role Vertex AI User has it"
    if permission.startswith("storage."):
        return (
            f"your account lacks the permission {permission}; the role Storage Object User on the "
            "bucket has it"
        )
    return f"your account lacks the permission {permission}" if permission else ""
