"""The plans that an assistant has saved and shown, and the runs that may cost what they say.

They are in the folder ``plans`` of the state folder, which is never part of a bundle. Next to each
is its SHA-256, as ``sha256sum`` writes it: a plan that was edited is not the one that was shown.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from cloudtune.errors import UsageError
from cloudtune.ledger.home import (
    create_private_folder,
    create_state_folder,
    is_folder_name,
    state_folder,
)
from cloudtune.ledger.ledger import Ledger
from cloudtune.planning.serialization import MAX_PLAN_BYTES, restore_plan
from cloudtune.study.regular_files import read_regular


class UnshownRunError(UsageError):
    """A run may cost money, and no plan that was shown names it; ``run`` is its ID."""

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(
            f"run {run} may cost money, and was not started from a plan that was saved here"
        )


def reserve_plan(name: str) -> Path:
    """Create the empty file for a plan, so that no other takes its name.

    Raises:
        UsageError: If the name is invalid or taken.
        OSError: If the file cannot be created.
    """
    path = _path(name)
    create_state_folder(path.parent.parent)
    create_private_folder(path.parent)
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise UsageError(f"there is a plan {name!r} already; choose another name") from None
    return path


def seal_plan(path: Path) -> None:
    """Record that the plan in a file is the one that is shown.

    Raises:
        OSError: If the file cannot be read or the record cannot be written.
    """
    _seal(path).write_text(f"{_digest(path)}  {path.name}\n", "utf-8")


def find_shown_plan(name: str) -> Path:
    """Return the file of a plan that is as it was shown.

    Raises:
        UsageError: If there is no such plan, or it has changed.
    """
    path = _path(name)
    if not _seal(path).exists():
        known = ", ".join(sorted(each.stem for each in path.parent.glob("*.sha256")))
        raise UsageError(
            f"{name!r} is no saved plan; " + (f"there are {known}" if known else "there are none")
        )
    if not _is_unchanged(path):
        raise UsageError(
            f"the plan {name!r} has changed since it was shown, so it does not run; save it again "
            "under another name"
        )
    return path


def require_shown_run(run: str | None) -> str:
    """Return the ID of a run that costs nothing or was started from a shown plan.

    Args:
        run: The run's ID or a prefix of it; None for the latest run.

    Raises:
        UnshownRunError: If it may cost money and was started in another way.
        UsageError: If there is no such run, or its plan cannot be read.
        LedgerError: If the ledger cannot be used.
    """
    with Ledger() as ledger:
        record = ledger.run(run)
    if record.id in _shown_runs():
        return record.id
    if all(restore_plan(job.plan).price_per_second == 0 for job in record.jobs):
        return record.id
    raise UnshownRunError(record.id)


def _shown_runs() -> set[str]:
    plans = [seal.with_suffix(".json") for seal in (state_folder() / "plans").glob("*.sha256")]
    return {json.loads(_read(path))[0]["run"] for path in plans if _is_unchanged(path)}


def _is_unchanged(path: Path) -> bool:
    try:
        return _seal(path).read_text("utf-8").split()[:1] == [_digest(path)]
    except (OSError, ValueError):
        return False


def _path(name: str) -> Path:
    if not is_folder_name(name):
        raise UsageError(
            f"{name!r} is no name of a plan: letters, digits, - and _, such as lr-search-2"
        )
    return state_folder() / "plans" / f"{name}.json"


def _seal(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(path: Path) -> str:
    return sha256(_read(path)).hexdigest()


def _read(path: Path) -> bytes:
    return read_regular(path, MAX_PLAN_BYTES)
