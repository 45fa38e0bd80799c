"""What a failed call to AWS means: whether it may pass, and what to do about it, in plain words.

Codes and messages: botocore 1.44.8 where an error is modelled, else as its documents and the
service's own answers have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cloudtune.errors import ProviderError

PROVIDER = "sagemaker"

_THROTTLED = frozenset(
    [
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded"),
        *("ProvisionedThroughputExceededException", "BandwidthLimitExceeded", "SlowDown"),
        *("PriorRequestNotComplete", "TransactionInProgressException"),
    ]
)
_PASSING = frozenset(
    [
        *("InternalFailure", "InternalServerError", "InternalError", "InternalServiceError"),
        *("InternalServerException", "ServiceUnavailable", "ServiceUnavailableException"),
        *("RequestTimeout", "RequestTimeoutException", "EC2ThrottledException"),
    ]
)
_EXPIRED = frozenset(
    ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"]
)
_UNKNOWN_KEY = frozenset(
    ["InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken"]
)
_BAD_SIGNATURE = frozenset(
    ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"]
)
_DENIED = frozenset(
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"]
)
_NO_BUCKET = frozenset(["NoSuchBucket"])

_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_NOT_FOUND = re.compile(
    r"not found|could ?n[o']t find|cannot find|can't find|does not exist|RecordNotFound", re.I
)

_LOCAL: Mapping[str, tuple[bool, str]] = {
    "EndpointConnectionError": (True, "it cannot be reached; is the network there?"),
    "ConnectTimeoutError": (True, "it cannot be reached; is the network there?"),
    "ReadTimeoutError": (True, "it did not answer in time"),
    "ConnectionClosedError": (True, "the connection ended before the answer"),
    "ConnectionError": (True, "the connection failed"),
    "HTTPClientError": (True, "the connection failed"),
    "ResponseStreamingError": (True, "the connection ended within the answer"),
    "IncompleteReadError": (True, "the connection ended within the answer"),
    "ProxyConnectionError": (True, "the proxy cannot be reached"),
    "SSLError": (
        False,
        "its certificate is not trusted here; AWS_CA_BUNDLE names the file of a company's own",
    ),
    "NoCredentialsError": (
        False,
        "no credentials were found; run `aws configure` or `aws sso login`, set the AWS_ "
        "variables, or name a profile under providers.sagemaker.profile",
    ),
    "PartialCredentialsError": (
        False,
        "the credentials are incomplete: a key needs its secret, in the AWS_ variables or the "
        "profile",
    ),
    "CredentialRetrievalError": (
        False,
        "the credentials could not be fetched; what the profile says about them fails",
    ),
    "NoRegionError": (False, "no region is known; set providers.sagemaker.region"),
    "ProfileNotFound": (
        False,
        "there is no such profile; `aws configure list-profiles` lists those that there are",
    ),
    "ConfigParseError": (False, "the AWS configuration file cannot be read"),
    "TokenRetrievalError": (False, "the sign-in has expired; run `aws sso login`"),
    "SSOTokenLoadError": (False, "nobody is signed in; run `aws sso login`"),
    "UnauthorizedSSOTokenError": (False, "the sign-in has expired; run `aws sso login`"),
    "LoginRefreshRequired": (False, "the sign-in has expired; run `aws login`"),
}
"""What botocore itself raises, by the name of the error: whether it may pass, and what it means."""


class AwsError(ProviderError):
    """AWS refused a call or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        said: str = "",
        retryable: bool = False,
        affects_all_calls: bool = False,
    ) -> None:
        self.code = code
        """The service's own; empty where it was not reached."""
        self.said = said
        """The service's own message."""
        super().__init__(
            PROVIDER,
            message,
            retryable=retryable,
            affects_all_calls=affects_all_calls,
            quota_exceeded=code == "ResourceLimitExceeded",
        )

    @property
    def not_found(self) -> bool:
        """Whether what was named is not there, in any of the forms in which AWS says so."""
        if self.code in {"ResourceNotFound", "ResourceNotFoundException", "404", "NoSuchKey"}:
            return True
        return self.code == "ValidationException" and bool(_NOT_FOUND.search(self.said))

    @property
    def taken(self) -> bool:
        """Whether the name is in use."""
        return self.code == "ResourceInUse"

    @property
    def no_such_search(self) -> bool:
        """Whether a search is refused, so that jobs must be listed or looked at one by one."""
        return not self.retryable and (self.denied or self.code == "ValidationException")

    @property
    def denied(self) -> bool:
        """Whether the caller lacks a permission."""
        return self.code in _DENIED


def refusal(operation: str, code: str, said: str, status: int) -> AwsError:
    """Return the error for an answer that is one.

    Args:
        operation: What was called.
        code: The service's code.
        said: The service's message.
        status: Of the HTTP answer.
    """
    retryable = code in _THROTTLED or code in _PASSING or status >= 500 or status == 429
    affects_all_calls = code in _EXPIRED | _UNKNOWN_KEY | _BAD_SIGNATURE | _DENIED
    if code in _BAD_SIGNATURE:
        said = ""  # it holds the whole signed request, with the session's token
    words = f"{operation}: {code}"
    if said:
        words += f": {said}"
    if advice := _advice(code, said):
        words += f" ({advice})"
    return AwsError(
        words, code=code, said=said, retryable=retryable, affects_all_calls=affects_all_calls
    )


def not_reached(operation: str, kinds: list[str], said: str) -> AwsError:
    """Return the error for a call that botocore could not make.

    Args:
        operation: What was called.
        kinds: The names of the error's class and of those above it, nearest first.
        said: The error's own text.
    """
    kind = next((each for each in kinds if each in _LOCAL), None)
    retryable, meaning = _LOCAL[kind] if kind else (False, "")
    words = f"{operation}: {meaning} [{said}]" if meaning else f"{operation}: {said}"
    affects_all_calls = bool(kind) and not retryable
    return AwsError(
        words, code="", said=said, retryable=retryable, affects_all_calls=affects_all_calls
    )


def _advice(code: str, said: str) -> str:
    if code in _EXPIRED:
        return "the credentials have expired; sign in again, then `cloudtune resume`"
    if code in _UNKNOWN_KEY:
        return "AWS does not know this access key; are key, profile and region the right ones?"
    if code in _BAD_SIGNATURE:
        return "the secret does not belong to the access key, or this machine's clock is wrong"
    if code in _DENIED:
        action = found[1] if (found := _ACTION.search(said)) else None
        if action == "iam:PassRole":
            return (
                "your user or role needs iam:PassRole on providers.sagemaker.role_arn, and that "
                "role must trust sagemaker.amazonaws.com"
            )
        return f"your user or role lacks the permission {action}" if action else ""
    if code in _NO_BUCKET:
        return "create it, or name another one under providers.sagemaker.bucket"
    if code == "ResourceLimitExceeded":
        return "AWS raises quotas on request, under Service Quotas; or use fewer or other instances"
    return ""
