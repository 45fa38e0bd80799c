"""What stands for the image of a job: an environment of its own over this Python's."""

from __future__ import annotations

import site
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

PASSED_ON = frozenset(
    [
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"),
        *("PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_CERT", "PIP_TRUSTED_HOST"),
    ]
)
"""What a script needs of this machine. Nothing else of our environment reaches it."""


def make_image(folder: Path) -> str:
    """Make an environment in which the packages of ours are there, and return its Python.

    What a script installs goes into it, and changes nothing else on this machine.

    Raises:
        OSError: If this machine cannot.
    """
    venv.EnvBuilder(system_site_packages=True, symlinks=True).create(folder)
    put_below(folder, site.getsitepackages(), "image")
    return str(folder / "bin" / "python")


def packages_of(image: Path) -> Path:
    """Return the folder in which the packages of an environment are."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return image / "lib" / version / "site-packages"


def put_below(image: Path, folders: Sequence[str], name: str) -> None:
    """Let an environment find packages in other folders where it has none itself.

    Args:
        image: The environment.
        folders: Where else it looks, in this order.
        name: Of the file that says so. Those of several are read by their names.
    """
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in folders]
    (packages_of(image) / f"{name}.pth").write_text("".join(lines), "utf-8")
