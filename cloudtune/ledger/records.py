"""Runs and jobs as the ledger keeps them, and how they and events become rows and come back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.results.events import KINDS, Event, Standing

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
RUN_COLUMNS = ("id", "created", "name", "study", "file", "base", "overrides")
JOB_COLUMNS = (
    *("run", "provider", "plan", "state", "reason", "job", "emulated"),
    *("started", "begun", "spent", "ended"),
)


@dataclass(frozen=True)
class JobRecord:
    """One job of a run as the ledger has it; times are epoch seconds."""

    run: str
    provider: str
    plan: dict[str, Any]
    state: Standing
    reason: str
    job: str | None
    """What the service calls the job, once it has it."""
    emulated: bool
    started: float | None = None
    begun: float | None = None
    """When the process that runs it now, or ran it last, took it up."""
    spent: float = 0.0
    """Seconds that it ran in the processes before that one."""
    ended: float | None = None

    def elapsed(self, until: float) -> float:
        """Return for how many seconds the job has run, looked at from a moment of the last process.

        A managed job runs on at its service whoever follows it: all time since it began counts. A
        driven one runs while a process of cloudtune runs it: the time from a crash to `resume` does
        not count.

        Args:
            until: Now, while a process runs the job; else when it ended or was last heard of.
        """
        if self.started is None or self.begun is None:
            return 0.0
        if self.plan["mode"] == "managed":
            return max(0.0, until - self.started)
        return self.spent + max(0.0, until - self.begun)


@dataclass(frozen=True)
class RunRecord:
    """One run as the ledger has it."""

    id: str
    created: float
    name: str
    study: dict[str, Any]
    file: str | None
    base: str
    jobs: tuple[JobRecord, ...]
    overrides: tuple[str, ...] | None = ()
    """The ``PATH=VALUE`` words with which the study was read from its file; None if it was not."""


def new_run_id() -> str:
    """Return a short random id that is easy to read aloud and to type."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def run_row(record: RunRecord) -> list[Any]:
    """Return a run as its row in the ledger."""
    study, overrides = json.dumps(record.study), json.dumps(record.overrides)
    return [record.id, record.created, record.name, study, record.file, record.base, overrides]


def job_row(job: JobRecord) -> list[Any]:
    """Return a job as its row in the ledger."""
    return [
        *(job.run, job.provider, json.dumps(job.plan), job.state, job.reason, job.job),
        *(job.emulated, job.started, job.begun, job.spent, job.ended),
    ]


def record_of(run: Sequence[Any], jobs: Sequence[Sequence[Any]]) -> RunRecord:
    """Return a run from its row and those of its jobs.

    Raises:
        ValueError: If one of them is damaged.
    """
    held = dict(zip(RUN_COLUMNS, run, strict=True))
    words = _json(held["overrides"], list, type(None))
    held["overrides"] = None if words is None else tuple(words)
    held["study"] = _json(held["study"], dict)
    return RunRecord(**held, jobs=tuple(map(_job_of, jobs)))


def _job_of(row: Sequence[Any]) -> JobRecord:
    held = dict(zip(JOB_COLUMNS, row, strict=True))
    held["plan"] = _json(held["plan"], dict)
    held["emulated"] = bool(held["emulated"])
    return JobRecord(**held)


def _json(text: str, *kinds: type) -> Any:
    found = json.loads(text)
    if not isinstance(found, kinds):
        raise ValueError(f"{text[:30]!r} is not what belongs there")
    return found


def event_row(event: Event) -> tuple[int, str, str]:
    """Return an event as its row in the ledger, behind what says where it belongs."""
    return event.number, type(event).__name__.lower(), json.dumps(vars(event))


def events_of(rows: Sequence[tuple[int, str, str]]) -> list[tuple[int, Event]]:
    """Return events with their numbers from rows of number, kind and body.

    Many are decoded at one time: that is quicker, and equal keys become one object.

    Raises:
        ValueError: If one of them is damaged; the message says which.
    """
    try:
        bodies = json.loads(f"[{','.join([body for _, _, body in rows])}]")
        return [(row[0], KINDS[row[1]](**body)) for row, body in zip(rows, bodies, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        if len(rows) > 1:
            return [event for row in rows for event in events_of([row])]
        raise ValueError(f"event {rows[0][0]} cannot be read ({error})") from error
