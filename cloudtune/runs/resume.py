"""Checks before a run is resumed: its study must be the same, but for higher limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from cloudtune.errors import UsageError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import RunLock
from cloudtune.ledger.records import RunRecord
from cloudtune.planning.planner import plan_from_facts
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.study.study import Study


def prepare(
    record: RunRecord, overrides: Sequence[str] = (), folder: Path | None = None
) -> list[Plan]:
    """Check that the study of a run is unchanged, and write new limits to the ledger.

    Args:
        record: The run.
        overrides: The new limits, as ``limits.NAME=VALUE``.
        folder: The state folder.

    Returns:
        The new plans of all jobs if limits were raised, else an empty list.

    Raises:
        UsageError: If the study file has changed, or an override is not a limit.
        StudyError: If an override is invalid.
    """
    from cloudtune.study.loader import apply_overrides, load

    for override in overrides:
        if not override.startswith("limits."):
            raise UsageError(f"only limits of a run can be changed, not {override}")
    if record.overrides is not None and record.file and Path(record.file).is_file():
        study = load(record.file, overrides=record.overrides)
        changes = list(differences(comparable(record.study), comparable(study.to_json())))
        if changes:
            raise UsageError(
                f"{record.file} has changed since run {record.id} was created:\n"
                + "\n".join(f"  {line}" for line in changes)
                + "\nRestore it to resume, or start a new run. Raise limits with --set."
            )
    if overrides:
        study = apply_overrides(Study.model_validate(record.study), overrides)
        return raise_limits(record.id, study, overrides, folder)
    return []


def raise_limits(
    run: str, study: Study, overrides: Sequence[str] = (), folder: Path | None = None
) -> list[Plan]:
    """Replace the study and the plans of a run by those with new limits; return the new plans.

    Args:
        run: The run's ID.
        study: The study with the new limits.
        overrides: The ``PATH=VALUE`` overrides that changed them.
        folder: The state folder.

    Raises:
        UsageError: If the study differs in more than limits, or a managed job exists.
        UnsupportedError: If a provider cannot apply the new limits.
        LedgerError: If a process executes the run.
    """
    with Ledger(folder or state_folder()) as ledger, RunLock(ledger.run_folder(run)):
        record = ledger.run(run)
        before = Study.model_validate(record.study)
        if before.model_copy(update={"limits": study.limits}).to_json() != study.to_json():
            raise UsageError("only limits of a run can be changed")
        all_overrides = None if record.overrides is None else (*record.overrides, *overrides)
        plans: list[Plan] = []
        for job in record.jobs:
            old = restore_plan(job.plan)
            if old.mode == "managed" and job.job:
                raise UsageError(
                    f"the limits of {job.job} on {job.provider} cannot be changed; to build on it "
                    f"in a new run, use warm_start: {{from: {record.id}}}"
                )
            new = plan_from_facts(study, old.provider, old.facts)
            if not old.refused:
                new.require()
            plans.append(new)
        stored = {plan.provider: plan.to_json() for plan in plans}
        ledger.update_study(record.id, study.to_json(), stored, all_overrides)
        return plans


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each leaf in which two JSON values differ; 1, 1.0 and true differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return
    old_list, new_list = _as_list(before), _as_list(after)
    if old_list is not None and new_list is not None and len(old_list) == len(new_list):
        for index, (left, right) in enumerate(zip(old_list, new_list, strict=True)):
            name = f"{path}.{index}" if len(old_list) > 1 else path
            yield from differences(left, right, name)
        return
    old_text, new_text = json.dumps(before), json.dumps(after)
    if old_text != new_text:
        yield f"{path}: {old_text} became {new_text}"


def comparable(study: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a study, as JSON, that must not change."""
    return {key: value for key, value in study.items() if key != "description"}


def _as_list(value: Any) -> list[Any] | None:
    return [*value] if isinstance(value, list) else None
