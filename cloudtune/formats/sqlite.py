"""SQLite files of other tools: read only, in bounded time, and without code that they bring.

A database can define views that never end, and its pages can be damaged in any way. See
https://sqlite.org/security.html, "Untrusted SQLite Database Files", read 2026-11-30.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from cloudtune.errors import UsageError
from cloudtune.study.regular_files import open_regular

MAX_BYTES = 1024**3
"""The largest file that is read."""
_MAX_CELL = 64 * 1024**2
"""Bytes of one value."""
_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_STEPS = 10_000_000
_STEPS_PER_BYTE = 100
"""Chosen: operations of SQLite's virtual machine while one file is read, at most. A reader needs
less than one for each byte; a second has about fifty million."""
_UNSAFE = (
    "SELECT type || ' ' || name FROM sqlite_master WHERE type = 'view' "
    "OR sql LIKE 'create virtual%' LIMIT 1",
    "SELECT 'table ' || t.name FROM sqlite_master AS t, pragma_table_xinfo(t.name) "
    "WHERE t.type = 'table' AND hidden = 2 LIMIT 1",  # columns that are computed when they are read
)
"""What runs expressions of the file on reading. Triggers and stored columns, as MLflow 3 has them,
do so on writing only."""
_INTERVAL = 100_000
"""Operations between two checks of the limit and for Ctrl-C."""
ERRORS = (sqlite3.Error, ValueError, OverflowError, MemoryError)
"""What reading a damaged file raises; a message that is no UTF-8 is a ``UnicodeDecodeError``."""


def is_sqlite(path: Path) -> bool:
    """Return whether a file is an SQLite database; False if it cannot be read.

    Raises:
        UsageError: If it is one, but its end is missing.
    """
    try:
        with open_regular(path) as file:
            header = file.read(_HEADER)
            size = file.seek(0, 2)
    except (OSError, ValueError):
        return False
    if not header.startswith(_MAGIC):
        return False
    pages = int.from_bytes(header[28:32]) if header[24:28] == header[92:96] else 1
    page = int.from_bytes(header[16:18])
    expected = max(_HEADER, pages * (65_536 if page == 1 else page))
    if size < expected:
        raise UsageError(
            f"{path} is a truncated SQLite database: it has {size:,} of {expected:,} bytes; copy "
            "it again, while no program writes to it"
        )
    return True


def table_names(path: Path) -> frozenset[str]:
    """Return the names of the tables in a file; none if it is no database.

    Raises:
        UsageError: If it is damaged, or has what could run code.
    """
    if not is_sqlite(path):
        return frozenset()
    database = Database(path)
    try:
        with closing(database.connect()) as connection:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            return frozenset(str(name) for (name,) in connection.execute(query))
    except ERRORS as error:
        text = f"{path} cannot be read as an SQLite database: {database.reason(error)}"
        raise UsageError(text) from error


class Database:
    """A file whose queries together have a limit."""

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is opened."""
        self._path = path
        self._steps_left = _STEPS + _STEPS_PER_BYTE * min(MAX_BYTES, path.stat().st_size)

    def connect(self) -> sqlite3.Connection:
        """Return a connection that only reads, for any thread.

        Raises:
            sqlite3.Error: If it is damaged, or has what no tool writes; or another of `ERRORS`.
        """
        if self._path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than the limit of {MAX_BYTES // 1024**2} MiB")
        address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_CELL)
            connection.set_progress_handler(self._count, _INTERVAL)
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON"):
                connection.execute(f"PRAGMA {pragma}")
            unsafe: list[tuple[str]] = []
            for query in _UNSAFE:
                unsafe = unsafe or connection.execute(query).fetchall()
        except BaseException:
            connection.close()
            raise
        if unsafe:
            connection.close()
            raise sqlite3.DatabaseError(f"its {unsafe[0][0]} could run code")
        return connection

    def _count(self) -> bool:
        """Count the operations since the last call; return whether the query must end."""
        self._steps_left -= _INTERVAL
        return self._steps_left < 0

    def reason(self, error: BaseException) -> str:
        """Return why the database cannot be read.

        Raises:
            KeyboardInterrupt: If Ctrl-C ended a query, which SQLite reports as any other error.
        """
        if not any(str(each) == "interrupted" for each in _causes(error)):
            return str(getattr(error, "orig", None) or error).partition("\n")[0]
        if self._steps_left >= 0:
            raise KeyboardInterrupt from error
        return "it takes far more work than a file of its size needs, so it may never end"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of SQLite among an error and its causes."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, sqlite3.OperationalError):
            yield current
        current = current.__cause__ or current.__context__
