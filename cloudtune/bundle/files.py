"""The bundle: the files of the source folder that a trial needs, their hash and their copy."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from cloudtune.bundle.credentials import (
    has_credential_content,
    has_credential_name,
    is_named_explicitly,
)
from cloudtune.bundle.ignore_file import IGNORE_FILE, read_ignore_file
from cloudtune.errors import UsageError
from cloudtune.study.regular_files import open_regular

_ALWAYS_EXCLUDED = {".git", ".cloudtune"}
_CLUTTER = _ALWAYS_EXCLUDED | {
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
_EDITOR_FILE = ".study.schema.json"
"""The schema that editors read, which `cloudtune init` writes. No trial reads it."""
_BLOCK = 1024 * 1024
_FICLONE = 0x40049409
"""The request of ioctl_ficlone(2), 2026-11-27."""


def list_files(folder: Path, exclude: Sequence[Path] = ()) -> list[str]:
    """Return the relative paths of the bundle's files and links, in a fixed order.

    These are the files that git tracks or does not ignore; without git, all but common clutter.
    ``.cloudtuneignore`` in the folder excludes files, in the syntax of ``.gitignore``.

    Args:
        folder: The source folder.
        exclude: Files and folders that are not part of it: the state folder, a saved plan.

    Raises:
        UsageError: If the folder does not exist.
        StudyError: If the ignore file has an invalid pattern.
    """
    if not folder.is_dir():
        raise UsageError(f"trial.source: {folder} is not a folder")
    ignored = read_ignore_file(folder / IGNORE_FILE)
    excluded = {os.path.relpath(path.resolve(), folder.resolve()) for path in exclude}

    def skip_folder(name: str) -> bool:
        return name in excluded or ignored.exclude_folder(name)

    names: list[str] = []
    for name in {*(_list_git_files(folder) or _walk(folder, skip_folder))}:
        if name.rpartition("/")[2] == _EDITOR_FILE or ignored.exclude(name):
            continue
        if any(each in excluded for each in _with_parents(name)):
            continue
        mode = _mode(f"{folder}/{name}")
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            names.append(name)
    return sorted(names, key=os.fsencode)


def fingerprint(folder: Path, names: Sequence[str], unhashed: Sequence[str] = ()) -> str:
    """Return a hash of the names, executable bits and contents of files.

    Files of ``unhashed`` do not count.

    Raises:
        OSError: If a file cannot be read.
    """
    return _read_files(folder, names, unhashed)


def find_credentials(
    folder: Path, names: Sequence[str], unhashed: Sequence[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """Return the fingerprint of files, and those of them that look like credentials.

    Files that the ignore file includes by their names are not returned.

    Raises:
        OSError: If a file cannot be read.
    """
    patterns = read_ignore_file(folder / IGNORE_FILE)
    suspects = {name for name in names if has_credential_name(name)}

    def inspect(name: str, block: bytes) -> None:
        if has_credential_content(name, block):
            suspects.add(name)

    total = _read_files(folder, names, unhashed, inspect=inspect)
    wanted = {name for name in suspects if is_named_explicitly(name, patterns)}
    return total, tuple(sorted(suspects - wanted))


def copy_files(
    folder: Path, names: Sequence[str], target: Path, unhashed: Sequence[str] = ()
) -> str:
    """Copy files into a new folder; return their fingerprint.

    Links remain links. Those within the folder point into the copy, others to where they did. Only
    the owner can access the copy, with the same permissions as the original.

    Raises:
        OSError: If a file cannot be copied, or the target exists.
    """
    target.mkdir(mode=0o700, parents=True)
    return _read_files(folder, names, unhashed, target)


def link_files(copy: Path, target: Path) -> None:
    """Create a second copy with hard links to the files of a copy that nothing changes.

    Raises:
        OSError: If the file system has no hard links, or the target exists.
    """
    shutil.copytree(copy, target, symlinks=True, copy_function=os.link)
    target.chmod(0o700)


def _read_files(
    folder: Path,
    names: Sequence[str],
    unhashed: Sequence[str],
    target: Path | None = None,
    inspect: Callable[[str, bytes], None] | None = None,
) -> str:
    """Return the fingerprint of files, and copy them if there is a target."""
    total, without = hashlib.sha256(), frozenset(unhashed)
    folders: set[str] = set()
    for name in names:
        path, copy = f"{folder}/{name}", f"{target}/{name}"
        if target and (parent := os.path.dirname(copy)) not in folders:  # noqa: PTH120
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - Path is slow
            folders.add(parent)
        entry = _with_length(os.fsencode(name))
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            link = _copied_target(folder, Path(path))
            entry += b"link" + _with_length(os.fsencode(link))
            if target:
                Path(copy).symlink_to(link)
        else:
            content = hashlib.sha256()
            if target:
                clone_file(path, copy, status.st_mode & stat.S_IRWXU, content.update)
            else:
                _read_file(path, content.update, partial(inspect, name) if inspect else None)
            entry += b"exec" if status.st_mode & stat.S_IXUSR else b"file"
            entry += content.digest()
        if name not in without:
            total.update(entry)
    return total.hexdigest()


def _read_file(
    path: str, read: Callable[[bytes], None], inspect: Callable[[bytes], None] | None
) -> None:
    with open_regular(path, follow=False) as file:
        block = file.read(_BLOCK)
        if inspect:
            inspect(block)
        while block:
            read(block)
            block = file.read(_BLOCK)


def clone_file(
    source: str, target: str, mode: int, read: Callable[[bytes], None] | None = None
) -> None:
    """Create a file with the content of another; ``read`` is called with each block of it.

    The files share their blocks, with copy on write, where the file system can do that.

    Raises:
        OSError: If a file cannot be read or written, or the target exists.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    with (
        open_regular(source) as original,
        open(os.open(target, flags, mode), "wb") as copy,  # noqa: PTH123
    ):
        is_shared = _share_blocks(original.fileno(), copy.fileno())
        while (read or not is_shared) and (block := original.read(_BLOCK)):
            if not is_shared:
                copy.write(block)
            if read:
                read(block)


def _share_blocks(source: int, target: int) -> bool:
    """Make a file share all blocks of another; return whether the file system can (btrfs, XFS)."""
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def _with_parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition("/")[0]


def _mode(path: str) -> int:
    """Return the mode of a file or link, or 0 if it does not exist."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _list_git_files(folder: Path) -> list[str]:
    """Return the files that git does not ignore; none without git or outside a work tree."""
    command = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            [*command, "--exclude-standard"], cwd=folder, env=env, capture_output=True, check=False
        )
    except OSError:
        return []
    if result.returncode != 0:
        return []
    names: list[str] = []
    for entry in result.stdout.split(b"\0"):
        name = os.fsdecode(entry).rstrip("/")
        path = folder / name
        if not name or _ALWAYS_EXCLUDED.intersection(name.split("/")):
            continue
        if path.is_dir() and not path.is_symlink():  # a submodule or another repository
            inner = (_list_git_files(path) or _walk(path)) if any(path.iterdir()) else []
            names += [f"{name}/{each}" for each in inner]
        else:
            names.append(name)
    return names


def _walk(folder: Path, skip: Callable[[str], bool] = lambda _name: False) -> Iterator[str]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.name in _CLUTTER:
                    continue
                name = prefix + entry.name
                if not entry.is_dir(follow_symlinks=False):
                    yield name
                elif not (skip(name) or _is_generated(Path(entry.path))):
                    pending.append(name + "/")


def _is_generated(folder: Path) -> bool:
    """Return whether a folder is a virtual environment or a state folder of any name."""
    state_files = ("ledger.db", ".gitignore")
    return (folder / "pyvenv.cfg").exists() or all((folder / name).exists() for name in state_files)


def outside_links(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the links that point out of a folder, with their targets."""
    root = os.path.realpath(folder)
    targets: dict[str, str] = {}
    for name in names:
        path = f"{folder}/{name}"
        if os.path.islink(path):  # noqa: PTH114 - Path is slow
            target = os.path.realpath(path)
            if not _is_inside(target, root):
                targets[name] = target
    return targets


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _copied_target(folder: Path, link: Path) -> str:
    """Return the target of a link in a form that is also valid in a copy of the folder."""
    target = os.readlink(link)  # noqa: PTH115 - a Path loses a trailing slash
    real, root = os.path.realpath(link), os.path.realpath(folder)
    if not _is_inside(real, root):
        return real
    parent = os.path.relpath(link.parent, folder)
    leaves = os.path.normpath(f"{parent}/{target}").startswith("..")
    if os.path.isabs(target) or leaves:  # noqa: PTH117 - a text
        return os.path.relpath(os.path.relpath(real, root), parent)
    return target
