"""Changes of the limits of a run, whether a process runs it or not.

Only the holder of the run's lock changes it. A command that does not hold it sends the change to
the process that does, and finds it in the ledger when it has been made.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.engine.budget import Budget, change_budgets
from cloudtune.engine.inbox import Inbox, NewLimits
from cloudtune.errors import CloudtuneError, UsageError
from cloudtune.ledger.ledger import Ledger
from cloudtune.ledger.lock import lock_holder, send_requests
from cloudtune.ledger.records import JobRecord, RunRecord
from cloudtune.planning.planner import plan_from_facts
from cloudtune.planning.serialization import restore_plan
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.results.events import FINAL_JOB_STATES
from cloudtune.runs.run_lock import hold_run
from cloudtune.study.limits import LIMITS
from cloudtune.study.loader import apply_overrides
from cloudtune.study.study import Study

REQUEST = "="
"""How a line begins that asks for a change; no name of a provider does."""
_MAX_LINE = 4096
"""Bytes that a pipe takes at once, on all systems (PIPE_BUF of Linux; POSIX has 512)."""
_TIMEOUT = 60.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Change:
    """What has changed."""

    run: str
    fields: Mapping[str, tuple[Any, Any]]
    """The old and the new value of each field by its path."""
    is_running: bool
    """Whether a process runs the run, with the new limits."""
    ended: tuple[str, ...] = ()
    """The providers whose jobs have ended: they have the new limits when they are resumed."""


def require_limits(overrides: Sequence[str]) -> None:
    """Check that overrides change nothing but limits.

    Raises:
        UsageError: If one changes something else.
    """
    for override in overrides:
        if not override.startswith("limits."):
            raise UsageError(f"only limits of a run can be changed, not {override}")


def new_change_id() -> str:
    """Return an id by which a change is found in the ledger."""
    return secrets.token_hex(8)


def set_limits(run: str | None, overrides: Sequence[str]) -> Change:
    """Change limits of a run, as ``limits.NAME=VALUE``: at once if a process runs it.

    Raises:
        UsageError: If there is no such run, or a limit cannot be changed.
        StudyError: If an override is invalid.
        UnsupportedError: If a provider cannot apply the new limits.
        LedgerError: If the ledger cannot be used.
    """
    require_limits(overrides)
    change = new_change_id()
    line = REQUEST + json.dumps({"id": change, "set": [*overrides]})
    if len(line.encode()) >= _MAX_LINE:
        raise UsageError("these changes are too long for one command; make several")
    deadline = time.monotonic() + _TIMEOUT
    with Ledger() as ledger:
        record = ledger.run(run)
        folder = ledger.run_folder(record.id)
        is_sent = False
        while True:
            holder = lock_holder(folder)
            if not is_sent:
                study, _ = _new_plans(record, overrides, is_running=holder is not None)
                if not _differences(record.study, study.to_json()):
                    return Change(record.id, {}, holder is not None)
            is_made = change in _change_ids(ledger.run(record.id))
            if not is_made and holder is None:
                with hold_run(ledger, record.id):
                    if change not in _change_ids(ledger.run(record.id)):
                        change_limits(ledger, record.id, overrides, change)
                is_made = True
            if is_made:
                record = ledger.run(record.id)
                ended = tuple(job.provider for job in record.jobs if job.has_new_limits)
                is_running = lock_holder(folder) is not None
                return Change(record.id, _fields(record, change), is_running, ended)
            is_sent = is_sent or send_requests(folder, line)
            if time.monotonic() > deadline:
                raise UsageError(
                    f"{holder} runs {record.id} and has not answered: run this command on its "
                    "machine, or stop the run and resume it with --set"
                )
            time.sleep(_POLL_SECONDS)


def change_limits(
    ledger: Ledger,
    run: str,
    overrides: Sequence[str],
    change: str,
    *,
    is_running: bool = False,
) -> list[Plan]:
    """Write other limits of a run to the ledger; only the holder of its lock may call this.

    Jobs keep their states: one that has ended has other limits when it is resumed.

    Args:
        ledger: The ledger.
        run: The run.
        overrides: The new limits.
        change: The id of the change.
        is_running: Whether this process executes the run.

    Returns:
        The new plans of all jobs.

    Raises:
        UsageError: If a limit cannot be changed.
        StudyError: If an override is invalid.
        UnsupportedError: If a provider cannot apply the new limits.
    """
    record = ledger.run(run)
    study, plans = _new_plans(record, overrides, is_running=is_running)
    fields = _differences(record.study, study.to_json())
    entry = {"id": change, "fields": fields}
    all_overrides = None if record.overrides is None else (*record.overrides, *overrides)
    stored = {
        job.provider: {
            **plan.to_json(),
            "changes": [*job.changes, {**entry, "time": _time_of_change(job)}],
        }
        for job, plan in zip(record.jobs, plans, strict=True)
    }
    ledger.update_study(run, study.to_json(), stored, all_overrides)
    return plans


def _time_of_change(job: JobRecord) -> float:
    """Return the time; after the end of a job that has ended, even if the clock went back."""
    ended = job.ended if job.state in FINAL_JOB_STATES else None
    return max(time.time(), math.nextafter(ended, math.inf) if ended is not None else 0.0)


def change_running(
    run: str,
    line: str,
    *,
    inboxes: Mapping[str, Inbox],
    budgets: Sequence[Budget],
    notify: Callable[[str], None],
) -> None:
    """Make a change that another process has sent, in the process that runs the run."""
    try:
        request = json.loads(line.removeprefix(REQUEST))
        with Ledger() as ledger:
            plans = change_limits(ledger, run, request["set"], request["id"], is_running=True)
            record = ledger.run(run)
        for job, plan in zip(record.jobs, plans, strict=True):
            if plan.mode == "driven":
                inboxes[job.provider].put(NewLimits(plan, len(job.changes)))
        change_budgets(budgets, {plan.provider: plan for plan in plans})
    except (CloudtuneError, OSError, ValueError, KeyError, TypeError) as error:
        notify(f"the limits were not changed: {error}")
        return
    notify(describe_fields(_fields(record, request["id"])))


def describe_fields(fields: Mapping[str, Sequence[Any]]) -> str:
    """Return what has changed, in words."""
    return ", ".join(
        f"{path} is {'not set' if new is None else new} (was {'not set' if old is None else old})"
        for path, (old, new) in fields.items()
    )


def _new_plans(
    record: RunRecord, overrides: Sequence[str], *, is_running: bool
) -> tuple[Study, list[Plan]]:
    """Return the study and the plans of a run with other limits, after all checks."""
    study = apply_overrides(Study.model_validate(record.study), overrides)
    changed = _differences(record.study, study.to_json())
    for path in changed:
        own = [f"providers.{job.provider}.{path}" for job in record.jobs]
        name = path.removeprefix("limits.")
        if all(name in _own_limits(study, job.provider) for job in record.jobs):
            raise UsageError(
                f"{path} has no effect on run {record.id}: what counts is {' and '.join(own)}, "
                "which cannot be changed; start a new run"
            )
    plans: list[Plan] = []
    for job in record.jobs:
        old = restore_plan(job.plan)
        if old.mode == "managed" and (job.job or is_running):
            raise UsageError(
                f"the limits of {job.job or 'the job'} on {job.provider} cannot be changed; to "
                f"build on it in a new run, use warm_start: {{from: {record.id}}}"
            )
        if is_running and "limits.trial_timeout" in changed and _sends_timeout(old):
            raise UsageError(
                f"limits.trial_timeout is in what {job.provider} was asked for, so it cannot be "
                f"changed while the run goes on: stop the run, and resume it with --set"
            )
        new = plan_from_facts(study, old.provider, old.facts)
        if not old.refused:
            new.require()
        plans.append(new)
    for path, values in changed.items():
        if is_running and None in values and LIMITS[path.removeprefix("limits.")].needs_price:
            raise UsageError(
                f"{path} can be changed while the run goes on, but not be added or removed: "
                "stop the run, and resume it with --set"
            )
    return study, plans


def _own_limits(study: Study, provider: str) -> Mapping[str, Any]:
    """Return the limits of the study for one provider, which count instead of those for all."""
    return study.providers.get(provider, {}).get("limits") or {}


def _sends_timeout(plan: Plan) -> bool:
    return isinstance(plan.settings, CloudSettings)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    before: Mapping[str, Any] = old.get("limits") or {}
    after: Mapping[str, Any] = new.get("limits") or {}
    names = [*before, *(name for name in after if name not in before)]
    pairs = {f"limits.{name}": (before.get(name), after.get(name)) for name in names}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _change_ids(record: RunRecord) -> set[str]:
    return {change["id"] for job in record.jobs for change in job.changes}


def _fields(record: RunRecord, change: str) -> Mapping[str, tuple[Any, Any]]:
    return next(each["fields"] for each in record.jobs[0].changes if each["id"] == change)
