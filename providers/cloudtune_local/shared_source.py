"""A source that trials share: each sees it with copy on write, instead of copying it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from cloudtune.execution.forkserver import overlay

_PROBE_TIMEOUT = 10.0
_PROBE = """
import os
os.rename('file', 'new')
open('new', 'a').write('after')
os.unlink('folder/inner')
os.rmdir('folder')
os.mkdir('folder')  # needs extended attributes, which not every file system has
assert not os.listdir('folder')
"""


def can_share(folder: Path) -> bool:
    """Return whether processes can have views of a folder on the disk of an existing folder.

    That depends on the system, its security settings and the file system, so it is tried.
    """
    if sys.platform != "linux":
        return False
    try:
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=folder) as name:
            lower, view = Path(name, "lower"), Path(name, "trial", "work")
            lower.mkdir()
            (lower / "file").write_text("before")
            (lower / "folder").mkdir()
            (lower / "folder" / "inner").touch()
            create_view(str(view.parent), str(view))
            command = [sys.executable, "-I", "-S", "-c", _PROBE]
            program = [sys.executable, "-I", "-S", overlay.__file__, "2", str(lower), str(view)]
            done = subprocess.run(
                [*program, *command], capture_output=True, timeout=_PROBE_TIMEOUT, check=False
            )
            works = done.returncode == 0 and (view / "new").read_text() == "beforeafter"
            works = works and not [*(view / "folder").iterdir()]
            works = works and sorted(path.name for path in lower.iterdir()) == ["file", "folder"]
            finish_view(str(view.parent), str(view))
            return works
    except (OSError, subprocess.TimeoutExpired):
        return False


def create_view(trial: str, work: str) -> None:
    """Create the folders of a view in the folder of a trial, which may exist.

    Raises:
        OSError: If a folder cannot be created.
    """
    os.makedirs(f"{trial}/{overlay.OVERLAY_FOLDER}", exist_ok=True)  # noqa: PTH103
    os.mkdir(work, 0o700)  # noqa: PTH102


def finish_view(trial: str, work: str) -> None:
    """Remove what the kernel keeps of a view, except for the files that the trial changed."""
    remove_overlay(trial)
    for path, _, names in os.walk(work):
        for name in names:
            file = os.path.join(path, name)  # noqa: PTH118
            with suppress(OSError):
                status = os.lstat(file)
                if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:  # a removed file
                    os.unlink(file)  # noqa: PTH108


def remove_overlay(trial: str) -> None:
    """Remove the kernel's own folder of a view, which only its owner can make readable."""
    folder = f"{trial}/{overlay.OVERLAY_FOLDER}"
    with suppress(OSError):
        os.chmod(f"{folder}/work", 0o700)  # noqa: PTH101
    shutil.rmtree(folder, ignore_errors=True)
