"""Errors of AWS: whether a call may succeed later, and what the user can do.

Codes and messages come from botocore 1.44.8 where it models an error, else from its documents and
the service's responses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cloudtune.provider import ProviderError

PROVIDER = "sagemaker"

_THROTTLED = frozenset(
    [
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded"),
        *("ProvisionedThroughputExceededException", "BandwidthLimitExceeded", "SlowDown"),
        *("PriorRequestNotComplete", "TransactionInProgressException"),
    ]
)
_TRANSIENT = frozenset(
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
_NO_OPERATION = frozenset(
    [
        *("404", "405", "501", "NotFoundException"),
        *("UnknownOperationException", "UnknownOperation", "InvalidAction", "NotImplemented"),
    ]
)

_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_NOT_FOUND = re.compile(
    r"not found|could ?n[o']t find|cannot find|can't find|does not exist|RecordNotFound", re.I
)

_NETWORK_ERRORS = {
    "EndpointConnectionError": "no connection; check the network",
    "ConnectTimeoutError": "no connection; check the network",
    "ReadTimeoutError": "no response in time",
    "ConnectionClosedError": "the connection ended before the response",
    "ConnectionError": "the connection failed",
    "HTTPClientError": "the connection failed",
    "ResponseStreamingError": "the connection ended within the response",
    "IncompleteReadError": "the connection ended within the response",
    "ProxyConnectionError": "no connection to the proxy",
}
"""Messages for errors of botocore, by class name, after which the call may succeed later."""
_SETUP_ERRORS = {
    "SSLError": "the certificate is not trusted on this machine; set AWS_CA_BUNDLE to your "
    "company's certificate file",
    "NoCredentialsError": "no credentials found; run `aws configure` or `aws sso login`, set the "
    "AWS_ variables, or set providers.sagemaker.profile",
    "PartialCredentialsError": "incomplete credentials: the AWS_ variables or the profile need "
    "both the key and its secret",
    "CredentialRetrievalError": "cannot retrieve the credentials; check the profile",
    "NoRegionError": "unknown region; set providers.sagemaker.region",
    "ProfileNotFound": "profile not found; `aws configure list-profiles` lists yours",
    "ConfigParseError": "cannot read the AWS configuration file",
    "TokenRetrievalError": "the sign-in has expired; run `aws sso login`",
    "SSOTokenLoadError": "not signed in; run `aws sso login`",
    "UnauthorizedSSOTokenError": "the sign-in has expired; run `aws sso login`",
    "LoginRefreshRequired": "the sign-in has expired; run `aws login`",
}
"""Messages for the other errors of botocore by class name."""


_UNAVAILABLE = "is not available in this region"
"""In the message for an instance type that the region does not have, which has the code of a used
up quota (recorded in 2025, tests/recordings/sagemaker/texts_create_refused)."""


class AwsError(ProviderError):
    """AWS refused a call or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        service_message: str = "",
        retryable: bool = False,
        affects_all_calls: bool = False,
        date: str = "",
        status: int = 0,
    ) -> None:
        self.code = code
        """The service's error code; empty if it was not reached."""
        self.status = status
        """The HTTP status of the refusal; 0 if the service was not reached."""
        self.date = date
        """The time of the refusal by the service's clock, as in its header ``Date``."""
        self.service_message = service_message
        super().__init__(
            PROVIDER,
            message,
            retryable=retryable,
            affects_all_calls=affects_all_calls,
            quota_exceeded=code == "ResourceLimitExceeded" and _UNAVAILABLE not in service_message,
        )

    @property
    def not_found(self) -> bool:
        """Whether the resource does not exist; AWS has several codes and messages for that."""
        if self.code in {"ResourceNotFound", "ResourceNotFoundException", "404", "NoSuchKey"}:
            return True
        return self.code == "ValidationException" and bool(_NOT_FOUND.search(self.service_message))

    @property
    def name_in_use(self) -> bool:
        """Whether another resource has the name."""
        return self.code == "ResourceInUse"

    @property
    def search_refused(self) -> bool:
        """Whether the caller cannot search, and has to list or describe jobs instead."""
        is_refused = not self.retryable and self.code == "ValidationException"
        return is_refused or self.unavailable or self.not_found

    @property
    def unavailable(self) -> bool:
        """Whether the caller has to do without the operation: no permission, or no such operation.

        A region, an endpoint or a stand-in for the service may not have it.
        """
        return not self.retryable and (self.denied or self.code in _NO_OPERATION)

    @property
    def denied(self) -> bool:
        """Whether the caller has no permission."""
        return self.code in _DENIED


def service_error(operation: str, code: str, message: str, status: int, date: str = "") -> AwsError:
    """Return the error for an error response."""
    retryable = code in _THROTTLED or code in _TRANSIENT or status == 429
    retryable = retryable or (status >= 500 and status != 501)
    if code in _BAD_SIGNATURE:
        message = ""  # it contains the signed request with the session's token
    text = f"{operation}: {code}: {message}" if message else f"{operation}: {code}"
    if advice := _advice(code, message):
        text += f" ({advice})"
    return AwsError(
        text,
        code=code,
        service_message=message,
        retryable=retryable,
        affects_all_calls=code in _EXPIRED | _UNKNOWN_KEY | _BAD_SIGNATURE | _DENIED,
        date=date,
        status=status,
    )


def refusal(error: ProviderError) -> tuple[int, Any] | None:
    """Return the status and the answer of a refusal; None if the service was not reached."""
    if not isinstance(error, AwsError) or not error.status:
        return None
    return error.status, {"error": {"Code": error.code, "Message": error.service_message}}


def connection_error(operation: str, classes: Sequence[str], message: str) -> AwsError:
    """Return the error for a call that botocore could not make.

    ``classes`` are the names of the error's class and its base classes, nearest first.
    """
    messages = _NETWORK_ERRORS | _SETUP_ERRORS
    name = next((name for name in classes if name in messages), "")
    return AwsError(
        f"{operation}: {messages[name]} [{message}]" if name else f"{operation}: {message}",
        service_message=message,
        retryable=name in _NETWORK_ERRORS,
        affects_all_calls=name in _SETUP_ERRORS,
    )


def _advice(code: str, message: str) -> str:
    if code in _EXPIRED:
        return "the credentials have expired; sign in again, then run `cloudtune resume`"
    if code in _UNKNOWN_KEY:
        return "AWS does not know this access key; check the key, the profile and the region"
    if code in _BAD_SIGNATURE:
        return "the secret does not match the access key, or this machine's clock is wrong"
    if code in _DENIED:
        match = _ACTION.search(message)
        if match and match[1] == "iam:PassRole":
            return (
                "your user or role needs iam:PassRole on providers.sagemaker.role_arn, and that "
                "role must trust sagemaker.amazonaws.com"
            )
        return f"your user or role needs the permission {match[1]}" if match else ""
    if code == "NoSuchBucket":
        return "create it, or set providers.sagemaker.bucket to another one"
    if code == "ResourceLimitExceeded" and _UNAVAILABLE in message:
        return "use another instance type, or another region"
    if code == "ResourceLimitExceeded":
        return "request a higher quota under Service Quotas, or use fewer or other instances"
    return ""
