"""``.cloudtuneignore``: which files of the source folder are not bundled, as in ``.gitignore``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.regular_files import read_regular

IGNORE_FILE = ".cloudtuneignore"
_FOLDER_MARK = "ps_d"
"""The group of pathspec's expressions that matches the slash after a folder."""


class _Pattern(NamedTuple):
    text: str
    excludes: bool
    expression: re.Pattern[str]


class IgnorePatterns:
    """The patterns of an ignore file.

    As in git, the last pattern that matches a path decides, and nothing in an excluded folder is
    included again.
    """

    def __init__(self, patterns: Sequence[_Pattern] = ()) -> None:
        self._patterns = patterns
        self._folders = {"": False}

    def exclude(self, name: str) -> bool:
        """Return whether a file is excluded, or a folder that contains it."""
        if not self._patterns:
            return False
        pattern = self._last_match(name, is_folder=False)
        excluded = pattern is not None and pattern.excludes
        return excluded or self.exclude_folder(name.rpartition("/")[0])

    def exclude_folder(self, name: str) -> bool:
        """Return whether a folder is excluded, or a folder that contains it."""
        if name not in self._folders:
            pattern = self._last_match(name, is_folder=True)
            excluded = pattern is not None and pattern.excludes
            self._folders[name] = excluded or self.exclude_folder(name.rpartition("/")[0])
        return self._folders[name]

    def name_explicitly(self, name: str, *, is_folder: bool = False) -> bool:
        """Return whether a pattern with ``!`` includes a path by more than a wildcard."""
        pattern = self._last_match(name, is_folder=is_folder)
        if pattern is None or pattern.excludes:
            return False
        return pattern.text.strip().rstrip("/").rpartition("/")[2].strip("!*") != ""

    def _last_match(self, name: str, *, is_folder: bool) -> _Pattern | None:
        for pattern in reversed(self._patterns):
            if _matches(pattern.expression, name, is_folder=is_folder):
                return pattern
        return None


def read_ignore_file(path: Path) -> IgnorePatterns:
    """Return the patterns of an ignore file; none if there is no file.

    Raises:
        StudyError: If a pattern is invalid.
    """
    try:
        text = read_regular(path).decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    except FileNotFoundError:
        return IgnorePatterns()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise StudyError([Problem("trial.source", message)]) from error
    from pathspec import GitIgnoreSpec

    lines = [line for line in text.split("\n") if line]
    try:
        compiled: Sequence[Any] = GitIgnoreSpec.from_lines(lines).patterns
    except (ValueError, re.error) as error:
        message = f"invalid pattern in {path.name}: {error}"
        raise StudyError([Problem("trial.source", message)]) from None
    return IgnorePatterns(
        [
            _Pattern(line, bool(pattern.include), pattern.regex)
            for line, pattern in zip(lines, compiled, strict=True)
            if pattern.include is not None and pattern.regex is not None
        ]
    )


def _matches(expression: re.Pattern[str], name: str, *, is_folder: bool) -> bool:
    """Return whether an expression matches the path itself, rather than a folder that contains it.

    An expression of pathspec also matches everything in a folder that it matches.
    """
    has_mark = _FOLDER_MARK in expression.groupindex
    match = expression.match(name)
    if match and not (has_mark and match[_FOLDER_MARK]):
        return True
    if not (is_folder and has_mark):
        return False
    match = expression.match(f"{name}/")
    return match is not None and match.end(_FOLDER_MARK) == len(name) + 1
