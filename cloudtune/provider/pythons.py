"""The Python that runs the trials of a provider, compared with what the code requires."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

from cloudtune.diagnostics import Finding, Note
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import python_misfit

_TIMEOUT = 30.0
_COMMAND = re.compile(r"(?:^|[/\\])python(3\.\d+)(?:\.exe)?$")
"""A command such as /usr/bin/python3.11."""
_OFFICIAL = re.compile(r"(?:^|/)python:(3\.\d+)(?:\.\d+)?(?=$|[-@])")
"""Docker's own image, such as python:3.11-slim (https://hub.docker.com/_/python)."""
_TAG = re.compile(r"(?<![a-z0-9])py3\.?(\d{1,2})(?![a-z0-9])")
"""The Python in the names of images, such as rayproject/ray:2.40.0-py311-gpu."""


def command_version(command: str) -> str:
    """Return the version of Python in the name of a command; empty if it has none."""
    match = _COMMAND.search(command)
    return match[1] if match else ""


def image_version(address: str) -> str:
    """Return the version of Python in the address of an image; empty if it has none."""
    if official := _OFFICIAL.search(address):
        return official[1]
    tag = _TAG.search(address)
    return f"3.{tag[1]}" if tag else ""


def installed_version(python: str) -> str:
    """Return the version of an interpreter on this machine; empty if it does not answer."""
    if python == sys.executable:
        return platform.python_version()
    script = "import platform; print(platform.python_version())"
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            [python, "-I", "-c", script],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        ).stdout.strip()
    return ""


def check_python(facts: Facts, path: str, name: str, version: str) -> Iterator[Finding | Note]:
    """Yield that the code requires another Python than that of the trials, or that it may.

    Args:
        facts: The facts, with ``pythons`` of the lookup.
        path: The field that chooses the Python.
        name: How users know that Python.
        version: Its version, empty if it is unknown. Then only what files declare is named.
    """
    declared = [
        f"{reason} needs {versions}"
        for versions, reason in facts.data.get("pythons", ())
        if reason.startswith("requires-python")
    ]
    if not version and declared:
        text = f"the version of {name} is unknown here, and {' and '.join(declared)}"
        yield Note(path, text)
    if version and (misfit := python_misfit(facts, version)):
        yield Finding(
            "refused", path, f"{name} is Python {version}, and {misfit}: choose such a Python"
        )
