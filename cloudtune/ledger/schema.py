"""The ledger's tables, and how a ledger of an older version becomes one of this version."""

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
    """Make the tables of a new ledger, or bring an older one to this version.

    A copy of the older one is kept beside it.

    Args:
        db: A connection to the file.
        path: The file.
        new: Whether there was no such file before.

    Raises:
        LedgerError: If it is of a newer version, or no ledger, or nothing is left in it, or if a
            run goes on in an older one.
        sqlite3.Error: If it cannot be read or written.
    """
    if _version(db) == VERSION:
        return
    with transaction(db):
        found = _version(db)  # another process may have been quicker
        if found > VERSION:
            raise LedgerError(
                f"the ledger {path} was made by a newer cloudtune (version {found}, this one "
                f"reads up to {VERSION}); upgrade it, or set CLOUDTUNE_HOME to another folder"
            )
        if found == 0:
            _begin(db, path, new=new)
        elif found < VERSION:
            _let_runs_end(path)
            _keep_copy(path, found)
            for version in range(found, VERSION):
                _MIGRATIONS[version](db)
        db.execute(f"PRAGMA user_version={VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _begin(db: sqlite3.Connection, path: Path, *, new: bool) -> None:
    if db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise LedgerError(f"{path} is no ledger of cloudtune's; move it aside to start a new one")
    if not new and list_run_folders(path.parent):
        raise LedgerError(
            f"the ledger {path} is empty, though there are runs in {path.parent / 'runs'}: it was "
            "damaged, or the file ledger.db-wal that belongs to it was taken away. Put back what "
            "was there, or move it aside to start a new one; the runs' folders stay as they are"
        )
    for table in _TABLES:
        db.execute(table)


def _let_runs_end(path: Path) -> None:
    """Refuse to take the tables away from a process that knows only the older ones."""
    folder = path.parent
    for run in list_run_folders(folder):
        if held := lock_holder(folder / "runs" / run):
            raise LedgerError(
                f"the ledger {path} is of an older cloudtune, in which {held} is running {run}; "
                "wait until that has ended, or end it"
            )


def _keep_copy(path: Path, version: int) -> None:
    """Copy the ledger as it is; the transaction that is open has changed nothing in it yet."""
    kept = path.with_name(f"ledger-version-{version}.db")
    part = kept.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(kept)


def _to_version_2(db: sqlite3.Connection) -> None:
    """Add what a run was started with, how long a process ran a job, and whose an event is."""
    columns = {str(row[1]) for row in db.execute("PRAGMA table_info(runs)")}
    if "overrides" not in columns:
        db.execute("ALTER TABLE runs ADD COLUMN overrides TEXT NOT NULL DEFAULT 'null'")
    db.execute("ALTER TABLE jobs ADD COLUMN ran REAL")
    db.execute("ALTER TABLE events ADD COLUMN number INTEGER NOT NULL DEFAULT 0")
    db.create_function("number_of", 1, _number_of, deterministic=True)
    db.execute("UPDATE events SET number=number_of(body)")
    db.execute(_BY_TRIAL)


def _number_of(body: str) -> int:
    """Return the trial of an event; 0 for a damaged one, which is refused where it is read."""
    try:
        return int(json.loads(body)["number"])
    except (KeyError, TypeError, ValueError):
        return 0


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _to_version_2}
"""By the version that each starts from."""
