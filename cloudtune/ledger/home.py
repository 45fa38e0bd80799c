"""The folders in which cloudtune keeps its state."""

from __future__ import annotations

import errno
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

from cloudtune.errors import LedgerError
from cloudtune.study.quantities import format_list

EMULATOR_FOLDER = "emulator"
"""The folder with an emulator's state, in the folder of its job."""


INCOMPLETE = "incomplete"
"""The folder in a run's folder that has the lock of the process that creates or removes the run."""
LOCK_FILES = frozenset({"holder", "stop"})
"""The files of a run's lock, which a process can create anew after the run was removed."""
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def state_folder(start: Path | None = None) -> Path:
    """Return the folder that holds cloudtune's state; it may not exist yet.

    This is ``CLOUDTUNE_HOME`` if set, else ``.cloudtune`` in the nearest folder upward that has
    one, else ``.cloudtune`` here. A folder of another user is skipped, since cloudtune executes
    what a ledger contains.

    Raises:
        LedgerError: If only the current folder has one and it belongs to another user.
    """
    if home := os.environ.get("CLOUDTUNE_HOME"):
        return Path(home).expanduser().absolute()
    here = (start or Path.cwd()).absolute()
    candidates = [each for each in (here, *here.parents) if (each / ".cloudtune").is_dir()]
    for folder in candidates:
        if _is_current_users(folder / ".cloudtune"):
            return folder / ".cloudtune"
    own = here / ".cloudtune"
    if here in candidates:
        raise LedgerError(
            f"{own} belongs to another user, and using it could run their code; change to another "
            f"folder, or set CLOUDTUNE_HOME={own} if you trust its contents"
        )
    return own


def unusable_message(folder: Path, error: Exception) -> str:
    """Return why a state folder cannot be used, and what to do about it."""
    reason = error.strerror if isinstance(error, OSError) else error
    message = f"cannot use the state folder {folder}: {reason}"
    if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        message += "; set CLOUDTUNE_HOME to a folder that you can write"
    return message


def ledger_file(folder: Path) -> Path:
    """Return the file of the ledger in a state folder; it may not exist."""
    return folder / "ledger.db"


def _is_current_users(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def create_state_folder(folder: Path) -> None:
    """Create a state folder, which git ignores, unless it exists.

    Raises:
        OSError: If it cannot be created.
    """
    create_private_folder(folder)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    (folder / "runs").mkdir(exist_ok=True)


def create_private_folder(folder: Path) -> None:
    """Create a folder, and those above it, that only the user can read, unless they exist.

    Raises:
        OSError: If one cannot be created.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):  # `parents` would ignore the mode
        each.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def open_folder_note(folder: Path) -> str | None:
    """Return a note if other users have access to a state folder; else None."""
    try:
        mode = folder.stat().st_mode & 0o777
    except OSError:
        return None
    if os.name == "nt" or not mode & 0o077:
        return None
    return (
        f"note: other users of this machine have access to {folder} (mode {mode:04o}), which has "
        f"results and logs; to change that: chmod 700 {shlex.quote(str(folder))}"
    )


def is_folder_name(name: str) -> bool:
    """Return whether the id of a run, or the name of a provider, can be the name of its folder.

    Ledgers and plans come from other people, too, and folders of runs are deleted.
    """
    return _FOLDER_NAME.fullmatch(name) is not None


def subfolder(folder: Path, name: str) -> Path:
    """Return the folder of a run or of a job.

    Raises:
        LedgerError: If its name would lead elsewhere.
    """
    if not is_folder_name(name):
        raise LedgerError(
            f"{name!r} is not the id of a run or the name of a provider. If the ledger of {folder} "
            "has such a run, `cloudtune clean RUN` removes it there and leaves all files"
        )
    return folder / name


def list_run_folders(folder: Path) -> list[str]:
    """Return the names of the run folders in a state folder, sorted."""
    with suppress(OSError):
        return sorted(each.name for each in (folder / "runs").iterdir() if each.is_dir())
    return []


def list_whole_run_folders(folder: Path) -> list[str]:
    """Return the names of the folders with files of runs that no process creates or removes."""
    contents = {
        name: {each.name for each in (folder / "runs" / name).iterdir()}
        for name in list_run_folders(folder)
    }
    return [
        name
        for name, content in contents.items()
        if INCOMPLETE not in content and not (content and content <= LOCK_FILES)
    ]


def no_runs_message(folder: Path, ledger: Path) -> str:
    """Return the message about a state folder without runs, or with folders of lost ones."""
    folders = list_whole_run_folders(folder)
    if not folders:
        return f"no runs in {folder}; start one with `cloudtune run STUDY`"
    problem, effect = "is missing", "starts a new one"
    if ledger.exists():
        problem, effect = "is empty", "uses it as it is"
    return (
        f"the ledger {ledger} {problem}, but there are folders of runs "
        f"({format_list(folders, 3)}); restore the ledger from a backup, or `cloudtune run "
        f"STUDY` {effect}"
    )
