"""Connections to the ledger's database, and errors of SQLite as messages."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from cloudtune.errors import LedgerError

RECOVERY_HINT = (
    "restore it from a backup, or move it away to start a new one; "
    "the folders of runs are not affected"
)
LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process that is writing."""
_NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "9p", "afs", "ceph"]
) | frozenset(
    ["lustre", "gpfs", "beegfs", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.rclone"]
)
"""File systems without the shared memory that SQLite's write-ahead log needs."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection with explicit transactions, which threads may use one at a time.

    Raises:
        sqlite3.Error: If the database cannot be opened.
    """
    return sqlite3.connect(
        path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Return a connection to a database in a read-only folder.

    Raises:
        sqlite3.Error: If the database cannot be opened.
    """
    # Without a write-ahead log no process writes, and SQLite cannot create one here.
    immutable = not path.with_name(path.name + "-wal").exists()
    uri = f"{path.as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    return sqlite3.connect(uri, timeout=LOCK_TIMEOUT, isolation_level=None, uri=True)


def copy_to_memory(db: sqlite3.Connection) -> sqlite3.Connection:
    """Close a connection and return one to a copy in memory, which can be migrated.

    Raises:
        sqlite3.Error: If the database cannot be read.
    """
    copy = connect(Path(":memory:"))
    with closing(db):
        db.backup(copy)
    return copy


@contextmanager
def ledger_errors(path: Path) -> Generator[None]:
    """Convert SQLite's errors in the block to a `LedgerError` that says what to do.

    Raises:
        LedgerError: If the database cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} {_describe_error(error)}") from error
    except UnicodeDecodeError as error:  # its message would repeat the damaged content
        raise LedgerError(f"the ledger {path} is damaged; {RECOVERY_HINT}") from error


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Run the block as one transaction: commit it at the end, roll it back on an error.

    Inside of another transaction, the block is a part of that one.
    """
    if db.in_transaction:
        yield
        return
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _describe_error(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "cannot be written: the disk is full or a quota is reached; free some space"
    if code == sqlite3.SQLITE_IOERR:
        return f"cannot be read or written ({error}): the disk is full or failing; free some space"
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"cannot be used ({error}): its folder must be writable"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return (
            f"has been locked by another program for {LOCK_TIMEOUT:g} s; end that program or wait "
            "for it, then try again"
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return f"is damaged ({error}); {RECOVERY_HINT}"
    return f"cannot be used: {error}; if it is damaged, {RECOVERY_HINT}"


_NO_DAMAGE = {
    *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL),
}


def is_not_damage(error: Exception) -> bool:
    """Return whether an error of SQLite says nothing about damage to some of the content."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF in _NO_DAMAGE


def set_journal_mode(db: sqlite3.Connection, folder: Path) -> None:
    """Enable the write-ahead log of a new database, unless it is on a network file system.

    The setting is stored in the database.
    """
    if _is_on_network(folder):
        return
    with suppress(sqlite3.OperationalError):  # another process is creating the database and sets it
        db.execute("PRAGMA journal_mode=WAL")


def _is_on_network(folder: Path) -> bool:
    import psutil

    try:
        types = {each.mountpoint: each.fstype for each in psutil.disk_partitions(all=True)}
    except OSError:
        return False
    path = folder.resolve()
    mounts = (types.get(str(each)) for each in (path, *path.parents))
    return next((name.lower() for name in mounts if name), "") in _NETWORK_FILE_SYSTEMS
