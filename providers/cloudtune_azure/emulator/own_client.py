"""What Microsoft's own client, azure-ai-ml, calls besides what cloudtune calls."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.emulator_kit import CERTIFICATE, Json

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CLOUDS = "/metadata/endpoints"
"""The path of the cloud's description, to which ARM_CLOUD_METADATA_URL leads."""
DISCOVERY = "/discovery"
"""The path of the addresses of a workspace's own services."""
NAME = "AzureEmulated"


def clouds(url: str, key: str) -> list[Json]:
    """Return the addresses of this cloud, as the manager's metadata describe it.

    The client reaches blobs at ``https://ACCOUNT.blob.SUFFIX``. This suffix makes all before the
    emulator's host the name and the password of a user; see `password`.
    """
    storage = f"core.emulator:{key}@{url.partition('://')[2]}"
    url = f"{url}/"
    return [
        {
            "name": NAME,
            "portal": "https://portal.azure.com",
            "resourceManager": url,
            "authentication": {"loginEndpoint": url, "audiences": [url], "tenant": "common"},
            "suffixes": {"storage": storage},
        }
    ]


def password(environ: WSGIEnvironment) -> str | None:
    """Return the password of a request for blobs, which is the emulator's key."""
    scheme, _, text = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return b64decode(text).decode().partition(":")[2] if scheme == "Basic" else None


def trusting(folder: Path, url: str) -> dict[str, str]:
    """Return the variables with which clients trust an emulator that speaks HTTPS."""
    if not url.startswith("https://"):
        return {}
    return dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(folder / CERTIFICATE))


def variables(folder: Path, url: str, key: str) -> dict[str, str]:
    """Return the variables that lead azure-ai-ml to the emulator; it refuses HTTP."""
    if not url.startswith("https://"):
        return {}
    clouds = f"{url}{CLOUDS}?api-version=2022-09-01&sig={key}"
    return {"ARM_CLOUD_METADATA_URL": clouds, **trusting(folder, url)}
