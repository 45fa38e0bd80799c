"""The ledger: the local record of runs, written before each call that changes something.

One SQLite file a state folder. Runs and jobs are rows; what happens to a job's trials is a list of
events that is only ever added to.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cloudtune.errors import LedgerError, UsageError
from cloudtune.events import KINDS, Event, JobState
from cloudtune.ledger_file import choose_journal, connect, translated

VERSION = 1
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, created REAL NOT NULL, name TEXT NOT NULL, study TEXT NOT NULL,
    file TEXT, base TEXT NOT NULL, overrides TEXT NOT NULL
) STRICT;
CREATE TABLE jobs (
    run TEXT NOT NULL REFERENCES runs(id), provider TEXT NOT NULL, plan TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, job TEXT, emulated INTEGER NOT NULL,
    started REAL, begun REAL, spent REAL NOT NULL, ended REAL, PRIMARY KEY (run, provider)
) STRICT;
CREATE TABLE events (
    run TEXT NOT NULL, provider TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (run, provider, seq)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True)
class JobRecord:
    """One job of a run as the ledger has it; times are epoch seconds."""

    run: str
    provider: str
    plan: dict[str, Any]
    state: JobState
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


def state_folder(start: Path | None = None) -> Path:
    """Return the folder that holds cloudtune's state; it need not exist yet.

    That is ``CLOUDTUNE_HOME``, else ``.cloudtune`` in the nearest parent that has one, else here.
    Another user's does not count: what stands in a ledger is run.

    Raises:
        LedgerError: If there is none above, and the one here is another user's.
    """
    if home := os.environ.get("CLOUDTUNE_HOME"):
        return Path(home).expanduser().absolute()
    here = (start or Path.cwd()).absolute()
    found = [each for each in (here, *here.parents) if (each / ".cloudtune").is_dir()]
    for folder in found:
        if _is_ours(folder / ".cloudtune"):
            return folder / ".cloudtune"
    own = here / ".cloudtune"
    if here in found:
        raise LedgerError(
            f"{own} belongs to another user, whose runs you might start by it; go to another "
            f"folder, or set CLOUDTUNE_HOME={own} if you trust what it holds"
        )
    return own


def _is_ours(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


class Ledger:
    """The record of the runs in one state folder. Use one object a thread.

    Raises:
        LedgerError: If the folder cannot be written, or the file is damaged or of a newer version;
            from each method if the file cannot be read or written at that moment.
        UsageError: If there is no ledger and none is to be made.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        self._last: dict[tuple[str, str], int] = {}
        self._path = path = folder / "ledger.db"
        if not create and not path.exists():
            raise UsageError(f"there are no runs in {folder}; `cloudtune run STUDY` starts one")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
            self._db = connect(path)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"the state folder {folder} cannot be used: {error}") from error
        try:
            with translated(self._path):
                self._upgrade()
        except LedgerError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _upgrade(self) -> None:
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if found > VERSION:
            raise LedgerError(
                f"the ledger {self._path} was written by a newer cloudtune (version {found}, this "
                f"one reads up to {VERSION}); upgrade it, or set CLOUDTUNE_HOME to another folder"
            )
        if found < VERSION:
            choose_journal(self._db, self.folder)
        self._db.execute("PRAGMA synchronous=NORMAL")
        if found == VERSION:
            return
        with self._transaction():
            if int(self._db.execute("PRAGMA user_version").fetchone()[0]) < VERSION:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Generator[None]:
        with translated(self._path):
            if durable:
                self._db.execute("PRAGMA synchronous=FULL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if durable:
                    self._db.execute("PRAGMA synchronous=NORMAL")

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        with translated(self._path):
            return self._db.execute(statement, values).fetchall()

    def run_folder(self, run: str) -> Path:
        """Return the folder of a run's files; it need not exist yet."""
        return self.folder / "runs" / run

    def create_run(self, record: RunRecord) -> None:
        """Write a new run with its jobs; it is on disk when this returns.

        Raises:
            UsageError: If the run exists: its plan was submitted before.
        """
        with self._transaction(durable=True):
            if self.has(record.id):
                raise UsageError(
                    f"run {record.id} exists: this plan was run before; "
                    f"`cloudtune resume {record.id}` goes on with it"
                )
            self._db.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?,?)",
                (
                    record.id,
                    record.created,
                    record.name,
                    json.dumps(record.study),
                    record.file,
                    record.base,
                    json.dumps(record.overrides),
                ),
            )
            for job in record.jobs:
                self._db.execute(
                    "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        job.run,
                        job.provider,
                        json.dumps(job.plan),
                        job.state,
                        job.reason,
                        job.job,
                        job.emulated,
                        job.started,
                        job.begun,
                        job.spent,
                        job.ended,
                    ),
                )

    def has(self, run: str) -> bool:
        """Tell whether there is a run with exactly this id."""
        return bool(self._execute("SELECT 1 FROM runs WHERE id=?", run))

    def runs(self) -> list[RunRecord]:
        """Return all runs, the newest first."""
        found = self._execute("SELECT id FROM runs ORDER BY created DESC, id")
        return [self._record(run) for (run,) in found]

    def run(self, prefix: str | None = None) -> RunRecord:
        """Return the run with this id or unique start of an id; the latest when left out.

        Raises:
            UsageError: If there is none, or more than one.
        """
        found = self._execute("SELECT id FROM runs ORDER BY created DESC, rowid DESC")
        ids: list[str] = [run for (run,) in found]
        if not ids:
            raise UsageError(
                f"there are no runs in {self.folder}; `cloudtune run STUDY` starts one"
            )
        if prefix is None:
            return self._record(ids[0])
        fitting = [run for run in ids if run.startswith(prefix)]
        if prefix in fitting:
            fitting = [prefix]
        if not fitting:
            raise UsageError(f"there is no run {prefix!r}; `cloudtune status` lists the runs")
        if len(fitting) > 1:
            raise UsageError(f"{prefix!r} fits several runs: {', '.join(fitting)}")
        return self._record(fitting[0])

    def _record(self, run: str) -> RunRecord:
        ((created, name, study, file, base, overrides),) = self._execute(
            "SELECT created, name, study, file, base, overrides FROM runs WHERE id=?", run
        )
        jobs = self._execute(
            "SELECT provider, plan, state, reason, job, emulated, started, begun, spent, ended "
            "FROM jobs "
            "WHERE run=? ORDER BY rowid",
            run,
        )
        return RunRecord(
            id=run,
            created=created,
            name=name,
            study=json.loads(study),
            file=file,
            base=base,
            overrides=None if overrides == "null" else tuple(json.loads(overrides)),
            jobs=tuple(
                JobRecord(
                    run, row[0], json.loads(row[1]), row[2], row[3], row[4], bool(row[5]), *row[6:]
                )
                for row in jobs
            ),
        )

    def set_study(
        self,
        run: str,
        study: dict[str, Any],
        plans: dict[str, dict[str, Any]],
        overrides: Sequence[str],
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
        """Note that this process starts a job or goes on with it; on disk when this returns."""
        now = time.time()
        last = max((event.time for _, event in self.events(run, provider)), default=0.0)
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE jobs SET state='running', reason='', "
                "spent=spent + max(0, coalesce(coalesce(ended, ?) - begun, 0)), "
                "started=coalesce(started, ?), begun=?, ended=NULL WHERE run=? AND provider=?",
                (last, now, now, run, provider),
            )

    def name_job(self, run: str, provider: str, job: str) -> None:
        """Note what the service calls the job; on disk when this returns."""
        with self._transaction(durable=True):
            self._db.execute(
                "UPDATE jobs SET job=? WHERE run=? AND provider=?", (job, run, provider)
            )

    def end_job(
        self, run: str, provider: str, state: JobState, reason: str, ended: float | None = None
    ) -> None:
        """Note how a job ended, and when: now, if not said otherwise."""
        with self._transaction():
            self._db.execute(
                "UPDATE jobs SET state=?, reason=?, ended=? WHERE run=? AND provider=?",
                (state, reason, ended or time.time(), run, provider),
            )

    def last_event(self, run: str, provider: str) -> int:
        """Return the number of a job's last event, 0 if it has none."""
        ((seq,),) = self._execute(
            "SELECT coalesce(max(seq), 0) FROM events WHERE run=? AND provider=?", run, provider
        )
        return int(seq)

    def append(self, run: str, provider: str, *events: Event) -> None:
        """Add events to a job, in one step. Only the process that holds the run may."""
        job = (run, provider)
        if job not in self._last:
            self._last[job] = self.last_event(run, provider)
        rows = [
            (*job, seq, type(event).__name__.lower(), json.dumps(vars(event)))
            for seq, event in enumerate(events, start=self._last[job] + 1)
        ]
        insert = "INSERT INTO events VALUES (?,?,?,?,?)"
        if len(rows) == 1:
            self._execute(insert, *rows[0])
        else:
            with self._transaction():
                self._db.executemany(insert, rows)
        self._last[job] += len(rows)

    def events(self, run: str, provider: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield a job's events with their numbers, in order, from the one behind ``after`` on."""
        with translated(self._path):
            rows = self._db.execute(
                "SELECT seq, kind, body FROM events WHERE run=? AND provider=? AND seq>? "
                "ORDER BY seq",
                (run, provider, after),
            )
            for seq, kind, body in rows:
                yield seq, KINDS[kind](**json.loads(body))

    def remove(self, run: str) -> None:
        """Forget a run; its files stay."""
        with self._transaction(durable=True):
            for table, column in (("events", "run"), ("jobs", "run"), ("runs", "id")):
                self._db.execute(f"DELETE FROM {table} WHERE {column}=?", (run,))  # noqa: S608
