"""Which Python the user's code requires, as far as its files say."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cloudtune.bundle.own_modules import entry_files, file_imports, reached_files, read_source
from cloudtune.errors import UsageError
from cloudtune.study.regular_files import read_regular

OLDEST = 7
"""The minor version of Python 3 that cloudtune's launcher requires."""
_PATCHES = 100
"""More releases than a minor version of Python gets."""
_DECLARATION = re.compile(r"""^\W*requires-python\W*=""", re.MULTILINE)

_NEW_MODULES = {"importlib.metadata": 8, "graphlib": 9, "zoneinfo": 9, "tomllib": 11}
"""The modules that the standard library got after `OLDEST` (docs.python.org, What's New in Python
3.8 to 3.13, 2026-11-27), each with the minor version of Python 3."""


class RequiredPython(NamedTuple):
    """The versions of Python that can run the code, as a specifier, and what requires them."""

    versions: str
    reason: str


def declared_pythons(
    source: Path, script: str | None, requirements: str | None
) -> list[RequiredPython]:
    """Return what the files of a source folder declare as ``requires-python``.

    These are ``pyproject.toml``, and the headers (PEP 723) or locks of the script and requirements.
    """
    files = {"pyproject.toml", *filter(None, [script, requirements])}
    files |= {f"{name}.lock" for name in files if name.endswith(".py")}
    declared: list[RequiredPython] = []
    for name in sorted(files):
        if not name.endswith((".py", ".toml", ".lock")):
            continue
        with suppress(OSError, ValueError, AttributeError, TypeError, UsageError):
            text = read_regular(source / name).decode()
            if versions := _requires_python(text, name):
                line = _DECLARATION.search(text)
                number = text.count("\n", 0, line.start()) + 1 if line else 1
                reason = f"requires-python in {name}, line {number}"
                declared.append(RequiredPython(versions, reason))
    return declared


def _requires_python(text: str, name: str) -> str:
    """Return what a file declares; empty if it does not.

    Raises:
        ValueError: If the file or what it declares is invalid.
        UsageError: If the script has no header.
    """
    if "requires-python" not in text:
        return ""
    if name.endswith(".py"):
        from cloudtune.bundle.script_header import read_header

        versions = read_header(text, name).requires_python
    else:
        import tomllib

        document = tomllib.loads(text)
        table = document.get("project", {}) if Path(name).name == "pyproject.toml" else document
        versions = table.get("requires-python", "")
    from packaging.specifiers import SpecifierSet

    return str(SpecifierSet(versions)) and versions


def find_misfit(required: Iterable[Sequence[str]], version: str) -> str:
    """Return what requires another version of Python, and which; empty if the version fits.

    Args:
        required: Items of `RequiredPython`.
        version: The version of Python. Of one without a patch number, any patch may fit.
    """
    from packaging.specifiers import SpecifierSet

    patches = [version] if version.count(".") > 1 else [f"{version}.{n}" for n in range(_PATCHES)]
    for versions, reason in required:
        accepted = SpecifierSet(versions)
        if not any(accepted.contains(each, prereleases=True) for each in patches):
            return f"{reason} needs {versions}"
    return ""


def required_pythons(
    source: Path, script: str | None, module: str | None = None, requirements: str | None = None
) -> list[RequiredPython]:
    """Return the versions of Python for a source folder, and what requires each.

    These are that of the launcher, the declared ones, and, of the script or module and what it
    imports from the folder, the oldest Python with its syntax and with the modules of the standard
    library that it imports.
    """
    minor, reason = OLDEST, "cloudtune's launcher"
    files = reached_files(entry_files(script, module), partial(read_source, source))
    for name, text in files.items():
        oldest = _oldest_syntax(text, minor)
        if oldest is not None and oldest > minor:
            minor, reason = oldest, f"the syntax of {name}"
        for imported, line in file_imports(text):
            if _NEW_MODULES.get(imported, 0) > minor:
                minor, reason = (
                    _NEW_MODULES[imported],
                    f"the import of {imported} ({name}, line {line})",
                )
    code = RequiredPython(f">=3.{minor}", reason)
    return [code, *declared_pythons(source, script, requirements)]


def _oldest_syntax(text: str, at_least: int) -> int | None:
    """Return the oldest version that accepts a text; None if this Python does not, either."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for minor in range(at_least, sys.version_info.minor + 1):
            with suppress(SyntaxError):
                ast.parse(text, feature_version=(3, minor))
                return minor
    return None
