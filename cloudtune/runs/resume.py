"""Checks before a run is resumed: its study and code must be unchanged; limits may be higher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.ledger.home import ledger_file, state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.ledger.schema import SAVED_COPY
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.provider.stored_plan import OTHER_VERSION
from cloudtune.runs.differences import find_differences
from cloudtune.runs.lifecycle import jobs_on
from cloudtune.runs.limits import change_limits, new_change_id, require_limits
from cloudtune.runs.run_lock import hold_run
from cloudtune.runs.source_check import require_unchanged_source


def prepare(record: RunRecord, overrides: Sequence[str] = (), on: Sequence[str] = ()) -> list[Plan]:
    """Check that the study and code of a run are unchanged, and write new limits to the ledger.

    Args:
        record: The run.
        overrides: The new limits, as ``limits.NAME=VALUE``.
        on: The providers whose jobs are resumed; all by default.

    Returns:
        The new plans of all jobs if limits were raised, else an empty list.

    Raises:
        UsageError: If the study file or the copy of the source has changed, an override is not a
            limit, a managed job exists, whose limits are fixed, or this version cannot read a plan.
        StudyError: If an override is invalid.
        UnsupportedError: If a provider cannot apply the new limits.
        LedgerError: If a process executes the run.
    """
    from cloudtune.study.loader import load

    require_limits(overrides)
    for job in jobs_on(record, on):
        _require_own_plan(job)
    if record.overrides is not None and record.file and Path(record.file).is_file():
        study = load(record.file, overrides=record.overrides)
        changes = list(find_differences(_comparable(record.study), _comparable(study.to_json())))
        if changes:
            raise UsageError(
                f"{record.file} has changed since run {record.id} was created:\n"
                + "\n".join(f"  {path}: {old} became {new}" for path, old, new in changes)
                + "\nRestore it to resume, or start a new run. Raise limits with --set."
            )
    with Ledger() as ledger:
        for job in jobs_on(record, on):
            source = ledger.job_folder(record.id, job.provider) / "source"
            try:
                require_unchanged_source(record, job, source)
            except UsageError:
                ledger.require_run(record.id)  # its files may have been removed meanwhile
                raise
    if not overrides:
        return []
    with Ledger() as ledger, hold_run(ledger, record.id):
        return change_limits(ledger, record.id, overrides, new_change_id())


def _require_own_plan(job: JobRecord) -> None:
    """Refuse a job whose plan only another version can continue, before its end is recorded."""
    if job.state == "completed":
        return
    try:
        restore_plan(job.plan)
    except UsageError as error:
        if OTHER_VERSION not in str(error):  # as the job reports it
            return
        folder = state_folder()
        hint = ""
        for copy in sorted(folder.glob(SAVED_COPY.format("*")))[-1:]:
            hint = (
                f"; {copy} is the ledger as that version wrote it: copy {folder}, rename the file "
                f"in the copy to {ledger_file(folder).name}, and set CLOUDTUNE_HOME to the copy"
            )
        raise UsageError(
            f"run {job.run} cannot be resumed on {job.provider}: {error}{hint}"
        ) from None
    except Exception:  # noqa: BLE001 - as the job reports it
        return


def _comparable(study: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in study.items() if key not in {"name", "description"}}
