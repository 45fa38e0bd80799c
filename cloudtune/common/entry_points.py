"""The entry points of installed packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, distributions


def find_entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of one of cloudtune's groups; packages are scanned once in a process.

    A package that is installed twice comes twice, the one that Python imports first.
    """
    return [entry for entry in _scan() if entry.group == group]


@cache
def _scan() -> list[EntryPoint]:
    return [
        entry
        for package in distributions()
        if "cloudtune." in (package.read_text("entry_points.txt") or "")  # faster than parsing all
        for entry in package.entry_points
        if entry.group.startswith("cloudtune.")
    ]
