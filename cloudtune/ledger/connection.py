"""The ledger's file: how it is opened, and what is said when SQLite fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloudtune.errors import LedgerError

RECOVERY_HINT = (
    "put back a copy from before, or move it aside to start a new one: "
    "the runs' folders beside it stay as they are"
)
LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process that writes."""
_NETWORK = frozenset(
    ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "9p", "afs", "ceph"]
) | frozenset(
    ["lustre", "gpfs", "beegfs", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone"]
)
"""Types of file systems over which processes share no memory, as SQLite's WAL needs it."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection whose transactions begin and end where the caller says.

    Threads may take turns with it.

    Raises:
        sqlite3.Error: If the file cannot be opened.
    """
    return sqlite3.connect(
        path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Return a connection to a file in a folder in which nothing can be written.

    Without the file of its write-ahead log nobody is writing it: SQLite need make none of its own.

    Raises:
        sqlite3.Error: If the file cannot be opened.
    """
    alone = not path.with_name(path.name + "-wal").exists()
    address = f"{path.as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    return sqlite3.connect(address, timeout=LOCK_TIMEOUT, isolation_level=None, uri=True)


@contextmanager
def ledger_errors(path: Path) -> Generator[None]:
    """Turn what SQLite raises in the block into a `LedgerError` that says what to do.

    Raises:
        LedgerError: If the file cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} {_trouble(error)}") from error
    except UnicodeDecodeError as error:  # SQLite's own message repeats what is damaged
        raise LedgerError(f"the ledger {path} is damaged; {RECOVERY_HINT}") from error


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Do what the block does to the database as a whole, or not at all."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _trouble(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "cannot be written: the disk is full, or a limit of it is reached; make room"
    if code == sqlite3.SQLITE_IOERR:
        return f"cannot be read or written ({error}): the disk is full, or it fails; make room"
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"cannot be used ({error}): its folder must be one that you can write"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return (
            f"has been locked by another program for {LOCK_TIMEOUT:g} s; end that program, "
            "or wait for it, and try again"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"is damaged ({error}); {RECOVERY_HINT}"
    return f"cannot be used: {error}; if it is damaged, {RECOVERY_HINT}"


def set_journal_mode(db: sqlite3.Connection, folder: Path) -> None:
    """Let a new file have a write-ahead log, if it lies where that works.

    It is written down in the file, so that every later connection does the same.
    """
    if _is_on_network(folder):
        return
    with suppress(sqlite3.OperationalError):  # it is being made by another process, which does it
        db.execute("PRAGMA journal_mode=WAL")


def _is_on_network(folder: Path) -> bool:
    import psutil

    try:
        types = {each.mountpoint: each.fstype for each in psutil.disk_partitions(all=True)}
    except OSError:
        return False
    place = folder.resolve()
    mounts = (types.get(str(each)) for each in (place, *place.parents))
    return next((kind.lower() for kind in mounts if kind), "") in _NETWORK
