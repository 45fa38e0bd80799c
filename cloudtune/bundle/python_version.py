"""Which Python the user's code requires, as far as its files say."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cloudtune.bundle.own_modules import entry_files, file_imports, reached_files
from cloudtune.study.regular_files import read_regular

OLDEST = 7
"""The minor version of Python 3 that cloudtune's launcher requires."""
_LOWER_BOUND = re.compile(r"(?:>=|~=|==)\s*3\.(\d+)")

_NEW_MODULES = {"importlib.metadata": 8, "graphlib": 9, "zoneinfo": 9, "tomllib": 11}
"""The modules that the standard library got after `OLDEST` (docs.python.org, What's New in Python
3.8 to 3.13, 2026-11-27), each with the minor version of Python 3."""


class RequiredPython(NamedTuple):
    """The oldest minor version of Python 3 that can run the code, and what requires it."""

    minor: int
    reason: str


def required_python(source: Path, script: str | None, module: str | None = None) -> RequiredPython:
    """Return the oldest Python for a source folder.

    It is the highest of four: that of the launcher, ``requires-python`` in ``pyproject.toml``, and,
    of the script or module and what it imports from the folder, the oldest Python with its syntax
    and with the modules of the standard library that it imports.
    """
    required = RequiredPython(OLDEST, "cloudtune's launcher")
    with suppress(OSError, ValueError, AttributeError, TypeError):
        text = read_regular(source / "pyproject.toml").decode()
        import tomllib

        project = tomllib.loads(text)
        project = project.get("project", {})
        bounds = [int(minor) for minor in _LOWER_BOUND.findall(project.get("requires-python", ""))]
        if bounds and max(bounds) > required.minor:
            required = RequiredPython(max(bounds), "requires-python in pyproject.toml")

    def read(name: str) -> str | None:
        with suppress(OSError, ValueError):
            return read_regular(source / name).decode()
        return None

    for name, text in reached_files(entry_files(script, module), read).items():
        minor = _oldest_syntax(text, required.minor)
        if minor is not None and minor > required.minor:
            required = RequiredPython(minor, f"the syntax of {name}")
        for imported, line in file_imports(text):
            if _NEW_MODULES.get(imported, 0) > required.minor:
                reason = f"the import of {imported} ({name}, line {line})"
                required = RequiredPython(_NEW_MODULES[imported], reason)
    return required


def _oldest_syntax(text: str, at_least: int) -> int | None:
    """Return the oldest version that accepts a text; None if this Python does not, either."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for minor in range(at_least, sys.version_info.minor + 1):
            with suppress(SyntaxError):
                ast.parse(text, feature_version=(3, minor))
                return minor
    return None
