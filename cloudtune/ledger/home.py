"""The folders in which cloudtune keeps its state."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cloudtune.errors import LedgerError

EMULATOR_FOLDER = "emulator"
"""The folder with an emulator's state, in the folder of its job."""


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


def _is_current_users(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def create_state_folder(folder: Path) -> None:
    """Create a state folder, which git ignores, unless it exists.

    Raises:
        OSError: If it cannot be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    (folder / "runs").mkdir(exist_ok=True)


def list_run_folders(folder: Path) -> list[str]:
    """Return the names of the run folders in a state folder, sorted."""
    with suppress(OSError):
        return sorted(each.name for each in (folder / "runs").iterdir() if each.is_dir())
    return []
