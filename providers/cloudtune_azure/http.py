"""Sends all HTTP requests to Azure, with azure-core and the credentials of azure-identity.

It follows no redirects and sends tokens only to hosts of Azure, whatever an answer says. Emulated
runs use no proxy and no credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloudtune.provider import EmulatorEndedError, MissingExtraError, retry_pauses
from cloudtune_azure.errors import (
    PROVIDER,
    AzureError,
    connection_error,
    credential_error,
    service_error,
)

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.rest import HttpRequest, HttpResponse

TIMEOUT = 60.0
"""Seconds to wait for a connection, and for the next part of a response."""
MANAGEMENT = "https://management.azure.com/.default"
"""The scope of tokens for the manager and for the workspace's own services, as azureml-mlflow
requests it; the latter is not verified against the live service."""
STORAGE = "https://storage.azure.com/.default"
"""The scope of tokens for blobs."""
_HOSTS = {
    MANAGEMENT: re.compile(r"management\.azure\.com|[a-z0-9.-]+\.azureml\.ms"),
    STORAGE: re.compile(r"[a-z0-9]+\.blob\.core\.windows\.net"),
}


@dataclass(frozen=True)
class Connection:
    """The address of Azure's manager, or of an emulator with its key."""

    address: str = "https://management.azure.com"
    key: str = ""
    certificate: Path | None = None
    """The file to verify the emulator's certificate, if it speaks HTTPS."""

    @property
    def verify(self) -> bool | str:
        """What the transport of azure-core verifies a certificate with."""
        return str(self.certificate) if self.certificate else True

    @property
    def emulated(self) -> bool:
        """Whether an emulator answers."""
        return bool(self.key)


class AzureHttp:
    """Sends requests, and translates errors into `AzureError`."""

    def __init__(self, connection: Connection, is_stopping: Callable[[], bool] = bool) -> None:
        """Create a client without sending a request.

        Args:
            connection: Where it sends requests.
            is_stopping: Returns whether the run is to end, so that no call is repeated for long.

        Raises:
            MissingExtraError: If azure-identity is not installed.
        """
        if find_spec("azure") is None or find_spec("azure.core") is None:
            raise MissingExtraError("Azure Machine Learning", "azure")
        self.connection = connection
        self._is_stopping = is_stopping
        self._clients: dict[str, PipelineClient[HttpRequest, HttpResponse]] = {}
        self._credential: Any = None

    def json(
        self,
        method: str,
        url: str,
        *,
        content: Any = None,
        query: Mapping[str, str] | None = None,
        scope: str = MANAGEMENT,
    ) -> Any:
        """Send JSON, and return the JSON content of the response; None if it is empty.

        Raises:
            AzureError: If there is no response, or it is an error or not JSON.
        """
        response = self.send(method, url, json=content, query=query, scope=scope)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            message = f"{_operation(method, url)}: the response is not JSON"
            raise AzureError(message, retryable=True) from error

    def send(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        scope: str = MANAGEMENT,
    ) -> HttpResponse:
        """Send a request with a token, and return the response.

        A call that Azure is too busy for is repeated. That changes nothing else: jobs and assets
        have names of cloudtune's own, and measurements and states are only read.

        Args:
            method: The HTTP method.
            url: The address; its host must be one of Azure's.
            json: The body as JSON.
            query: Parameters of the query, added to those in the address.
            scope: For what the token is; empty for an address with a signature.

        Raises:
            AzureError: If there is no response, or it is an error.
            EmulatorEndedError: If the emulator is no longer running.
        """
        pauses = retry_pauses(self._is_stopping, emulated=self.connection.emulated)
        while True:
            try:
                return self._send_once(method, url, json, dict(query or {}), scope)
            except AzureError as error:
                if not (error.retryable and next(pauses, False)):
                    raise

    def _send_once(
        self, method: str, url: str, json: Any, query: dict[str, str], scope: str
    ) -> HttpResponse:
        from azure.core.exceptions import AzureError as CoreError
        from azure.core.exceptions import ClientAuthenticationError
        from azure.core.rest import HttpRequest

        operation = _operation(method, url)
        self._check_host(operation, url, scope)
        request = HttpRequest(method, url, json=json, params=query)
        try:
            response = self._client(scope).send_request(request)
            body = response.read()
        except ClientAuthenticationError as error:
            raise credential_error(error) from error
        except CoreError as error:
            if self.connection.emulated and "refused" in str(error):
                raise EmulatorEndedError(PROVIDER, operation) from error
            raise connection_error(operation, error) from error
        if response.status_code >= 300:
            code = response.headers.get("x-ms-error-code", "")
            text = body.decode("utf-8", "replace")
            raise service_error(operation, response.status_code, text, code)
        return response

    def _check_host(self, operation: str, url: str, scope: str) -> None:
        if self.connection.emulated:
            if not url.startswith(f"{self.connection.address}/"):
                raise AzureError(f"{operation}: {url} is not the emulator's address")
            return
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = _HOSTS[scope or STORAGE]
        if parts.scheme != "https" or not known.fullmatch(host):
            raise AzureError(f"{operation}: {host} is no host of Azure's public cloud")

    def _client(self, scope: str) -> PipelineClient[HttpRequest, HttpResponse]:
        if scope not in self._clients:
            from azure.core import PipelineClient
            from azure.core.pipeline.policies import BearerTokenCredentialPolicy, HeadersPolicy
            from azure.core.pipeline.transport import RequestsTransport

            policies: list[Any] = []
            emulated = self.connection.emulated
            if scope and emulated:
                policies = [HeadersPolicy({"Authorization": f"Bearer {self.connection.key}"})]
            elif scope:
                policies = [BearerTokenCredentialPolicy(self.credential(), scope)]
            transport = RequestsTransport(
                connection_timeout=TIMEOUT,
                read_timeout=TIMEOUT,
                connection_verify=self.connection.verify,
                use_env_settings=not emulated,
            )
            self._clients[scope] = PipelineClient("", policies=policies, transport=transport)
        return self._clients[scope]

    def credential(self) -> Any:
        """Return the vendor's own chain of credentials: environment, managed identity, CLI."""
        if self._credential is None:
            from azure.identity import DefaultAzureCredential

            self._credential = DefaultAzureCredential()
        return self._credential


def _operation(method: str, url: str) -> str:
    """Return the method and the path within the workspace, without a signature."""
    path = urlsplit(url).path
    _, found, inner = path.partition("/workspaces/")
    return f"{method} {inner.partition('/')[2] if found and '/' in inner else path}"
