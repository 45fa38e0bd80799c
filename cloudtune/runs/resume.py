"""Going on with a run: what may differ from when it began, and what may not."""

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
    """Check that a run can go on as it began, and write raised limits to the ledger.

    Args:
        record: The run.
        overrides: ``limits.NAME=VALUE`` words.
        folder: The state folder.

    Returns:
        The new plans of all jobs if limits were raised, else an empty list.

    Raises:
        UsageError: If the study's file has changed since, or more than limits is overridden.
        StudyError: If an override is wrong.
    """
    from cloudtune.study.loader import apply_overrides, load

    wrong = [word for word in overrides if not word.startswith("limits.")]
    if wrong:
        raise UsageError(f"only limits can be changed when a run goes on, not {wrong[0]}")
    if record.overrides is not None and record.file and Path(record.file).is_file():
        found = load(record.file, overrides=record.overrides)
        changed = list(differences(comparable(record.study), comparable(found.to_json())))
        if changed:
            raise UsageError(
                f"{record.file} has changed since run {record.id} began:\n"
                + "\n".join(f"  {line}" for line in changed)
                + "\nPut it back to go on, or start a new run. Limits can be raised with --set."
            )
    if overrides:
        study = apply_overrides(Study.model_validate(record.study), overrides)
        return raise_limits(record.id, study, overrides, folder)
    return []


def raise_limits(
    run: str, study: Study, overrides: Sequence[str] = (), folder: Path | None = None
) -> list[Plan]:
    """Replace the study and plans of a run that is not running; return the new plans.

    Args:
        run: The run's id.
        study: The study with the new limits.
        overrides: The ``PATH=VALUE`` words that changed them.
        folder: The state folder.

    Raises:
        UsageError: If anything but the limits differs.
        UnsupportedError: If a provider cannot keep the new limits.
        LedgerError: If a process holds the run.
    """
    with Ledger(folder or state_folder()) as ledger, RunLock(ledger.run_folder(run)):
        record = ledger.run(run)
        before = Study.model_validate(record.study)
        if before.model_copy(update={"limits": study.limits}).to_json() != study.to_json():
            raise UsageError("only limits can be changed when a run goes on")
        words = None if record.overrides is None else (*record.overrides, *overrides)
        plans: list[Plan] = []
        for job in record.jobs:
            old = restore_plan(job.plan)
            if old.mode == "managed" and job.job:
                raise UsageError(
                    f"{job.provider} keeps the limits that {job.job} was made with; start a new "
                    f"run, which may build on it: warm_start: {{from: {record.id}}}"
                )
            new = plan_from_facts(study, old.provider, old.facts)
            if not old.refused:
                new.require()
            plans.append(new)
        stored = {plan.provider: plan.to_json() for plan in plans}
        ledger.update_study(record.id, study.to_json(), stored, words)
        return plans


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield a line for each leaf in which two plain values differ; 1, 1.0 and True differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in dict.fromkeys([*old, *new]):
            place = f"{path}.{key}" if path else key
            yield from differences(old.get(key), new.get(key), place)
        return
    first, second = _listed(before), _listed(after)
    if first is not None and second is not None and len(first) == len(second):
        for number, (left, right) in enumerate(zip(first, second, strict=True)):
            yield from differences(left, right, f"{path}.{number}" if len(first) > 1 else path)
        return
    old_text, new_text = json.dumps(before), json.dumps(after)
    if old_text != new_text:
        yield f"{path}: {old_text} became {new_text}"


def _listed(value: Any) -> list[Any] | None:
    return [*value] if isinstance(value, list) else None


def comparable(study: dict[str, Any]) -> dict[str, Any]:
    """Return what of a study, as plain data, may not change."""
    return {key: value for key, value in study.items() if key != "description"}
