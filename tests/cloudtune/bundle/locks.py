"""Locks of the form of uv 0.13.9, with made-up packages, and what pip installs from one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def package(name: str, version: str = "1.0", more: str = "", registry: str = "") -> str:
    registry = registry or "https://main.example/simple"
    return f"""
[[package]]
name = "{name}"
version = "{version}"
source = {{ registry = "{registry}" }}
{more}
sdist = {{ url = "https://x/{name}.tar.gz", hash = "sha256:{sha(name)}", size = 1 }}
wheels = [{{ url = "https://x/{name}.whl", hash = "sha256:{sha(name + version)}", size = 1 }}]
"""


ROOT = """
version = 1
revision = 3
requires-python = ">=3.10"

[[package]]
name = "proj"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "plain" },
    { name = "extra", extra = ["more"] },
    { name = "winonly", marker = "sys_platform == 'win32'" },
    { name = "forked", version = "1.0", marker = "python_full_version < '3.12'" },
    { name = "forked", version = "2.0", marker = "python_full_version >= '3.12'" },
]

[package.dev-dependencies]
dev = [{ name = "unused" }]
"""
UV_LOCK = ROOT + "".join(
    [
        package(
            "plain",
            more="""dependencies = [
    { name = "both", marker = "sys_platform == 'linux'" },
    { name = "loop" },
]""",
        ),
        package(
            "extra",
            registry="https://index.example/simple",
            more='dependencies = [{ name = "both", marker = "sys_platform == \'darwin\'" }]',
        )
        + '\n[package.optional-dependencies]\nmore = [{ name = "optional" }]\n',
        package("winonly", more='dependencies = [{ name = "deep", marker = "os_name == \'nt\'" }]'),
        package("forked"),
        package("forked", "2.0"),
        package("both"),
        package("deep"),
        package("loop", more='dependencies = [{ name = "plain" }]'),
        package("optional"),
        package("unused"),
    ]
)
PYLOCK = f"""
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "plain"
version = "1.0"
index = "https://main.example/simple"
sdist = {{ url = "https://x/plain.tar.gz", hashes = {{ sha256 = "{sha("a")}" }} }}
wheels = [{{ url = "https://x/plain.whl", hashes = {{ sha256 = "{sha("b")}" }} }}]

[[packages]]
name = "other"
version = "2"
marker = "sys_platform == 'win32'"
index = "https://index.example/simple"
wheels = [{{ url = "https://x/other.whl", hashes = {{ sha256 = "{sha("c")}" }} }}]
"""
HEADER = """#!/usr/bin/env python3
# /// script
# requires-python = ">=3.10"
# dependencies = [
#     "plain>=1",
#     "exact==2.0",
# ]
# ///
import plain
"""
PLAIN_HEADER = HEADER.replace('#     "exact==2.0",\n', "")
"""The header of `SCRIPT_LOCK`."""
SCRIPT_LOCK = f"""version = 1
revision = 3

[manifest]
requirements = [{{ name = "plain", specifier = ">=1" }}]
{package("plain", more='dependencies = [{ name = "both" }]')}{package("both")}
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def installed(text: str, **environment: str) -> dict[str, str]:
    """Return what pip installs somewhere: the version of each package."""
    versions: dict[str, str] = {}
    for line in text.splitlines():
        words, *hashes = re.split(r"\s+--hash=", line)
        if not line.startswith("--"):
            requirement = Requirement(words)
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)
            assert hashes
            here: Any = {**default_environment(), **environment}
            if requirement.marker is None or requirement.marker.evaluate(here):
                versions[requirement.name] = str(requirement.specifier)
    return versions
