"""The code of a trial in one file: a bundle, or the package that Google's prebuilt images install.

Those images install a source distribution with pip and start a module in it. Ours holds the bundle;
the module unpacks it into a new folder and becomes the launcher there. It also holds what pip
builds it with (PEP 517, pip 20 or later), so that neither setuptools nor a network is needed. The
same content makes the same bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cloudtune.provider import SOURCE, START, write_archive
from cloudtune_vertex.request.layout import BUNDLE, MODULE

_PROJECT = """\
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]
"""
_ABOUT = f"Metadata-Version: 2.1\nName: {MODULE}\nVersion: 1\n"
_BUILDER = f"""\
import os
import zipfile

FILES = ["__init__.py", "__main__.py", "{BUNDLE}"]
ABOUT = {{
    "METADATA": {_ABOUT!r},
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel = "{MODULE}-1-py3-none-any.whl"
    about = "{MODULE}-1.dist-info/"
    names = ["{MODULE}/" + name for name in FILES]
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as packed:
        for name in names:
            packed.write(name)
        for name, said in ABOUT.items():
            packed.writestr(about + name, said)
            names.append(about + name)
        packed.writestr(about + "RECORD", "".join(name + ",,\\n" for name in names))
    return wheel
"""
_MAIN = f"""\
import os, sys, tarfile, tempfile
archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{BUNDLE}")
words = sys.argv[1:]
{START}"""


def bundle(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write the user's code and the launcher's files as one archive.

    Args:
        target: The file.
        source: The folder with the user's code, if there is any.
        files: The launcher's, by their names.

    Raises:
        OSError: If a file cannot be read, or the archive not be written.
    """
    write_archive(target, source, SOURCE, files)


def package(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write a source distribution with the bundle in it; arguments as for `bundle`.

    Raises:
        OSError: If a file cannot be read, or the distribution not be written.
    """
    top = f"{MODULE}-1"
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        inner = Path(name)
        bundle(inner / BUNDLE, source, files)
        around = {
            f"{top}/PKG-INFO": _ABOUT.encode(),
            f"{top}/pyproject.toml": _PROJECT.encode(),
            f"{top}/builder.py": _BUILDER.encode(),
            f"{top}/{MODULE}/__init__.py": b"",
            f"{top}/{MODULE}/__main__.py": _MAIN.encode(),
        }
        write_archive(target, inner, f"{top}/{MODULE}", around)
