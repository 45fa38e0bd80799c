"""Runs and jobs as the ledger stores them, and their conversion to and from database rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloudtune.ledger.job_facts import JobFacts, read_facts
from cloudtune.results.events import FINAL_JOB_STATES, changed_since

if TYPE_CHECKING:
    from cloudtune.results.events import RunJobState
    from cloudtune.study.schema import Mode

RUN_COLUMNS = ("id", "created", "name", "study", "file", "base", "overrides")
JOB_COLUMNS = (
    *("run", "provider", "plan", "state", "reason", "job", "emulated"),
    *("started", "begun", "spent", "ended"),
)
_JSON = {"study", "overrides", "plan"}


@dataclass(frozen=True)
class JobRecord:
    """One job of a run; times are epoch seconds. The fields are in the order of `JOB_COLUMNS`."""

    run: str
    provider: str
    plan: dict[str, Any]
    state: RunJobState = "pending"
    reason: str = ""
    job: str | None = None
    """The service's name for the job, once known."""
    emulated: bool = False
    started: float | None = None
    process_started: float | None = None
    """When the current or last process started or resumed the job."""
    earlier_seconds: float = 0.0
    """Seconds that earlier processes ran the job."""
    ended: float | None = None

    @cached_property
    def facts(self) -> JobFacts:
        """What the job's plan says of it."""
        return read_facts(self.plan)

    @property
    def mode(self) -> Mode:
        """The mode of the job's plan."""
        return self.facts.mode

    @property
    def attached(self) -> str | None:
        """The address of the job, if it was started elsewhere."""
        return self.facts.attached

    @property
    def changes(self) -> tuple[dict[str, Any], ...]:
        """The changes of the limits since the run was created; see `JobFacts`."""
        return self.facts.changes

    @property
    def may_run_at_service(self) -> bool:
        """Whether its service may still run the job, without a process of cloudtune."""
        can_run = bool(self.job) and self.state in {"running", "unknown"}
        return can_run and self.mode == "managed"

    @property
    def has_new_limits(self) -> bool:
        """Whether its limits have changed since it ended, so that it is to be resumed with them."""
        return self.state in FINAL_JOB_STATES and changed_since(self.changes, self.ended)

    def elapsed(self, until: float) -> float:
        """Return the seconds that the job has run.

        A managed job continues at its service whether or not a process follows it, so all time
        since its start counts. A driven job runs only while a process of cloudtune runs it, so the
        time between a crash and `resume` does not count.

        Args:
            until: Now while a process runs the job, else the time of its end or last event.
        """
        if self.started is None or self.process_started is None:
            return 0.0
        if self.mode == "managed":
            return max(0.0, until - self.started)
        return self.earlier_seconds + max(0.0, until - self.process_started)


@dataclass(frozen=True)
class RunRecord:
    """One run. All fields except the jobs are in the order of `RUN_COLUMNS`."""

    id: str
    created: float
    name: str
    study: dict[str, Any]
    file: str | None
    base: str
    jobs: tuple[JobRecord, ...]
    overrides: tuple[str, ...] | None = ()
    """The ``PATH=VALUE`` overrides of the study file; None if the study is not from a file."""


def to_row(record: RunRecord | JobRecord) -> list[Any]:
    """Return a run or a job as a row, in the order of its columns."""
    return [
        json.dumps(getattr(record, each.name)) if each.name in _JSON else getattr(record, each.name)
        for each in fields(record)
        if each.name != "jobs"
    ]


def choose_run(prefix: str, matches: Sequence[str]) -> str | None:
    """Return the one of some ids that a prefix names: itself, or a run before its confirmations."""
    if prefix in matches:
        return prefix
    shortest = min(matches, key=len)
    own = (f"{shortest}-confirm", f"{shortest}-ablate")
    others = [each for each in matches if each != shortest and not each.startswith(own)]
    return None if others else shortest


def parse_run(run_row: Sequence[Any], jobs: Sequence[JobRecord]) -> RunRecord:
    """Return a run from its row and its jobs.

    Raises:
        ValueError: If a row is damaged.
    """
    fields = dict(zip(RUN_COLUMNS, run_row, strict=True))
    overrides = _parse_json(fields["overrides"], list, type(None))
    fields["overrides"] = None if overrides is None else tuple(overrides)
    fields["study"] = _parse_json(fields["study"], dict)
    return RunRecord(**fields, jobs=tuple(jobs))


def parse_job(row: Sequence[Any]) -> JobRecord:
    """Return a job from its row, which may have more columns.

    Raises:
        ValueError: If the row is damaged.
    """
    run, provider, plan, state, reason, job, emulated, *times = row[: len(JOB_COLUMNS)]
    plan = _parse_json(plan, dict)
    return JobRecord(run, provider, plan, state, reason, job, bool(emulated), *times)


def _parse_json(text: str, *types: type) -> Any:
    value = json.loads(text)
    if not isinstance(value, types):
        raise ValueError(f"unexpected content {text[:30]!r}")
    return value
