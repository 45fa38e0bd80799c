"""Runs and jobs as the ledger stores them, and their conversion to and from database rows."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.errors import LedgerError
from cloudtune.results.event_checks import event_problem
from cloudtune.results.events import EVENT_TYPES, Event, RunJobState
from cloudtune.study.schema import Mode

_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_ALPHABET = f"{_LETTERS}23456789"
RUN_COLUMNS = ("id", "created", "name", "study", "file", "base", "overrides")
JOB_COLUMNS = (
    *("run", "provider", "plan", "state", "reason", "job", "emulated"),
    *("started", "begun", "spent", "ended"),
)


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

    @property
    def mode(self) -> Mode:
        """The mode of the job's plan."""
        mode: Mode = self.plan["mode"]
        return mode

    @property
    def attached(self) -> str | None:
        """The address of the job, if it was started elsewhere."""
        address: str | None = self.plan.get("facts", {}).get("attached")
        return address

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


def new_run_id() -> str:
    """Return a short random id that is easy to read aloud and to type.

    It begins with a letter, so that neither a command nor YAML reads it as a number.
    """
    return secrets.choice(_LETTERS) + "".join(secrets.choice(_ALPHABET) for _ in range(7))


def to_row(record: RunRecord | JobRecord) -> list[Any]:
    """Return a run or a job as a row, in the order of its columns."""
    return [
        json.dumps(value) if name in {"study", "overrides", "plan"} else value
        for name, value in vars(record).items()
        if name != "jobs"
    ]


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


def event_row(event: Event) -> tuple[int, str, str]:
    """Return an event as number, kind and body.

    Raises:
        LedgerError: If it is invalid. Every event that is recorded passes through here.
    """
    if problem := event_problem(event):
        raise LedgerError(f"an event of trial {event.number} was not recorded: {problem}")
    return event.number, type(event).__name__.lower(), json.dumps(vars(event))


def parse_events(rows: Sequence[tuple[int, str, bytes]]) -> list[tuple[int, Event]]:
    """Return events with their sequence numbers, from rows of sequence number, kind and body.

    All bodies are decoded in one call, which is faster and makes equal keys one object. Values are
    not validated: their checksums show that they are what was written.

    Raises:
        ValueError: If a row is damaged; the message names the event.
    """
    try:
        bodies = json.loads(b"[%s]" % b",".join([body for _, _, body in rows]))
        return [
            (row[0], EVENT_TYPES[row[1]](**body)) for row, body in zip(rows, bodies, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        if len(rows) > 1:
            return [event for row in rows for event in parse_events([row])]
        raise ValueError(f"event {rows[0][0]} cannot be read ({error})") from error
