"""The plans that an assistant has saved and shown, and the runs that may cost what they say.

They are in the folder ``plans`` of the state folder, which is never part of a bundle. Next to each
is its SHA-256, as ``sha256sum`` writes it: a plan that was edited is not the one that was shown.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.ledger.home import (
    create_private_folder,
    create_state_folder,
    is_folder_name,
    state_folder,
)
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import RunRecord
from cloudtune.planning.serialization import MAX_PLAN_BYTES, read_plan_file, restore_plan
from cloudtune.study.regular_files import read_regular


class UnshownRunError(UsageError):
    """A run may cost money, and its price was not shown; ``run`` is its ID."""

    def __init__(self, run: str, *, has_price: bool) -> None:
        self.run = run
        reason = "was not started from a plan that was saved here" if has_price else "has no price"
        super().__init__(f"run {run} may cost money, and {reason}")


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
        if os.path.lexists(_seal(path)):
            raise FileExistsError
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise UsageError(f"there is a plan {name!r} already; choose another name") from None
    return path


def seal_plan(path: Path) -> None:
    """Record that the plan in a file is the one that is shown.

    Raises:
        OSError: If the file cannot be read or the record cannot be written, or there is one.
    """
    with _seal(path).open("x", encoding="utf-8") as file:
        file.write(f"{_digest(path)}  {path.name}\n")


def find_shown_plan(name: str) -> Path:
    """Return the file of a plan that is as it was shown, with its price.

    Raises:
        UsageError: If there is no such plan, it has changed, or its price is unknown.
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
    for plan in read_plan_file(path) or ():
        if plan.price_per_second is None:
            raise UsageError(
                f"the price of the plan {name!r} is unknown, so only the user can run it, with "
                f"cloudtune run {shlex.quote(str(path))}; or set "
                f"providers.{plan.provider}.prices, and save another plan"
            )
    return path


def require_shown_run(run: str | None) -> str:
    """Return the ID of a run that costs nothing, or whose plan was shown with its price.

    Args:
        run: The run's ID or a prefix of it; None for the latest run.

    Raises:
        UnshownRunError: If it may cost money and was started in another way, or has no price.
        UsageError: If there is no such run, or its plan cannot be read.
        LedgerError: If the ledger cannot be used.
    """
    with Ledger() as ledger:
        record = ledger.run(run)
    prices = [restore_plan(job.plan).price_per_second for job in record.jobs]
    if all(price == 0 for price in prices):
        return record.id
    if None not in prices and any(_is_run_of(record, plans) for plans in _shown_plans()):
        return record.id
    raise UnshownRunError(record.id, has_price=None not in prices)


def _shown_plans() -> Iterator[dict[str, Mapping[str, Any]]]:
    """Yield the plans of each file that is as it was shown, by provider."""
    for seal in (state_folder() / "plans").glob("*.sha256"):
        path = seal.with_suffix(".json")
        if _is_unchanged(path):
            yield {plan["provider"]: plan for plan in json.loads(_read(path))}


def _is_run_of(record: RunRecord, plans: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a run was started from plans.

    Its ID is not enough: that of a confirming run is also given to another one.
    """
    jobs = {job.provider: job for job in record.jobs}
    return jobs.keys() == plans.keys() and all(
        _content(job.plan, limits=not job.changes) == _content(plans[name], limits=not job.changes)
        for name, job in jobs.items()
    )


def _content(plan: Mapping[str, Any], *, limits: bool) -> object:
    """Return what a plan and its run have in common, with or without the limits.

    The user can change the limits later. Files that are no code can come between.
    """
    facts = {name: value for name, value in plan["facts"].items() if name != "unhashed"}
    study = {name: value for name, value in plan["study"].items() if limits or name != "limits"}
    return [plan["run"], plan["mode"], facts, study]


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
