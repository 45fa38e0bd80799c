"""Files that cloudtune's own commands write, such as results and reports next to a study.

They may be in the source folder, but they do not make the code of two runs different. Reports and
logs are not part of it. The paths are in the file ``outputs`` of the state folder, one per line.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cloudtune.ledger.home import state_folder

_FILE = "outputs"
_PATH_BYTES = 1024
"""The size of a path on macOS."""
_LARGEST_STUDY = 1_000_000
_TOP_LEVEL_KEY = re.compile(r"^(\w+) *:", re.MULTILINE)
"""A key of a YAML file that is not inside another one."""


def record_outputs(*paths: Path) -> None:
    """Record files that are written, and those to which the shell redirects this process.

    Without a state folder nothing is recorded: there is no run yet. Errors are ignored.
    """
    with suppress(OSError):
        folder = state_folder()
        written = {*(os.path.abspath(path) for path in paths), *_redirections()}  # noqa: PTH100
        inner = (f"{folder}{os.sep}", f"{os.path.realpath(folder)}{os.sep}")
        new = {
            path
            for path in written - _recorded(folder)
            if "\n" not in path and not path.startswith(inner)
        }
        if new and folder.is_dir():
            with (folder / _FILE).open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(f"{path}\n" for path in sorted(new)))


_LOG_SUFFIXES = {".log", ".out", ".txt"}
_LOG_START = 20_000
"""Bytes of a log that are read; a run prints its id in its first line, or at its end."""
_LOG_LINE = re.compile(rb"; run \w{8}$|^run \w{8}; all files are in ", re.MULTILINE)


def unhashed_files(source: Path, names: Sequence[str], study_file: str | None) -> tuple[str, ...]:
    """Return the files of a source that say nothing about its code.

    These are outputs of cloudtune, also those that a pipe leads to a log; the study's file, and
    other studies next to it: studies are compared by themselves.

    Args:
        source: The source folder.
        names: Its files.
        study_file: The path of the study's file, if it has one.
    """
    paths = _recorded(state_folder()) | _redirections()
    if study_file:
        paths.add(os.path.abspath(study_file))  # noqa: PTH100
        paths |= _studies(Path(study_file).parent)
    inside = _inside(source, paths)
    return tuple(name for name in names if name in inside or _is_log(source / name))


_UNREAD_SUFFIXES = {".html", ".md", ".log", ".out"}


def without_reports(source: Path, names: Sequence[str]) -> list[str]:
    """Return the files of a source without the reports and logs that cloudtune's commands wrote.

    Other outputs stay, such as results, since a script may read them.
    """
    inside = _inside(source, _recorded(state_folder()) | _redirections())

    def is_report(name: str) -> bool:
        path = source / name
        is_written = name in inside or (_is_log(path) and path.stat().st_size > 0)
        return path.suffix in _UNREAD_SUFFIXES and is_written

    return [name for name in names if not is_report(name)]


def _inside(source: Path, paths: set[str]) -> set[str]:
    """Return paths relative to the source folder, also those to which links lead."""
    folder = os.path.abspath(source)  # noqa: PTH100
    return {os.path.relpath(each, folder) for each in {*paths, *map(os.path.realpath, paths)}}


def _is_log(path: Path) -> bool:
    """Return whether a file has the output of a run, or will have that of this one."""
    if path.suffix not in _LOG_SUFFIXES or not path.is_file():
        return False
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_LOG_START)
            file.seek(max(0, size - _LOG_START))
            return not size or bool(_LOG_LINE.search(start) or _LOG_LINE.search(file.read()))
    except OSError:
        return False


def _studies(folder: Path) -> set[str]:
    """Return the files in a folder whose keys are those of a study: code does not read them."""
    from cloudtune.study.regular_files import read_regular
    from cloudtune.study.study import Study  # imports pydantic, which shell completion avoids

    keys = {*Study.model_fields}
    paths: set[str] = set()
    for path in (*folder.glob("*.yaml"), *folder.glob("*.yml")):
        with suppress(OSError, UnicodeDecodeError):
            text = read_regular(path, _LARGEST_STUDY).decode("utf-8")
            if {"objective", "trial"} <= {*_TOP_LEVEL_KEY.findall(text)} <= keys:
                paths.add(os.path.abspath(path))  # noqa: PTH100
    return paths


def _recorded(folder: Path) -> set[str]:
    try:
        text = (folder / _FILE).read_text("utf-8", errors="surrogateescape")
    except OSError:
        return set()
    return set(text.splitlines())


def _redirections() -> set[str]:
    """Return the files to which the output of this process goes."""
    paths: set[str] = set()
    for descriptor in (1, 2):
        with suppress(OSError, ImportError):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_nlink:
                paths.add(_descriptor_path(descriptor))
    return paths


def _descriptor_path(descriptor: int) -> str:
    """Return the path of an open file.

    Raises:
        OSError: If it is unknown.
    """
    import fcntl

    if request := getattr(fcntl, "F_GETPATH", None):  # macOS
        path: bytes = fcntl.fcntl(descriptor, request, bytes(_PATH_BYTES))
        return os.fsdecode(path.rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
