"""The bundle: which files of the source folder belong to a trial, their hash, and a copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError, UsageError

IGNORE_FILE = ".cloudtuneignore"
_OWN = {".git", ".cloudtune"}
_CLUTTER = _OWN | {
    ".hg",
    ".svn",
    "__pycache__",
    ".venv",
    "venv",
    "node_modules",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
    ".DS_Store",
}
_BLOCK = 1024 * 1024


def list_files(folder: Path, without: Sequence[Path] = ()) -> list[str]:
    """Return the files and links that belong to the bundle, relative and in a fixed order.

    That is what git tracks or does not ignore; without git, everything but obvious clutter. What
    ``.cloudtuneignore`` in the folder names, in the syntax of ``.gitignore``, is left out.

    Args:
        folder: The source.
        without: Files and folders that do not belong to it: the state folder, a saved plan.

    Raises:
        UsageError: If there is no such folder.
        StudyError: If a link points out of the folder, or the ignore file has an invalid pattern.
    """
    if not folder.is_dir():
        raise UsageError(f"trial.source: there is no folder {folder}")
    found = _git_files(folder) or _walk(folder)
    is_ignored = _read_ignore_file(folder / IGNORE_FILE)
    others = [os.path.relpath(path.resolve(), folder.resolve()) for path in without]
    kept = sorted(
        {
            name
            for name in found
            if not any(name == other or name.startswith(other + os.sep) for other in others)
            and _is_bundled(folder / name)
            and not is_ignored(name)
        },
        key=os.fsencode,
    )
    _refuse_links_outside(folder, kept)
    return kept


def fingerprint(folder: Path, names: Sequence[str]) -> str:
    """Return a hash of files: their names, whether they are executable, and what they hold.

    Raises:
        OSError: If one cannot be read.
    """
    whole = hashlib.sha256()
    for name in names:
        path = folder / name
        whole.update(_measured(os.fsencode(name)))
        if path.is_symlink():
            whole.update(b"link" + _measured(os.fsencode(_inner_target(folder, path))))
            continue
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            whole.update(b"exec" if mode & stat.S_IXUSR else b"file")
            content = hashlib.sha256()
            while block := file.read(_BLOCK):
                content.update(block)
            whole.update(content.digest())
    return whole.hexdigest()


def copy_files(folder: Path, names: Sequence[str], target: Path) -> None:
    """Copy files into a new folder; links stay links, within the copy.

    Only the owner may read the copy, with the rights that it has to each file.

    Raises:
        OSError: If one cannot be copied, or the target exists.
    """
    target.mkdir(mode=0o700, parents=True)
    for name in names:
        path, copy = folder / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(_inner_target(folder, path))
        else:
            copy.touch(mode=0o600)
            shutil.copyfile(path, copy)
            copy.chmod(path.stat().st_mode & stat.S_IRWXU)


def _measured(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def _is_bundled(path: Path) -> bool:
    """Tell whether a path is a file or a link, and not a device, a pipe or gone."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _git_files(folder: Path) -> list[str]:
    """Return what git would let us have; nothing where there is no git or no work tree."""
    command = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listed = subprocess.run(
            [*command, "--exclude-standard"], cwd=folder, env=env, capture_output=True, check=False
        )
    except OSError:
        return []
    if listed.returncode != 0:
        return []
    names: list[str] = []
    for entry in listed.stdout.split(b"\0"):
        name = os.fsdecode(entry).rstrip("/")
        path = folder / name
        if not name or _OWN.intersection(name.split("/")):
            continue
        if path.is_dir() and not path.is_symlink():  # a submodule or another repository
            inner = (_git_files(path) or _walk(path)) if any(path.iterdir()) else []
            names += [f"{name}/{each}" for each in inner]
        else:
            names.append(name)
    return names


def _walk(folder: Path) -> Iterator[str]:
    waiting = [""]
    while waiting:
        place = waiting.pop()
        with os.scandir(folder / place) as entries:
            for entry in entries:
                if entry.name in _CLUTTER:
                    continue
                name = place + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    yield name
                elif not _is_made(Path(entry.path)):
                    waiting.append(name + "/")


def _is_made(folder: Path) -> bool:
    """Tell whether a folder is a virtual environment, or our state under whatever name it has."""
    state = ("ledger.db", ".gitignore")
    return (folder / "pyvenv.cfg").exists() or all((folder / name).exists() for name in state)


def _refuse_links_outside(folder: Path, names: Sequence[str]) -> None:
    root = os.path.realpath(folder)
    problems: list[Problem] = []
    for name in names:
        if not (folder / name).is_symlink():
            continue
        target = os.path.realpath(folder / name)
        if target != root and not target.startswith(root + os.sep):
            message = f"the link {name} points out of the source folder, to {target}"
            hint = f"put the file itself there, or name the link in {IGNORE_FILE}"
            problems.append(Problem("trial.source", message, hint))
    if problems:
        raise StudyError(problems)


def _inner_target(folder: Path, link: Path) -> str:
    """Return where a link leads, written so that it holds in a copy of the folder too."""
    target = os.readlink(link)  # noqa: PTH115 - a Path would lose a slash at the end
    if not Path(target).is_absolute():
        return target
    within = os.path.relpath(os.path.realpath(link), os.path.realpath(folder))
    return os.path.relpath(within, os.path.relpath(link.parent, folder))


def _read_ignore_file(path: Path) -> Callable[[str], bool]:
    """Return a predicate: is this path excluded by an ignore file?"""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return lambda _: False
    import re

    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(text.split("\n")).match_file
    except (ValueError, re.error) as error:
        message = f"invalid pattern in {path.name}: {error}"
        raise StudyError([Problem("trial.source", message)]) from None
