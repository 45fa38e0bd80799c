"""The ledger: the local record of runs, written before each call that changes something.

Each state folder has one SQLite database. Runs and jobs are rows. The trials of a job are recorded
as a list of events to which events are only ever appended.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Self

from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger.connection import (
    connect,
    connect_read_only,
    ledger_errors,
    set_journal_mode,
    transaction,
)
from cloudtune.ledger.home import create_state_folder, list_run_folders, state_folder
from cloudtune.ledger.records import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    JobRecord,
    RunRecord,
    event_row,
    parse_events,
    parse_run,
    to_row,
)
from cloudtune.ledger.schema import create_or_migrate
from cloudtune.results.events import Event, RunJobState

_READ_BATCH = 500
"""Events that are read and parsed at a time."""
_MAX_SINGLE_INSERT = 32
"""Events that one statement adds, without the cost of an explicit transaction."""
_INSERT_EVENTS = "INSERT INTO events (run, provider, seq, number, kind, body) VALUES "
_EVENT = "(?,?,?,?,?,?)"


class Ledger:
    """The record of the runs in one state folder. One thread at a time may use it.

    A ledger in a read-only folder can be read.

    Raises:
        LedgerError: If the folder is not writable, or the database is damaged or of a newer
            version; from every method if the database cannot be read or written.
        UsageError: If there is no ledger and ``create`` is false.
    """

    def __init__(self, folder: Path | None = None, *, create: bool = False) -> None:
        """Open the ledger of a state folder, by default the one of the working folder.

        ``create`` creates the folder and the ledger if necessary.
        """
        self.folder = folder = folder or state_folder()
        self._last_numbers: dict[tuple[str, str], int] = {}
        self._path = path = folder / "ledger.db"
        new = not path.exists()
        if new and not create:
            raise UsageError(self._no_runs_message())
        try:
            if create or os.access(folder, os.W_OK):
                create_state_folder(folder)
                self._db = connect(path)
            else:
                self._db = connect_read_only(path)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LedgerError(f"cannot use the state folder {folder}: {reason}") from error
        try:
            with ledger_errors(self._path):
                if new:
                    set_journal_mode(self._db, folder)
                self._db.execute("PRAGMA synchronous=NORMAL")
                create_or_migrate(self._db, path, new=new)
        except LedgerError:
            self._db.close()
            raise

    def _no_runs_message(self) -> str:
        folders = list_run_folders(self.folder)
        if not folders:
            return f"no runs in {self.folder}; start one with `cloudtune run STUDY`"
        problem, effect = "is missing", "starts a new one"
        if self._path.exists():
            problem, effect = "is empty", "uses it as it is"
        return (
            f"the ledger {self._path} {problem}, but there are folders of runs "
            f"({_abbreviate(folders)}); restore the ledger from a backup, or `cloudtune run STUDY` "
            f"{effect}"
        )

    def __enter__(self) -> Self:
        """Return the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Generator[None]:
        with ledger_errors(self._path):
            if durable:
                self._db.execute("PRAGMA synchronous=FULL")
            try:
                with transaction(self._db):
                    yield
            finally:
                if durable:
                    self._db.execute("PRAGMA synchronous=NORMAL")

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        with ledger_errors(self._path):
            return self._db.execute(statement, values).fetchall()

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run's files; it may not exist yet."""
        return self.folder / "runs" / run

    def job_folder(self, run: str, provider: str) -> Path:
        """Return the folder of a job's files; it may not exist yet."""
        return self.run_folder(run) / provider

    def create_run(self, record: RunRecord) -> None:
        """Add a run and its jobs; they are on disk on return.

        Raises:
            UsageError: If the run exists.
        """
        with self._transaction(durable=True):
            self.require_new(record.id)
            self._insert("runs", RUN_COLUMNS, record)
            for job in record.jobs:
                self._insert("jobs", JOB_COLUMNS, job)

    def _insert(self, table: str, columns: Sequence[str], record: RunRecord | JobRecord) -> None:
        marks = ",".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})"  # noqa: S608
        self._db.execute(statement, to_row(record))

    def require_new(self, run: str) -> None:
        """Check that there is no run with this ID.

        Raises:
            UsageError: If the run exists, because its plan was run before.
        """
        if self.has_run(run):
            raise UsageError(
                f"run {run} exists, since this plan was run before; resume it with: "
                f"cloudtune resume {run}"
            )

    def has_run(self, run: str) -> bool:
        """Return whether a run with exactly this id exists."""
        return bool(self._execute("SELECT 1 FROM runs WHERE id=?", run))

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, newest first, in the order of their creation."""
        return [run for (run,) in self._execute("SELECT id FROM runs ORDER BY rowid DESC")]

    def unknown_folders(self) -> list[str]:
        """Return the names of the run folders that the ledger does not know."""
        return sorted({*list_run_folders(self.folder)} - {*self.run_ids()})

    def find_run_id(self, prefix: str | None = None) -> str:
        """Return the id that is or starts with ``prefix``, or the latest id without a prefix.

        Raises:
            UsageError: If no run matches, or more than one.
        """
        ids = self.run_ids()
        if not ids:
            raise UsageError(self._no_runs_message())
        if prefix is None:
            return ids[0]
        matches = [run for run in ids if run.startswith(prefix)]
        if prefix in matches:
            return prefix
        if not matches:
            hint = "list the runs with `cloudtune status`"
            if self.run_folder(prefix).is_dir():
                hint = f"it has a folder, but is not in {self._path}"
            raise UsageError(f"run {prefix!r} not found; {hint}")
        if len(matches) > 1:
            raise UsageError(f"{prefix!r} matches several runs: {', '.join(matches)}")
        return matches[0]

    def run(self, prefix: str | None = None) -> RunRecord:
        """Return the run whose id is or starts with ``prefix``, or the latest without a prefix.

        Raises:
            UsageError: If no run matches, or more than one.
            LedgerError: If the record is damaged.
        """
        run = self.find_run_id(prefix)
        (row,) = self._select("runs", RUN_COLUMNS, "id", run) or [None]
        jobs = self._select("jobs", JOB_COLUMNS, "run", run)
        if row is None or not jobs:
            raise self.damage_error(run, "part of its record is missing")
        try:
            return parse_run(row, jobs)
        except (TypeError, ValueError) as error:
            raise self.damage_error(run, f"its record cannot be read ({error})") from error

    def _select(self, table: str, columns: Sequence[str], key: str, run: str) -> list[Any]:
        names = ",".join(columns)
        return self._execute(f"SELECT {names} FROM {table} WHERE {key}=? ORDER BY rowid", run)  # noqa: S608

    def damage_error(self, run: str, problem: str) -> LedgerError:
        """Return the error for a run whose record is damaged."""
        return LedgerError(
            f"run {run} is damaged in the ledger {self._path}: {problem}. Restore the ledger from "
            f"a backup, or remove the run with `cloudtune clean {run}`; its trials' files are in "
            f"{self.run_folder(run)}"
        )

    def update_study(
        self,
        run: str,
        study: dict[str, Any],
        plans: dict[str, dict[str, Any]],
        overrides: Sequence[str] | None,
    ) -> None:
        """Replace a run's study, plans and overrides, to raise limits; on disk on return."""
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE runs SET study=?, overrides=? WHERE id=?",
                (json.dumps(study), json.dumps(overrides), run),
            )
            for provider, plan in plans.items():
                self._db.execute(
                    "UPDATE jobs SET plan=? WHERE run=? AND provider=?",
                    (json.dumps(plan), run, provider),
                )

    def begin_job(self, run: str, provider: str) -> None:
        """Record that this process starts or resumes a job; on disk on return.

        Raises:
            LedgerError: If the last event of the job is damaged.
        """
        now = time.time()
        before_last = max(0, self.last_event_number(run, provider) - 1)
        last = next((event.time for _, event in self.events(run, provider, before_last)), None)
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE jobs SET state='running', reason='', "
                "spent=spent + coalesce(ran, max(0, coalesce(coalesce(ended, ?) - begun, 0))), "
                "started=coalesce(started, ?), begun=?, ended=NULL, ran=NULL "
                "WHERE run=? AND provider=?",
                (last, now, now, run, provider),
            )

    def set_job_name(self, run: str, provider: str, job: str) -> None:
        """Record the service's name for a job; on disk on return."""
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE jobs SET job=? WHERE run=? AND provider=?", (job, run, provider)
            )

    def end_job(
        self,
        run: str,
        provider: str,
        state: RunJobState,
        reason: str,
        *,
        ended: float | None = None,
        ran: float | None = None,
    ) -> None:
        """Record the end of a job, by default now, and its seconds in this process, if known.

        A monotonic clock measured the seconds.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE jobs SET state=?, reason=?, ended=?, ran=? WHERE run=? AND provider=?",
                (state, reason, ended or time.time(), ran, run, provider),
            )

    def last_event_number(self, run: str, provider: str) -> int:
        """Return the sequence number of a job's last event, or 0 if it has no events."""
        ((seq,),) = self._execute(
            "SELECT coalesce(max(seq), 0) FROM events WHERE run=? AND provider=?", run, provider
        )
        return int(seq)

    def append(self, run: str, provider: str, *events: Event) -> None:
        """Add events to a job atomically. Only the holder of the run's lock may call this."""
        job = (run, provider)
        if job not in self._last_numbers:
            self._last_numbers[job] = self.last_event_number(run, provider)
        rows = [
            (*job, seq, *event_row(event))
            for seq, event in enumerate(events, start=self._last_numbers[job] + 1)
        ]
        if 0 < len(rows) <= _MAX_SINGLE_INSERT:
            self._execute(
                _INSERT_EVENTS + ",".join([_EVENT] * len(rows)), *chain.from_iterable(rows)
            )
        else:
            with self._transaction():
                self._db.executemany(_INSERT_EVENTS + _EVENT, rows)
        self._last_numbers[job] += len(rows)

    def events(self, run: str, provider: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield a job's events with their sequence numbers, in order, starting after ``after``.

        Raises:
            LedgerError: If an event is missing or damaged.
        """
        last = self.last_event_number(run, provider)
        for seq, event in self._read(run, provider, after, "seq"):
            after += 1
            if seq != after:
                raise self.damage_error(run, f"event {after} on {provider} is missing")
            yield seq, event
        if after < last:
            raise self.damage_error(run, f"event {after + 1} on {provider} is missing")

    def events_by_trial(self, run: str, provider: str) -> Iterator[Event]:
        """Yield a job's events sorted by trial number, then by sequence number.

        Events are read in batches, so memory use does not depend on their number.

        Raises:
            LedgerError: If an event is missing or damaged.
        """
        count, last = 0, self.last_event_number(run, provider)
        for seq, event in self._read(run, provider, 0, "number, seq"):
            count, last = count + 1, max(last, seq)
            yield event
        if count != last:
            raise self.damage_error(run, f"missing events on {provider}: {last - count}")

    def _read(self, run: str, provider: str, after: int, order: str) -> Iterator[tuple[int, Event]]:
        with ledger_errors(self._path):
            rows = self._db.execute(
                "SELECT seq, kind, body FROM events WHERE run=? AND provider=? AND seq>? "  # noqa: S608
                f"ORDER BY {order}",
                (run, provider, after),
            )
            while batch := rows.fetchmany(_READ_BATCH):
                try:
                    events = parse_events(batch)
                except ValueError as error:
                    raise self.damage_error(run, f"on {provider}, {error}") from error
                yield from events

    def remove_run(self, run: str) -> None:
        """Remove a run from the ledger; its files remain."""
        with self._transaction(durable=True):
            for table, column in (("events", "run"), ("jobs", "run"), ("runs", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column}=?", (run,))  # noqa: S608


def _abbreviate(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
