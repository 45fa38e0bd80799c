"""The addresses of IBM Cloud: which hosts are IBM's, and where the platform of a region is.

Source: ``PLATFORM_URLS_MAP`` of ibm-watsonx-ai 1.8.1, client.py, and ``_get_iam_url`` there, read
2026-11-27. The regions on AWS and of the government sign in at other addresses, which were not
verified.
"""

from __future__ import annotations

from urllib.parse import urlsplit

IAM_URL = "https://iam.cloud.ibm.com"
"""Where a key is exchanged for a token."""
DOMAINS = (
    *(".cloud.ibm.com", ".ibm.cloud.com", ".wxai.ibm.com", ".ibmforusgov.com"),
    ".ibm-watson-ml.mybluemix.net",
)
"""The domains of IBM's own services; the last one is the older service's."""
PLATFORMS = {
    "us-south": "api.dataplatform.cloud.ibm.com",
    "eu-de": "api.eu-de.dataplatform.cloud.ibm.com",
    "eu-gb": "api.eu-gb.dataplatform.cloud.ibm.com",
    "jp-tok": "api.jp-tok.dataplatform.cloud.ibm.com",
    "au-syd": "api.au-syd.dai.cloud.ibm.com",
    "ca-tor": "api.ca-tor.dai.cloud.ibm.com",
}
"""The host of the platform, with spaces and assets, by region."""
_RUNTIME = ".ml.cloud.ibm.com"
_PRIVATE = "private."


def is_ibm_cloud(url: str) -> bool:
    """Return whether an address is one of IBM's own services, and not a cluster."""
    host = urlsplit(url).hostname or ""
    return f".{host.rstrip('.')}".endswith(DOMAINS)


def platform_url(url: str) -> str | None:
    """Return the address of the platform of a region's watsonx.ai Runtime; None if unknown.

    Example:
        >>> platform_url("https://eu-de.ml.cloud.ibm.com")
        'https://api.eu-de.dataplatform.cloud.ibm.com'
    """
    host = urlsplit(url).hostname or ""
    private = _PRIVATE if host.startswith(_PRIVATE) else ""
    name = host.removeprefix(_PRIVATE)
    region = name.removesuffix(_RUNTIME) if name.endswith(_RUNTIME) else ""
    return f"https://{private}{PLATFORMS[region]}" if region in PLATFORMS else None
