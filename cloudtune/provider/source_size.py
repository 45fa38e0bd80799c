"""Where the size of a source comes from, and whether its copies fit on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cloudtune.provider.facts import FolderSize, SourceFiles
from cloudtune.study.quantities import format_bytes, format_count

_SHOWN = 3
"""Folders that are named."""
_MOST = 0.9
"""A folder within another one is named in its place if it has this part of its files and bytes."""
_FEW = 0.05
"""A folder with less than this part of the files and bytes is not named."""
_MANY = 1000
"""With fewer files than this, their number is not what makes a source large."""


def largest_folders(sizes: Mapping[str, int]) -> tuple[FolderSize, ...]:
    """Return the folders and files that contain most of a source.

    Args:
        sizes: The size of each file in bytes, by its relative path.
    """
    total = FolderSize("", len(sizes), sum(sizes.values()))
    folders = sorted(_inner(sizes, "").values(), key=_weight(total), reverse=True)
    shown = [_narrow(sizes, each) for each in folders[:_SHOWN] if _weight(total)(each) >= _FEW]
    return tuple(shown)


def _weight(total: FolderSize) -> Callable[[FolderSize], float]:
    """Return a function that returns a folder's part of the files or of the bytes."""
    count, size = max(total.count, _MANY), max(total.size, 1)
    return lambda folder: max(folder.count / count, folder.size / size)


def _inner(sizes: Mapping[str, int], folder: str) -> dict[str, FolderSize]:
    """Return the folders and files directly in a folder, whose name ends with a slash, by name."""
    numbers: dict[str, tuple[int, int]] = {}
    for path, size in sizes.items():
        if path.startswith(folder):
            first, slash, _ = path[len(folder) :].partition("/")
            name = folder + first + slash
            count, total = numbers.get(name, (0, 0))
            numbers[name] = (count + 1, total + size)
    return {name: FolderSize(name, *each) for name, each in numbers.items()}


def _narrow(sizes: Mapping[str, int], folder: FolderSize) -> FolderSize:
    """Return the innermost folder that contains most of a folder."""
    while folder.name.endswith("/"):
        inner = max(_inner(sizes, folder.name).values(), key=lambda each: each.count)
        is_most = inner.count >= _MOST * folder.count and inner.size >= _MOST * folder.size
        if not (is_most and inner.name.endswith("/")):
            return folder
        folder = inner
    return folder


def describe_source(files: SourceFiles) -> str:
    """Return the number of files of the source and their total size, in words."""
    return f"{format_count(files.count, 'file')}, {format_bytes(files.size)}"


def format_folders(folders: tuple[FolderSize, ...]) -> str:
    """Return folders with their sizes in words, such as ``data/ (10,000 files, 2.0 GB)``."""
    return ", ".join(
        f"{each.name} ({format_count(each.count, 'file')}, {format_bytes(each.size)})"
        if each.name.endswith("/")
        else f"{each.name} ({format_bytes(each.size)})"
        for each in folders
    )


def disk_shortage(folder: Path, files: int, size: int) -> str:
    """Return why files do not fit on the disk of a folder; an empty text if they do.

    The folder need not exist. Unknown limits count as sufficient.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except (OSError, AttributeError):  # Windows has none
        return ""
    free = disk.f_bavail * disk.f_frsize
    if size > free:
        return (
            f"the copies need {format_bytes(size)}, and {format_bytes(free)} are free in {folder}"
        )
    if disk.f_files and files > disk.f_favail:
        return f"the copies need {files:,} files, and {disk.f_favail:,} can be created in {folder}"
    return ""
