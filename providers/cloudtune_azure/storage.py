"""The blobs of the workspace's datastores, with azure-storage-blob.

Addresses are ``azureml://datastores/NAME/paths/PATH``, as in jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cloudtune.provider import MissingExtraError, if_found
from cloudtune.provider.uploads import delete_each, upload_files
from cloudtune_azure.errors import PROVIDER, AzureError, connection_error, credential_error

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

    from cloudtune_azure.client import AzureClient

T = TypeVar("T")
_SCHEME = "azureml://datastores/"
_ENDPOINT = "core.windows.net"
"""The end of the hosts to which tokens are sent."""


def datastore_address(datastore: str, *parts: str) -> str:
    """Return the address of a path in a datastore."""
    return f"{_SCHEME}{datastore}/paths/{'/'.join(parts)}"


class BlobStorage:
    """The `Storage` of Azure. Each call may raise `AzureError`."""

    def __init__(self, client: AzureClient) -> None:
        self._client = client
        self._containers: dict[str, ContainerClient] = {}

    def exists(self, address: str) -> bool:
        """Return whether there is a blob."""
        container, path = self._split(address)
        return call("HEAD", lambda: container.get_blob_client(path).exists())

    def find(self, folder: str) -> dict[str, BlobProperties]:
        """Return the blobs in a folder by their path below it."""
        container, path = self._split(folder)
        found = call("GET", lambda: list(container.list_blobs(name_starts_with=path)))
        # A datastore with hierarchical names lists its folders, too.
        blobs = [each for each in found if not (each.metadata or {}).get("hdi_isfolder")]
        return {str(each.name).removeprefix(path): each for each in blobs}

    def list(self, folder: str) -> dict[str, int]:
        """Return the sizes of the blobs in a folder."""
        return {f"{folder}{name}": int(each.size) for name, each in self.find(folder).items()}

    def write(self, address: str, content: bytes) -> None:
        """Write a small blob."""
        container, path = self._split(address)
        call("PUT", lambda: container.upload_blob(path, content, overwrite=True))

    def read(self, address: str, start: int) -> Iterator[bytes]:
        """Yield the content of a blob from a byte on."""
        container, path = self._split(address)
        chunks = iter(call("GET", lambda: container.download_blob(path, offset=start).chunks()))
        while (chunk := call("GET", lambda: next(chunks, None))) is not None:
            yield chunk

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files, several at a time.

        Raises:
            ProviderError: If a file cannot be read, or a call fails.
        """
        upload_files(PROVIDER, self._upload, files)

    def delete(self, addresses: Collection[str]) -> None:
        """Delete blobs; missing ones are ignored."""
        delete_each(self._delete, addresses)

    def _upload(self, address: str, file: Path) -> None:
        container, path = self._split(address)
        with file.open("rb") as content:
            call("PUT", lambda: container.upload_blob(path, content, overwrite=True))

    def _delete(self, address: str) -> None:
        container, path = self._split(address)
        if_found(lambda: call("DELETE", lambda: container.delete_blob(path)))

    def _split(self, address: str) -> tuple[ContainerClient, str]:
        name, _, path = address.removeprefix(_SCHEME).partition("/paths/")
        if name not in self._containers:
            self._containers[name] = self._container(name)
        return self._containers[name], path

    def _container(self, name: str) -> ContainerClient:
        store = self._client.get_datastore(name)
        if store.get("datastoreType") not in {"AzureBlob", "AzureDataLakeGen2"}:
            kind = store.get("datastoreType")
            raise AzureError(f"the datastore {name} has no blobs, but is of the type {kind}")
        account = store["accountName"]
        if (endpoint := store.get("endpoint") or _ENDPOINT) != _ENDPOINT:
            raise AzureError(f"the datastore {name} is not in Azure's public cloud: {endpoint}")
        container: str = store.get("containerName") or store["filesystem"]
        connection = self._client.http.connection
        if connection.emulated:
            base = f"{connection.address}/{account}/{container}"
            return container_client(f"{base}?sig={connection.key}", verify=connection.verify)
        address = f"https://{account}.blob.{_ENDPOINT}/{container}"
        return container_client(address, self._client.http.credential())


def container_client(
    address: str, credential: Any = None, *, verify: bool | str = True
) -> ContainerClient:
    """Return a client of a container, whose address may have a signature.

    Raises:
        MissingExtraError: If azure-storage-blob is not installed.
    """
    try:
        from azure.storage.blob import ContainerClient
    except ImportError as error:
        raise MissingExtraError("Azure Machine Learning", "azure") from error
    return ContainerClient.from_container_url(
        address, credential=credential, retry_total=0, connection_verify=verify
    )


def call(method: str, function: Callable[[], T]) -> T:
    """Return the result of a call of azure-storage-blob.

    Raises:
        AzureError: If it fails.
    """
    from azure.core.exceptions import AzureError as CoreError
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    try:
        return function()
    except ClientAuthenticationError as error:
        if error.status_code == 403:
            message = (
                f"{method} of a blob: {error.reason}: your account needs the role Storage Blob "
                "Data Contributor on the workspace's storage account"
            )
            raise AzureError(message, code=403, affects_all_calls=True) from error
        raise credential_error(error) from error
    except HttpResponseError as error:
        status = error.status_code or 0
        code = getattr(error, "error_code", None) or error.reason
        raise AzureError(
            f"{method} of a blob: {code} [{status}]",
            code=status,
            retryable=status in {408, 429, 500, 502, 503, 504},
            affects_all_calls=status in {401, 403},
        ) from error
    except CoreError as error:
        raise connection_error(f"{method} of a blob", error) from error
