"""The emulator's protocol: the REST APIs of Azure with tokens, and signed addresses of blobs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote

from cloudtune.emulator_kit import (
    App,
    Delays,
    FaultPlan,
    Response,
    bearer_token,
    find_operation,
    request_path,
)
from cloudtune_azure.emulator import own_client
from cloudtune_azure.emulator.blobs import ACCOUNT
from cloudtune_azure.emulator.calls import Call
from cloudtune_azure.emulator.errors import (
    ServiceError,
    expired,
    failed,
    forbidden,
    service_error,
    throttled,
    timed_out,
    unauthorized,
)
from cloudtune_azure.emulator.operations import OPERATIONS, Operations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_WORKSPACE = (
    "/subscriptions/emulated/resourceGroups/emulated"
    "/providers/Microsoft.MachineLearningServices/workspaces/emulated"
)


class AzureApp(App):
    """The application for Azure's manager, its machine learning service and its blobs."""

    FAULTS: ClassVar = {
        "throttle": throttled,
        "quota": throttled,  # the only refusal with QuotaExceeded that is recorded
        "error": failed,
        "late_error": timed_out,
        "expire": expired,
    }

    def __init__(self, folder: Path, delays: Delays, faults: FaultPlan, url: str, key: str) -> None:
        self._folder = folder
        self._operations = Operations(folder, delays, faults, url, key)
        super().__init__(self._operations)

    def key_of(self, environ: WSGIEnvironment) -> str | None:
        """Return the token of a request, or the signature in its address."""
        query = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
        return bearer_token(environ) or own_client.password(environ) or query.get("sig")

    def refuse(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal."""
        return unauthorized().response()

    def refuse_as_unable(self, environ: WSGIEnvironment, reason: str) -> Response:
        """Return a refusal because of this machine."""
        return service_error(507, "ServiceError", reason).response()

    def denied(self, operation: str) -> ServiceError:
        """Return the refusal of an operation."""
        return forbidden(OPERATIONS[operation].right or operation)

    def environment(self, url: str, key: str) -> Mapping[str, str]:
        """Return the variables with which MLflow's own client reads the runs of the emulator."""
        return {
            "MLFLOW_TRACKING_URI": f"{url}/mlflow/v1.0{_WORKSPACE}",
            "MLFLOW_TRACKING_TOKEN": key,
            **own_client.variables(self._folder, url, key),
        }

    def respond(self, environ: WSGIEnvironment) -> Response:
        """Return the response to a call.

        Raises:
            ServiceError: If Azure would refuse it.
        """
        path = unquote(request_path(environ))
        if own_client.password(environ):
            path = f"/{ACCOUNT}{path}"
        method: str = environ["REQUEST_METHOD"]
        found = find_operation(OPERATIONS, method, path)
        if found is None:
            raise service_error(404, "NotFound", f"The emulator has no {method} {path[:300]}.")
        name, operation, names = found
        if operation.right:
            self.calls.add("client", operation.right)
        call = Call.read(environ, path, names)
        operations = self._operations
        # Blobs are read and written without the lock.
        lock = nullcontext() if path.startswith(f"/{ACCOUNT}/") else operations.context.lock

        def respond() -> Response:
            with lock:
                return operation.carry_out(operations, call)

        fault = self._faults.next_call(name)
        if fault and fault.effect == "quota" and name == "ListUsages":
            return operations.usages(call, limit=0)
        return self.respond_with(fault, name, respond)
