"""The rows of runs and jobs in the ledger's database, checked against their checksums.

A run's own row has an empty provider.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cloudtune.ledger.checksums import RUN_ITSELF, record_checksum
from cloudtune.ledger.connection import is_not_damage
from cloudtune.ledger.records import JOB_COLUMNS, RUN_COLUMNS

T = TypeVar("T")

COLUMNS: dict[str, Sequence[str]] = {"runs": RUN_COLUMNS, "jobs": (*JOB_COLUMNS, "ran")}
"""The columns of each table that the checksum of a record covers."""
_CHECKSUM = "SELECT record FROM checksums WHERE run=? AND provider=?"


class DamagedRecordError(Exception):
    """The record of a run or a job is damaged; the message says what it is."""


def list_runs(db: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """Return the ids of all runs, newest first, and of those whose record is missing.

    Raises:
        sqlite3.Error: If they cannot be read.
    """
    # One statement, so that a run that is created meanwhile is in both lists or in neither.
    rows = db.execute(
        "SELECT 1, id FROM runs NOT INDEXED UNION ALL "
        "SELECT 0, run FROM checksums WHERE provider=''"
    ).fetchall()
    # A damaged id can have another type; the other table still has it.
    named = [(is_listed, run) for is_listed, run in rows if isinstance(run, str)]
    ids = [run for is_listed, run in reversed(named) if is_listed]
    return ids, sorted({run for _, run in named} - {*ids})


def list_providers(db: sqlite3.Connection, run: str) -> list[str]:
    """Return the providers of a run's jobs, also of those whose record is missing.

    Raises:
        sqlite3.Error: If they cannot be read.
    """
    rows = db.execute(
        "SELECT provider FROM jobs NOT INDEXED WHERE run=? UNION ALL "
        "SELECT provider FROM checksums WHERE run=? AND provider<>''",
        (run, run),
    )
    return list(dict.fromkeys(each for (each,) in rows if isinstance(each, str)))


def list_intact(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the run and the provider of each record that has its checksum.

    The ledger may be older: columns that it lacks are not read, and without checksums, all records
    are returned.

    Raises:
        sqlite3.Error: If the database cannot be used.
    """
    columns: dict[str, Sequence[str]] = {}
    for table, names in COLUMNS.items():
        there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        columns[table] = [name for name in names if name in there]
    has_checksums = db.execute("SELECT 1 FROM sqlite_master WHERE name='checksums'").fetchone()
    try:
        keys = db.execute(
            "SELECT id, '' FROM runs NOT INDEXED UNION ALL "
            "SELECT run, provider FROM jobs NOT INDEXED"
        ).fetchall()
    except sqlite3.DatabaseError as error:
        if is_not_damage(error):
            raise
        return []
    return [
        (run, provider)
        for run, provider in keys
        if not has_checksums or _is_intact(db, run, provider, columns)
    ]


def _is_intact(
    db: sqlite3.Connection, run: str, provider: str, columns: Mapping[str, Sequence[str]]
) -> bool:
    try:
        return _read_checked(db, run, provider, columns)[1]
    except (TypeError, ValueError, sqlite3.DatabaseError) as error:
        if is_not_damage(error):
            raise
        return False


def read_record(
    db: sqlite3.Connection,
    run: str,
    provider: str,
    parse: Callable[[Sequence[Any]], T],
    on_damage: Callable[[DamagedRecordError], None],
) -> T | None:
    """Return the record of a run or a job as a function parses it; None if it cannot be read.

    Raises:
        sqlite3.Error: If the database cannot be used.
    """
    what = f"the record of its job on {provider}" if provider else "its record"
    try:
        row, is_intact = _read_checked(db, run, provider)
        record = None if row is None else parse(row)
    except (TypeError, ValueError, sqlite3.DatabaseError) as error:
        if is_not_damage(error):
            raise
        on_damage(DamagedRecordError(f"{what} cannot be read ({error})"))
        return None
    if record is None:
        on_damage(DamagedRecordError("part of its record is missing"))
    elif not is_intact:
        on_damage(DamagedRecordError(f"{what} was changed, so its contents can be wrong"))
    return record


def change_record(
    db: sqlite3.Connection, run: str, provider: str, changes: str, *values: Any
) -> None:
    """Change columns of an undamaged run or job, inside a transaction.

    Raises:
        DamagedRecordError: If it is damaged.
        sqlite3.Error: If it cannot be written.
    """
    row, is_intact = _read_checked(db, run, provider)
    if row is None:
        return
    if not is_intact:
        raise DamagedRecordError("part of its record was changed")
    if provider == RUN_ITSELF:
        db.execute(f"UPDATE runs SET {changes} WHERE id=?", (*values, run))  # noqa: S608
    else:
        where = "WHERE run=? AND provider=?"
        db.execute(f"UPDATE jobs SET {changes} {where}", (*values, run, provider))  # noqa: S608
    write_record_checksum(db, run, provider)


def write_record_checksum(db: sqlite3.Connection, run: str, provider: str) -> None:
    """Write the checksum of a run or a job whose row was just written.

    Raises:
        sqlite3.Error: If it cannot be written.
    """
    db.execute(
        "INSERT INTO checksums VALUES (?,?,?,0,0,0) "
        "ON CONFLICT DO UPDATE SET record=excluded.record",
        (run, provider, record_checksum(_read_row(db, run, provider) or ())),
    )


def _read_checked(
    db: sqlite3.Connection,
    run: str,
    provider: str,
    columns: Mapping[str, Sequence[str]] = COLUMNS,
) -> tuple[Sequence[Any] | None, bool]:
    """Return a row, and whether it has its checksum."""
    try:  # one statement, because another process may change both
        row = _read_row(db, run, provider, columns, f",({_CHECKSUM})", run, provider)
    except sqlite3.DatabaseError as error:
        if is_not_damage(error):
            raise
        return _read_row(db, run, provider, columns), False
    return (None, False) if row is None else (row[:-1], record_checksum(row[:-1]) == row[-1])


def _read_row(
    db: sqlite3.Connection,
    run: str,
    provider: str,
    columns: Mapping[str, Sequence[str]] = COLUMNS,
    more: str = "",
    *values: str,
) -> Sequence[Any] | None:
    keys: tuple[str, ...]
    if provider == RUN_ITSELF:
        table, key, keys = "runs", "id=?", (run,)
    else:
        table, key, keys = "jobs", "run=? AND provider=?", (run, provider)
    row: Sequence[Any] | None = db.execute(
        f"SELECT {','.join(columns[table])}{more} FROM {table} WHERE {key}",  # noqa: S608
        (*values, *keys),
    ).fetchone()
    return row
