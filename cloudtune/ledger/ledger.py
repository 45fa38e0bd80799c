"""The ledger: the local record of runs, written before each call that changes something.

Each state folder has one SQLite database. Runs and jobs are rows. The trials of a job are recorded
as a list of events to which events are only ever appended.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from cloudtune.errors import LedgerError, UsageError
from cloudtune.ledger.checksums import RUN_ITSELF, Tally
from cloudtune.ledger.connection import (
    connect,
    connect_read_only,
    copy_to_memory,
    ledger_errors,
    set_journal_mode,
    transaction,
)
from cloudtune.ledger.event_table import DamagedEventsError, EventTable
from cloudtune.ledger.home import (
    create_state_folder,
    is_folder_name,
    ledger_file,
    list_run_folders,
    no_runs_message,
    state_folder,
    subfolder,
    unusable_message,
)
from cloudtune.ledger.record_table import (
    DamagedRecordError,
    change_record,
    list_providers,
    list_runs,
    read_record,
    write_record_checksum,
)
from cloudtune.ledger.records import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    JobRecord,
    RunRecord,
    choose_run,
    parse_job,
    parse_run,
    to_row,
)
from cloudtune.ledger.schema import create_or_migrate, is_current
from cloudtune.results.events import Event, RunJobState

_TABLES = ("events", "jobs", "checksums", "proposals")
"""The tables whose rows belong to a run, besides that of the runs."""
OnDamage = Callable[[LedgerError], None]
"""Receives a report of damage. If it raises, reading ends; else what is readable follows."""


def raise_damage(error: LedgerError) -> None:
    """Raise the error."""
    raise error


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
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._path = path = ledger_file(folder)
        new, in_memory = not path.exists(), False
        if new and not create:
            raise UsageError(no_runs_message(folder, self._path))
        try:
            if create or os.access(folder, os.W_OK):
                create_state_folder(folder)
                self._db = connect(path)
            else:
                self._db = connect_read_only(path)
                if in_memory := not is_current(self._db):
                    self._db = copy_to_memory(self._db)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(unusable_message(folder, error)) from error
        try:
            with ledger_errors(self._path):
                if new:
                    set_journal_mode(self._db, folder)
                self._db.execute("PRAGMA synchronous=NORMAL")
                create_or_migrate(self._db, path, new=new, in_memory=in_memory)
        except LedgerError:
            self._db.close()
            raise

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
    def atomic(self, *, durable: bool = False) -> Generator[None]:
        """Make the changes in the block at its end, or none of them; durable ones are on disk."""
        with ledger_errors(self._path):
            durable = durable and not self._db.in_transaction  # it cannot be set inside of one
            if durable:
                self._db.execute("PRAGMA synchronous=FULL")
            try:
                with transaction(self._db):
                    yield
            finally:
                if durable:
                    self._db.execute("PRAGMA synchronous=NORMAL")

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Execute one statement, for the modules of this package, and return its rows."""
        with ledger_errors(self._path):
            return self._db.execute(statement, values).fetchall()

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run's files; it may not exist yet."""
        return subfolder(self.folder / "runs", run)

    def job_folder(self, run: str, provider: str) -> Path:
        """Return the folder of a job's files; it may not exist yet."""
        return subfolder(self.run_folder(run), provider)

    def create_run(self, record: RunRecord) -> None:
        """Add a run and its jobs; they are on disk on return.

        Raises:
            UsageError: If the run exists.
        """
        with self.atomic(durable=True):
            self.require_new(record.id)
            self._insert("runs", RUN_COLUMNS, record)
            for job in record.jobs:
                self._insert("jobs", JOB_COLUMNS, job)
                write_record_checksum(self._db, record.id, job.provider)
            write_record_checksum(self._db, record.id, RUN_ITSELF)

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
        return bool(self.execute("SELECT 1 FROM runs WHERE id=?", run))

    def require_run(self, run: str) -> None:
        """Raise a `UsageError` if another process has removed a run."""
        if run not in self.run_ids():
            raise UsageError(f"run {run} was removed by another process")

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, newest first; those without a record come last."""
        return [run for runs in self._list_runs() for run in runs]

    def _list_runs(self) -> tuple[list[str], list[str]]:
        with ledger_errors(self._path):
            return list_runs(self._db)

    def unknown_folders(self) -> list[str]:
        """Return the names of the run folders that the ledger does not know."""
        return sorted({*list_run_folders(self.folder)} - {*self.run_ids()})

    def find_run_id(self, prefix: str | None = None) -> str:
        """Return the id that is or starts with ``prefix``, or the latest id without a prefix.

        Raises:
            UsageError: If no run matches, or more than one besides its confirmations.
        """
        ids, missing = self._list_runs()
        if not ids and not missing:
            raise UsageError(no_runs_message(self.folder, self._path))
        if prefix is None:
            if missing:
                problem = "its record is missing, so the latest run is unknown; name a run"
                raise self.damage_error(missing[0], problem)
            return ids[0]
        ids += missing
        matches = [run for run in ids if run.startswith(prefix)]
        if not matches:
            hint = "list the runs with `cloudtune status`"
            if is_folder_name(prefix) and self.run_folder(prefix).is_dir():
                hint = f"it has a folder, but is not in {self._path}"
            raise UsageError(f"run {prefix!r} not found; {hint}")
        if (run := choose_run(prefix, matches)) is None:
            raise UsageError(f"{prefix!r} matches several runs: {', '.join(matches)}")
        return run

    def run(self, prefix: str | None = None, *, on_damage: OnDamage = raise_damage) -> RunRecord:
        """Return the run whose id is or starts with ``prefix``, or the latest without a prefix.

        If ``on_damage`` returns, the run lacks the jobs that cannot be read.

        Raises:
            UsageError: If no run matches, or more than one.
            LedgerError: If the record is damaged, unless ``on_damage`` accepts that.
        """
        run = self.find_run_id(prefix)

        def report(error: DamagedRecordError) -> None:
            on_damage(self.damage_error(run, str(error)))

        with ledger_errors(self._path):
            providers = list_providers(self._db, run)
            for provider in providers:
                self.job_folder(run, provider)  # raises an error for a name that leads elsewhere
            jobs = [
                job
                for provider in providers
                if (job := read_record(self._db, run, provider, parse_job, report))
            ]
            record = read_record(
                self._db, run, RUN_ITSELF, lambda row: parse_run(row, jobs), report
            )
        if record is None or not jobs:
            raise self.damage_error(run, "part of its record is missing")
        return record

    def damage_error(self, run: str, problem: str) -> LedgerError:
        """Return the error for a damaged run; raise a `UsageError` if it was just removed."""
        with suppress(LedgerError):
            self.require_run(run)
        return LedgerError(
            f"run {run} is damaged in the ledger {self._path}: {problem}. Restore the ledger from "
            f"a backup, or remove the run with `cloudtune clean {run}`; its trials' files are in "
            f"{self.folder / 'runs' / run}"
        )

    def update_study(
        self,
        run: str,
        study: dict[str, Any],
        plans: dict[str, dict[str, Any]],
        overrides: Sequence[str] | None,
    ) -> None:
        """Replace a run's study, plans and overrides; the states of its jobs stay; durable."""
        with self.atomic(durable=True):
            new = json.dumps(study), json.dumps(overrides)
            self._change(run, RUN_ITSELF, "study=?, overrides=?", *new)
            for provider, plan in plans.items():
                self._change(run, provider, "plan=?", json.dumps(plan))

    def _change(self, run: str, provider: str, changes: str, *values: Any) -> None:
        try:
            change_record(self._db, run, provider, changes, *values)
        except DamagedRecordError as error:
            raise self.damage_error(run, str(error)) from error

    def begin_job(self, run: str, provider: str) -> None:
        """Record that this process starts or resumes a job; on disk on return.

        Raises:
            LedgerError: If the last event of the job is damaged.
        """
        now = time.time()
        before_last = max(0, self.last_event_number(run, provider) - 1)
        last = next((event.time for _, event in self.events(run, provider, before_last)), None)
        with self.atomic(durable=True):
            self._change(
                run,
                provider,
                "state='running', reason='', "
                "spent=spent + coalesce(ran, max(0, coalesce(coalesce(ended, ?) - begun, 0))), "
                "started=coalesce(started, ?), begun=?, ended=NULL, ran=NULL",
                *(last, now, now),
            )

    def set_job_name(self, run: str, provider: str, job: str) -> None:
        """Record the service's name for a job; on disk on return."""
        with self.atomic(durable=True):
            self._change(run, provider, "job=?", job)

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
        with self.atomic():
            changes = "state=?, reason=?, ended=?, ran=?"
            self._change(run, provider, changes, state, reason, ended or time.time(), ran)

    def last_event_number(self, run: str, provider: str) -> int:
        """Return the sequence number of a job's last event, or 0 if it has no events.

        Raises:
            LedgerError: If it is unknown.
        """
        with self._event_errors(run, provider):
            return EventTable(self._db, run, provider).require_tally().events

    def has_events(self, run: str, provider: str) -> bool:
        """Return whether a job has events, as far as they can be read."""
        try:
            return self.last_event_number(run, provider) > 0
        except LedgerError:
            where = "WHERE run=? AND provider=? LIMIT 1"
            return bool(self.execute(f"SELECT 1 FROM events {where}", run, provider))  # noqa: S608

    def append(self, run: str, provider: str, *events: Event) -> None:
        """Add events to a job atomically. Only the holder of the run's lock may call this."""
        job = (run, provider)
        table = EventTable(self._db, run, provider)
        with self._event_errors(run, provider):
            tally = self._tallies.get(job) or table.require_tally()
            self._tallies[job] = table.append(events, tally)

    def events(self, run: str, provider: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield a job's events with their sequence numbers, in order, starting after ``after``.

        Raises:
            LedgerError: If an event is missing or damaged.
        """
        with self._event_errors(run, provider):
            yield from EventTable(self._db, run, provider).read(after)

    def events_by_trial(
        self, run: str, provider: str, on_damage: OnDamage = raise_damage
    ) -> Iterator[list[Event]]:
        """Yield a job's events trial by trial, by trial number.

        Events are read in batches, so memory use does not depend on their number. If ``on_damage``
        returns, only trials that are certainly intact are among them.

        Raises:
            LedgerError: If an event is missing or damaged, unless ``on_damage`` accepts that.
        """

        def report(error: DamagedEventsError) -> None:
            on_damage(self.damage_error(run, f"on {provider}, {error}"))

        with self._event_errors(run, provider):
            yield from EventTable(self._db, run, provider).read_by_trial(report)

    @contextmanager
    def _event_errors(self, run: str, provider: str) -> Generator[None]:
        try:
            with ledger_errors(self._path):
                yield
        except DamagedEventsError as error:
            raise self.damage_error(run, f"on {provider}, {error}") from error

    def remove_run(self, run: str) -> None:
        """Remove a run from the ledger; its files remain."""
        self._tallies.clear()
        with self.atomic(durable=True):
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table} WHERE run=?", (run,))  # noqa: S608
            self._db.execute("DELETE FROM runs WHERE id=?", (run,))
