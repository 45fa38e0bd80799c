"""Stands in for the image of a job: a virtual environment on top of this Python's."""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cloudtune.emulator_kit.containers import runtime

PASSED_ON = frozenset(
    [
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"),
        *("PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_CERT", "PIP_TRUSTED_HOST"),
    ]
)
"""The variables of this machine that scripts get. No others reach them."""


def create_folder(path: Path) -> Path:
    """Create an empty folder and return it; what an earlier emulator left there is deleted."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def create_image(folder: Path) -> str:
    """Create an environment with the packages of the Python that stands in for images; return its.

    That is cloudtune's own, unless the user named another. What a script installs goes into the
    environment, and changes nothing else on this machine.

    Raises:
        OSError: If this machine cannot.
    """
    if python := runtime().python:
        packages = _create_from(python, folder)
    else:
        venv.EnvBuilder(system_site_packages=True, symlinks=True).create(folder)
        packages = site.getsitepackages()
    add_packages(folder, packages, "image")
    for name in ("pip", "pip3"):  # any other on the PATH would change this machine
        script = folder / "bin" / name
        script.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n')
        script.chmod(0o755)
    return str(folder / "bin" / "python")


def _create_from(python: str, folder: Path) -> list[str]:
    """Create an environment of another Python, and return the folders with its packages."""
    options = ["--system-site-packages", "--symlinks", "--without-pip"]
    _run(python, "-m", "venv", *options, str(folder))
    code = "import json, site; print(json.dumps(site.getsitepackages()))"
    output = _run(python, "-c", code)
    try:
        packages: list[str] = json.loads(output)
    except ValueError as error:
        raise OSError(f"the stand-in {python} is not a Python: it printed {output!r}") from error
    return packages


def _run(python: str, *words: str) -> str:
    """Run the stand-in for images, and return its output.

    Raises:
        OSError: If it fails.
    """
    try:
        done = subprocess.run([python, "-I", *words], check=True, capture_output=True, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", None) or "").strip() or error
        raise OSError(f"the stand-in {python} cannot create an environment: {reason}") from error
    return done.stdout


@cache
def _version(python: str | None) -> str:
    if python is None:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    return _run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()


def site_packages(image: Path) -> Path:
    """Return the packages folder of an environment, which need not exist yet.

    Raises:
        OSError: If the Python that stands in for images cannot run.
    """
    return image / "lib" / f"python{_version(runtime().python)}" / "site-packages"


def add_packages(image: Path, folders: Sequence[str], name: str) -> None:
    """Let an environment find packages in other folders, after its own.

    Args:
        image: The environment.
        folders: The folders, in the order of the search.
        name: The name of the ``.pth`` file; several are read in the order of their names.
    """
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in folders]
    (site_packages(image) / f"{name}.pth").write_text("".join(lines), "utf-8")
