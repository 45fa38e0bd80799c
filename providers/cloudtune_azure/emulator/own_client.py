"""What Microsoft's own client, azure-ai-ml, calls besides what cloudtune calls."""

from __future__ import annotations

from pathlib import Path

from cloudtune.emulator_kit import CERTIFICATE, Response
from cloudtune_azure.emulator.calls import answer

CLOUDS = "/metadata/endpoints"
"""The path of the cloud's description, to which ARM_CLOUD_METADATA_URL leads."""
DISCOVERY = "/discovery"
"""The path of the addresses of a workspace's own services."""
NAME = "AzureEmulated"


def get_clouds(url: str) -> Response:
    """Return the addresses of this cloud, as the manager's metadata describe it."""
    url = f"{url}/"
    return answer(
        [
            {
                "name": NAME,
                "portal": "https://portal.azure.com",
                "resourceManager": url,
                "authentication": {"loginEndpoint": url, "audiences": [url], "tenant": "common"},
                "suffixes": {"storage": "core.windows.net"},
            }
        ]
    )


def get_discovery(url: str) -> Response:
    """Return the addresses of a workspace's own services."""
    return answer({"api": url, "history": url})


def list_code() -> Response:
    """Return no version of code with this hash, so that it is uploaded (sweep_submit_minimal)."""
    return answer({"value": []})


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
