"""The ledger: the local record of runs, written before each call that changes something.

One SQLite file a state folder. Runs and jobs are rows; what happens to a job's trials is a list of
events that is only ever added to.
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
from cloudtune.ledger.home import create_state_folder, list_run_folders
from cloudtune.ledger.records import (
    JOB_COLUMNS,
    RUN_COLUMNS,
    RunRecord,
    event_row,
    job_row,
    parse_events,
    parse_run,
    run_row,
)
from cloudtune.ledger.schema import create_or_migrate
from cloudtune.results.events import Event, RunJobState

_AT_ONCE = 500
"""Events that are read, and made sense of, at one time."""
_A_FEW = 32
"""Events that are added by one statement, which is a step of its own and costs least."""
_ADD = "INSERT INTO events (run, provider, seq, number, kind, body) VALUES "
_EVENT = "(?,?,?,?,?,?)"


class Ledger:
    """The record of the runs in one state folder. One thread at a time may use it.

    In a folder that cannot be written it can be read all the same.

    Raises:
        LedgerError: If the folder cannot be written, or the file is damaged or of a newer version;
            from each method if the file cannot be read or written at that moment.
        UsageError: If there is no ledger and none is to be made.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        self._last: dict[tuple[str, str], int] = {}
        self._path = path = folder / "ledger.db"
        new = not path.exists()
        if new and not create:
            raise UsageError(self._no_runs())
        try:
            if create or os.access(folder, os.W_OK):
                create_state_folder(folder)
                self._db = connect(path)
            else:
                self._db = connect_read_only(path)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise LedgerError(f"the state folder {folder} cannot be used: {why}") from error
        try:
            with ledger_errors(self._path):
                if new:
                    set_journal_mode(self._db, folder)
                self._db.execute("PRAGMA synchronous=NORMAL")
                create_or_migrate(self._db, path, new=new)
        except LedgerError:
            self._db.close()
            raise

    def _no_runs(self) -> str:
        left = list_run_folders(self.folder)
        if left:
            what, then = "is gone", "starts a new one"
            if self._path.exists():
                what, then = "knows no run", "goes on with this one"
            return (
                f"the ledger {self._path} {what}, though there are folders of runs beside it "
                f"({_some(left)}); put back what was there, or `cloudtune run STUDY` {then}"
            )
        return f"there are no runs in {self.folder}; `cloudtune run STUDY` starts one"

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
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
        """Return the folder of a run's files; it need not exist yet."""
        return self.folder / "runs" / run

    def job_folder(self, run: str, provider: str) -> Path:
        """Return the folder of one job's files; it need not exist yet."""
        return self.run_folder(run) / provider

    def create_run(self, record: RunRecord) -> None:
        """Write a new run with its jobs; it is on disk when this returns.

        Raises:
            UsageError: If the run exists: its plan was submitted before.
        """
        with self._transaction(durable=True):
            if self.has_run(record.id):
                raise UsageError(
                    f"run {record.id} exists: this plan was run before; "
                    f"`cloudtune resume {record.id}` goes on with it"
                )
            self._insert("runs", RUN_COLUMNS, run_row(record))
            for job in record.jobs:
                self._insert("jobs", JOB_COLUMNS, job_row(job))

    def _insert(self, table: str, columns: Sequence[str], row: Sequence[Any]) -> None:
        marks = ",".join("?" * len(columns))
        self._db.execute(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", row)  # noqa: S608 - names of ours

    def has_run(self, run: str) -> bool:
        """Tell whether there is a run with exactly this id."""
        return bool(self._execute("SELECT 1 FROM runs WHERE id=?", run))

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, the newest first, whatever the clock said of them."""
        return [run for (run,) in self._execute("SELECT id FROM runs ORDER BY rowid DESC")]

    def unknown_folders(self) -> list[str]:
        """Return the names of the runs' folders of which the ledger knows nothing."""
        return sorted({*list_run_folders(self.folder)} - {*self.run_ids()})

    def find_run_id(self, prefix: str | None = None) -> str:
        """Return the id of the run with this id or unique start of an id; the latest if left out.

        Raises:
            UsageError: If there is none, or more than one.
        """
        ids = self.run_ids()
        if not ids:
            raise UsageError(self._no_runs())
        if prefix is None:
            return ids[0]
        fitting = [run for run in ids if run.startswith(prefix)]
        if prefix in fitting:
            return prefix
        if not fitting:
            hint = "`cloudtune status` lists the runs"
            if (self.run_folder(prefix)).is_dir():
                hint = f"{self._path} does not know it, though it has a folder beside it"
            raise UsageError(f"there is no run {prefix!r}; {hint}")
        if len(fitting) > 1:
            raise UsageError(f"{prefix!r} fits several runs: {', '.join(fitting)}")
        return fitting[0]

    def run(self, prefix: str | None = None) -> RunRecord:
        """Return the run with this id or unique start of an id; the latest when left out.

        Raises:
            UsageError: If there is none, or more than one.
            LedgerError: If what is written of it is damaged.
        """
        return self._record(self.find_run_id(prefix))

    def _record(self, run: str) -> RunRecord:
        (row,) = self._select("runs", RUN_COLUMNS, "id", run) or [None]
        jobs = self._select("jobs", JOB_COLUMNS, "run", run)
        if row is None or not jobs:
            raise self.damage_error(run, "a part of its record is gone")
        try:
            return parse_run(row, jobs)
        except (TypeError, ValueError) as error:
            raise self.damage_error(run, f"its record cannot be read ({error})") from error

    def _select(self, table: str, columns: Sequence[str], key: str, run: str) -> list[Any]:
        names = ",".join(columns)
        return self._execute(f"SELECT {names} FROM {table} WHERE {key}=? ORDER BY rowid", run)  # noqa: S608 - names of ours

    def damage_error(self, run: str, what: str) -> LedgerError:
        """Return what is raised where something that the ledger holds of a run makes no sense."""
        return LedgerError(
            f"run {run} is damaged in the ledger {self._path}: {what}. Put back a copy of the "
            f"ledger from before, or remove the run by `cloudtune clean {run}`; what its trials "
            f"left is in {self.run_folder(run)}"
        )

    def update_study(
        self,
        run: str,
        study: dict[str, Any],
        plans: dict[str, dict[str, Any]],
        overrides: Sequence[str] | None,
    ) -> None:
        """Replace a run's study and plans, for raised limits, and the words that made it so."""
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
        """Note that this process starts a job or goes on with it; on disk when this returns.

        Raises:
            LedgerError: If the last event of the job is damaged.
        """
        now = time.time()
        last = self._last_event_time(run, provider)
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE jobs SET state='running', reason='', "
                "spent=spent + coalesce(ran, max(0, coalesce(coalesce(ended, ?) - begun, 0))), "
                "started=coalesce(started, ?), begun=?, ended=NULL, ran=NULL "
                "WHERE run=? AND provider=?",
                (last, now, now, run, provider),
            )

    def _last_event_time(self, run: str, provider: str) -> float | None:
        last = self.last_event_number(run, provider)
        return next((event.time for _, event in self.events(run, provider, max(0, last - 1))), None)

    def set_job_name(self, run: str, provider: str, job: str) -> None:
        """Note what the service calls the job; on disk when this returns."""
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
        """Note how a job ended.

        Args:
            run: The job's run.
            provider: The job's provider.
            state: How it ended.
            reason: Why.
            ended: When; now, if not said otherwise.
            ran: How many seconds this process ran it, by a clock that nobody can set.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE jobs SET state=?, reason=?, ended=?, ran=? WHERE run=? AND provider=?",
                (state, reason, ended or time.time(), ran, run, provider),
            )

    def last_event_number(self, run: str, provider: str) -> int:
        """Return the number of a job's last event, 0 if it has none."""
        ((seq,),) = self._execute(
            "SELECT coalesce(max(seq), 0) FROM events WHERE run=? AND provider=?", run, provider
        )
        return int(seq)

    def append(self, run: str, provider: str, *events: Event) -> None:
        """Add events to a job, in one step. Only the process that holds the run may."""
        job = (run, provider)
        if job not in self._last:
            self._last[job] = self.last_event_number(run, provider)
        rows = [
            (*job, seq, *event_row(event))
            for seq, event in enumerate(events, start=self._last[job] + 1)
        ]
        if 0 < len(rows) <= _A_FEW:
            self._execute(_ADD + ",".join([_EVENT] * len(rows)), *chain.from_iterable(rows))
        else:
            with self._transaction():
                self._db.executemany(_ADD + _EVENT, rows)
        self._last[job] += len(rows)

    def events(self, run: str, provider: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield a job's events with their numbers, in order, from the one behind ``after`` on.

        Raises:
            LedgerError: If one is missing or damaged.
        """
        least = self.last_event_number(run, provider)
        for seq, event in self._read(run, provider, after, "seq"):
            after += 1
            if seq != after:
                raise self.damage_error(run, f"event {after} of its job on {provider} is gone")
            yield seq, event
        if after < least:
            raise self.damage_error(run, f"event {after + 1} of its job on {provider} is gone")

    def events_by_trial(self, run: str, provider: str) -> Iterator[Event]:
        """Yield a job's events in order of their trials' numbers, each trial's in their own order.

        That takes little memory, however many there are.

        Raises:
            LedgerError: If one is missing or damaged.
        """
        count, last = 0, self.last_event_number(run, provider)
        for seq, event in self._read(run, provider, 0, "number, seq"):
            count, last = count + 1, max(last, seq)
            yield event
        if count != last:
            raise self.damage_error(run, f"{last - count} events of its job on {provider} are gone")

    def _read(self, run: str, provider: str, after: int, order: str) -> Iterator[tuple[int, Event]]:
        with ledger_errors(self._path):
            rows = self._db.execute(
                "SELECT seq, kind, body FROM events WHERE run=? AND provider=? AND seq>? "  # noqa: S608 - an order of ours
                f"ORDER BY {order}",
                (run, provider, after),
            )
            while some := rows.fetchmany(_AT_ONCE):
                try:
                    found = parse_events(some)
                except ValueError as error:
                    raise self.damage_error(run, f"on {provider}, {error}") from error
                yield from found

    def remove_run(self, run: str) -> None:
        """Forget a run; its files stay."""
        with self._transaction(durable=True):
            for table, column in (("events", "run"), ("jobs", "run"), ("runs", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column}=?", (run,))  # noqa: S608


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
