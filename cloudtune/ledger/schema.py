"""The ledger's tables, and migrations from older versions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cloudtune.errors import LedgerError
from cloudtune.ledger.connection import connect, transaction
from cloudtune.ledger.home import list_run_folders
from cloudtune.ledger.lock import lock_holder

VERSION = 2
_BY_TRIAL = "CREATE INDEX events_by_trial ON events (run, provider, number)"
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
    """
    CREATE TABLE events (
        run TEXT NOT NULL, provider TEXT NOT NULL, seq INTEGER NOT NULL,
        number INTEGER NOT NULL DEFAULT 0, kind TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (run, provider, seq)
    ) STRICT, WITHOUT ROWID
    """,
    _BY_TRIAL,
)


def create_or_migrate(db: sqlite3.Connection, path: Path, *, new: bool) -> None:
    """Create the tables of a new ledger, or migrate an older one after saving a copy.

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
        if version == 0:
            _create_tables(db, path, new=new)
        elif version < VERSION:
            _refuse_if_running(path)
            _save_copy(path, version)
            for old_version in range(version, VERSION):
                _MIGRATIONS[old_version](db)
        db.execute(f"PRAGMA user_version={VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _create_tables(db: sqlite3.Connection, path: Path, *, new: bool) -> None:
    if db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise LedgerError(f"{path} is not a ledger of cloudtune; move it away to start a new one")
    if not new and list_run_folders(path.parent):
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


def _save_copy(path: Path, version: int) -> None:
    """Copy the ledger, which the open transaction has not changed yet."""
    copy = path.with_name(f"ledger-version-{version}.db")
    part = copy.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(copy)


def _to_version_2(db: sqlite3.Connection) -> None:
    """Add the overrides of runs, the seconds a process ran a job, and the trials of events."""
    columns = {str(row[1]) for row in db.execute("PRAGMA table_info(runs)")}
    if "overrides" not in columns:
        db.execute("ALTER TABLE runs ADD COLUMN overrides TEXT NOT NULL DEFAULT 'null'")
    db.execute("ALTER TABLE jobs ADD COLUMN ran REAL")
    db.execute("ALTER TABLE events ADD COLUMN number INTEGER NOT NULL DEFAULT 0")
    db.create_function("number_of", 1, _number_of, deterministic=True)
    db.execute("UPDATE events SET number=number_of(body)")
    db.execute(_BY_TRIAL)


def _number_of(body: str) -> int:
    """Return the trial number of an event; 0 if it is damaged, which reading it detects."""
    try:
        return int(json.loads(body)["number"])
    except (KeyError, TypeError, ValueError):
        return 0


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _to_version_2}
"""Keyed by the version from which each migrates."""
