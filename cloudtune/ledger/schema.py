"""The ledger's tables, and migrations from older versions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from cloudtune.errors import LedgerError
from cloudtune.ledger.checksums import Tally, event_checksum, job_seed
from cloudtune.ledger.connection import connect, connect_read_only, is_not_damage, transaction
from cloudtune.ledger.event_rows import parse_events
from cloudtune.ledger.home import list_run_folders, list_whole_run_folders
from cloudtune.ledger.lock import lock_holder
from cloudtune.ledger.record_table import list_intact, write_record_checksum
from cloudtune.results.event_checks import event_problem

VERSION = 5
SAVED_COPY = "ledger-version-{}.db"
"""The file with a ledger as it was before its migration from a version."""
# The name of a table has the version that created it so. A migration to that version uses it, so a
# later change needs a constant of its own.
_BY_TRIAL_2 = "CREATE INDEX events_by_trial ON events (run, provider, number)"
_EVENTS_3 = """
    CREATE TABLE events (
        run TEXT NOT NULL, provider TEXT NOT NULL, seq INTEGER NOT NULL,
        number INTEGER NOT NULL DEFAULT 0, kind TEXT NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, provider, seq)
    ) STRICT, WITHOUT ROWID
    """
_CHECKSUMS_3 = """
    CREATE TABLE checksums (
        run TEXT NOT NULL, provider TEXT NOT NULL, record INTEGER NOT NULL,
        events INTEGER, numbers INTEGER, checksum INTEGER, PRIMARY KEY (run, provider)
    ) STRICT, WITHOUT ROWID
    """
_PROPOSALS_5 = """
    CREATE TABLE proposals (
        run TEXT NOT NULL, provider TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL, PRIMARY KEY (run, provider, seq)
    ) STRICT, WITHOUT ROWID
    """
_TABLES = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, created REAL NOT NULL, name TEXT NOT NULL, study TEXT NOT NULL,
        file TEXT, base TEXT NOT NULL, overrides TEXT NOT NULL DEFAULT 'null'
    ) STRICT
    """,
    """
    CREATE TABLE jobs (
        run TEXT NOT NULL REFERENCES runs(id), provider TEXT NOT NULL, plan TEXT NOT NULL,
        state TEXT NOT NULL, reason TEXT NOT NULL, job TEXT, emulated INTEGER NOT NULL,
        started REAL, begun REAL, spent REAL NOT NULL, ended REAL, ran REAL,
        PRIMARY KEY (run, provider)
    ) STRICT
    """,
    _EVENTS_3,
    _BY_TRIAL_2,
    _CHECKSUMS_3,
    _PROPOSALS_5,
)


def create_or_migrate(
    db: sqlite3.Connection, path: Path, *, new: bool, in_memory: bool = False
) -> None:
    """Create the tables of a new ledger, or migrate an older one after saving a copy.

    No copy is saved of a ledger that is itself a copy in memory.

    Raises:
        LedgerError: If the database is newer, is not a ledger or has lost its content, or if a
            process is running a run with an older version.
        sqlite3.Error: If the database cannot be read or written.
    """
    if _version(db) == VERSION:
        return
    with transaction(db):
        version = _version(db)  # again: another process may have migrated it
        if version > VERSION:
            raise LedgerError(
                f"the ledger {path} was written by a newer cloudtune (version {version}, this "
                f"one reads up to {VERSION}); upgrade cloudtune, or set CLOUDTUNE_HOME to "
                "another folder"
            )
        if version < 0:
            raise LedgerError(
                f"the ledger {path} is damaged: its version is {version}; restore it from a backup"
            )
        if version == 0:
            _create_tables(db, path, new=new)
        elif version < VERSION:
            old = path if in_memory else _save_copy(path, version)
            with closing(connect_read_only(old)) as source:
                intact = list_intact(source)
            for old_version in range(version, VERSION):
                MIGRATIONS[old_version](db, old)
            for run, provider in intact:  # of no others, whose damage must still be seen
                write_record_checksum(db, run, provider)
        db.execute(f"PRAGMA user_version={VERSION}")


def is_current(db: sqlite3.Connection) -> bool:
    """Return whether a ledger needs no migration.

    Raises:
        sqlite3.Error: If it cannot be read.
    """
    return _version(db) >= VERSION


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _create_tables(db: sqlite3.Connection, path: Path, *, new: bool) -> None:
    if db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise LedgerError(f"{path} is not a ledger of cloudtune; move it away to start a new one")
    if not new and list_whole_run_folders(path.parent):
        raise LedgerError(
            f"the ledger {path} is empty, but there are runs in {path.parent / 'runs'}: it was "
            "damaged, or its file ledger.db-wal was removed. Restore it from a backup, or move it "
            "away to start a new one; the folders of runs are not affected"
        )
    for table in _TABLES:
        db.execute(table)


def _refuse_if_running(path: Path) -> None:
    """Raise an error if a process that knows only the older tables is running a run."""
    folder = path.parent
    for run in list_run_folders(folder):
        if holder := lock_holder(folder / "runs" / run):
            raise LedgerError(
                f"the ledger {path} is in use by an older cloudtune: {holder} is running {run}; "
                "wait until that process ends, or end it"
            )


def _save_copy(path: Path, version: int) -> Path:
    """Copy the ledger, which the open transaction has not changed yet; return the copy's path."""
    _refuse_if_running(path)
    copy = path.with_name(SAVED_COPY.format(version))
    part = copy.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(copy)
    return copy


def _to_version_2(db: sqlite3.Connection, _old: Path) -> None:
    """Add the overrides of runs, the seconds a process ran a job, and the trials of events."""
    columns = {str(row[1]) for row in db.execute("PRAGMA table_info(runs)")}
    if "overrides" not in columns:
        db.execute("ALTER TABLE runs ADD COLUMN overrides TEXT NOT NULL DEFAULT 'null'")
    db.execute("ALTER TABLE jobs ADD COLUMN ran REAL")
    db.execute("ALTER TABLE events ADD COLUMN number INTEGER NOT NULL DEFAULT 0")
    db.create_function("number_of", 1, _number_of, deterministic=True)
    db.execute("UPDATE events SET number=number_of(body)")
    db.execute(_BY_TRIAL_2)


def _number_of(body: str) -> int:
    """Return the trial number of an event; 0 if it is damaged, which reading it detects."""
    try:
        return int(json.loads(body)["number"])
    except (KeyError, TypeError, ValueError):
        return 0


def _to_version_3(db: sqlite3.Connection, old: Path) -> None:
    """Add checksums. Jobs whose events cannot be read get no tally, so that reading reports them.

    The events are read through another connection, since after damage is read, a transaction cannot
    be committed. They are copied, since SQLite adds a column only to a table without damage.
    """
    db.execute("ALTER TABLE events RENAME TO events_2")
    db.execute("DROP INDEX events_by_trial")
    for table in (_EVENTS_3, _BY_TRIAL_2, _CHECKSUMS_3):
        db.execute(table)
    is_intact = True
    with closing(connect_read_only(old)) as source:
        for run, provider in db.execute("SELECT run, provider FROM jobs").fetchall():
            is_intact &= _copy_events(source, db, run, provider)
    if is_intact:  # SQLite cannot drop a damaged table
        db.execute("DROP TABLE events_2")


def _copy_events(
    source: sqlite3.Connection, db: sqlite3.Connection, run: str, provider: str
) -> bool:
    """Copy the events of a job and write their tally; return whether all were read."""
    job, seed, count = (run, provider), job_seed(run, provider), 0
    where = "WHERE run=? AND provider=?"
    tally, is_readable = Tally(), True
    try:
        for seq, kind, body in source.execute(
            f"SELECT seq, kind, body FROM events {where} ORDER BY seq",  # noqa: S608
            job,
        ):
            number, is_valid = _validate(kind, body)
            own = event_checksum(seed, seq, body.encode()) if is_valid else 0
            db.execute(
                "INSERT INTO events VALUES (?,?,?,?,?,?,?)", (*job, seq, number, kind, body, own)
            )
            tally = Tally(seq, tally.numbers + number, tally.checksum + own)
            count += 1
        with suppress(sqlite3.OperationalError):  # version 1 has no index
            query = f"SELECT max(seq) FROM events INDEXED BY events_by_trial {where}"  # noqa: S608
            ((last,),) = source.execute(query, job)
            tally = tally._replace(events=max(tally.events, last or 0))
    except sqlite3.DatabaseError as error:
        if is_not_damage(error):
            raise
        is_readable = False
    values = tally if is_readable else (None, None, None)
    db.execute("INSERT INTO checksums VALUES (?,?,0,?,?,?)", (*job, *values))
    return is_readable and tally.events == count


def _validate(kind: str, body: str) -> tuple[int, bool]:
    """Return the trial number of an event of an older version, and whether the event is valid."""
    try:
        ((_, event),) = parse_events([(0, kind, body.encode())])
    except (TypeError, ValueError):
        return _number_of(body), False
    if event_problem(event):
        return _number_of(body), False
    return event.number, True


def _to_version_4(_db: sqlite3.Connection, _old: Path) -> None:
    """Change nothing: from this version on there are events that older ones cannot read."""


def _to_version_5(db: sqlite3.Connection, _old: Path) -> None:
    """Add the proposals."""
    db.execute(_PROPOSALS_5)


MIGRATIONS: dict[int, Callable[[sqlite3.Connection, Path], None]] = {
    1: _to_version_2,
    2: _to_version_3,
    3: _to_version_4,
    4: _to_version_5,
}
"""Keyed by the version from which each migrates."""
