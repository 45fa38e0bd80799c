"""Which Python the user's code requires, as far as its files say."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

OLDEST = 7
"""The minor version of Python 3 that cloudtune's launcher requires."""
_LOWER_BOUND = re.compile(r"(?:>=|~=|==)\s*3\.(\d+)")


class RequiredPython(NamedTuple):
    """The oldest minor version of Python 3 that can run the code, and what requires it."""

    minor: int
    reason: str


def required_python(source: Path, script: str | None) -> RequiredPython:
    """Return the oldest Python for a source folder.

    It is the highest of three: that of the launcher, ``requires-python`` in ``pyproject.toml``, and
    the oldest Python with the syntax of the script.
    """
    required = RequiredPython(OLDEST, "cloudtune's launcher")
    with suppress(OSError, ValueError, AttributeError, TypeError):
        project = tomllib.loads((source / "pyproject.toml").read_text("utf-8")).get("project", {})
        bounds = [int(minor) for minor in _LOWER_BOUND.findall(project.get("requires-python", ""))]
        if bounds and max(bounds) > required.minor:
            required = RequiredPython(max(bounds), "requires-python in pyproject.toml")
    with suppress(OSError, ValueError):
        text = (source / (script or "")).read_text("utf-8")
        minor = _oldest_syntax(text, required.minor)
        if minor is not None and minor > required.minor:
            required = RequiredPython(minor, f"the syntax of {script}")
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
