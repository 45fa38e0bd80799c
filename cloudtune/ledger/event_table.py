"""The events of jobs in the ledger's database: appended, read, and checked against their tally."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from cloudtune.ledger.checksums import Tally, event_checksum, job_seed
from cloudtune.ledger.connection import is_not_damage, transaction
from cloudtune.ledger.event_rows import event_row, parse_events
from cloudtune.ledger.salvage import Salvage
from cloudtune.results.events import Event

_READ_BATCH = 500
"""Events that are read and parsed at a time."""
_MAX_SINGLE_INSERT = 32
"""Events that one statement adds."""
_INSERT = "INSERT INTO events (run, provider, seq, number, kind, body, checksum) VALUES "
_VALUES = "(?,?,?,?,?,?,?)"
_MAX_EVENTS_ON_PAGE = 200
_TABLE_KEYS = "SELECT seq, number FROM events WHERE run=? AND provider=?"
_INDEX_KEYS = "SELECT seq, number FROM events INDEXED BY events_by_trial WHERE run=? AND provider=?"


class DamagedEventsError(Exception):
    """Events of a job are damaged or missing; the message says which."""


@dataclass(frozen=True)
class EventTable:
    """The events of one job."""

    db: sqlite3.Connection
    run: str
    provider: str

    def read_tally(self) -> Tally | None:
        """Return the tally; None if it is missing or unknown.

        Raises:
            sqlite3.Error: If it cannot be read.
        """
        row = self.db.execute(
            "SELECT events, numbers, checksum FROM checksums WHERE run=? AND provider=?", self._job
        ).fetchone()
        return None if row is None or None in row else Tally(*row)

    def require_tally(self) -> Tally:
        """Return the tally.

        Raises:
            DamagedEventsError: If it is missing or unknown.
            sqlite3.Error: If it cannot be read.
        """
        tally = self.read_tally()
        if tally is None:
            raise DamagedEventsError("the number of its events is unknown")
        return tally

    def append(self, events: Sequence[Event], tally: Tally) -> Tally:
        """Add events atomically after those in a tally; return the new tally.

        Raises:
            sqlite3.Error: If they cannot be written.
        """
        seed = job_seed(*self._job)
        rows: list[tuple[Any, ...]] = []
        count, numbers, checksum = tally
        for event in events:
            number, kind, body = event_row(event)
            count += 1
            own = event_checksum(seed, count, body.encode())
            rows.append((*self._job, count, number, kind, body, own))
            numbers += number
            checksum += own
        tally = Tally(count, numbers, checksum)
        with transaction(self.db):
            if 0 < len(rows) <= _MAX_SINGLE_INSERT:
                values = [*chain.from_iterable(rows)]
                self.db.execute(_INSERT + ",".join([_VALUES] * len(rows)), values)
            else:
                self.db.executemany(_INSERT + _VALUES, rows)
            self.db.execute(
                "UPDATE checksums SET events=?, numbers=?, checksum=? WHERE run=? AND provider=?",
                (*tally, *self._job),
            )
        return tally

    def read(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield the events with their sequence numbers, in order, starting after ``after``.

        Raises:
            DamagedEventsError: If an event is missing or damaged.
            sqlite3.Error: If the database cannot be read.
        """
        tally = self.require_tally()
        seed, checksum, first = job_seed(*self._job), 0, after
        cursor = self.db.execute(
            "SELECT seq, kind, CAST(body AS BLOB), checksum FROM events "
            "WHERE run=? AND provider=? AND seq>? AND seq<=? ORDER BY seq",
            (*self._job, after, tally.events),
        )
        while rows := cursor.fetchmany(_READ_BATCH):
            for seq, _, body, own in rows:
                after += 1
                if seq != after:
                    raise DamagedEventsError(f"event {after} is missing")
                if event_checksum(seed, seq, body) != own:
                    raise DamagedEventsError(f"event {seq} is damaged")
                checksum += own
            yield from _parse(rows)
        if after < tally.events:
            raise DamagedEventsError(f"event {after + 1} is missing")
        if not first and checksum != tally.checksum:
            raise DamagedEventsError("the checksum of all events is wrong")

    def read_by_trial(
        self, on_damage: Callable[[DamagedEventsError], None]
    ) -> Iterator[list[Event]]:
        """Yield the events of each trial, by trial number; events are read in batches.

        Damage is passed to ``on_damage``. If it returns, the trials that are certainly intact
        follow.
        """
        last_number = 0
        try:
            tally = self.require_tally()
            self._check_index(tally)
            for events in self._iter_trials(tally):
                yield events
                last_number = events[0].number
        except (sqlite3.DatabaseError, DamagedEventsError) as error:
            if is_not_damage(error):
                raise
            salvage = self._salvage()
            on_damage(DamagedEventsError(salvage.describe()))
            yield from (events for events in salvage.trials if events[0].number > last_number)

    @property
    def _job(self) -> tuple[str, str]:
        return self.run, self.provider

    def _check_index(self, tally: Tally) -> None:
        """Check that the index, in whose order trials are read, has all events."""
        counts = self.db.execute(
            "SELECT count(*), total(seq), total(number) "  # sum() fails if a damaged one is huge
            "FROM events INDEXED BY events_by_trial WHERE run=? AND provider=? AND seq<=?",
            (*self._job, tally.events),
        ).fetchone()
        if counts != (tally.events, tally.sequence_sum, tally.numbers):
            raise DamagedEventsError("events are missing from the index")

    def _iter_trials(self, tally: Tally) -> Iterator[list[Event]]:
        checksum, seed = 0, job_seed(*self._job)
        cursor = self.db.execute(
            # The join yields a row without a body for each event that only the index has.
            "SELECT i.seq, e.kind, CAST(e.body AS BLOB), e.checksum, i.number "
            "FROM events i INDEXED BY events_by_trial LEFT JOIN events e "
            "ON e.run=i.run AND e.provider=i.provider AND e.seq=i.seq "
            "WHERE i.run=? AND i.provider=? AND i.seq<=? ORDER BY i.number, i.seq",
            (*self._job, tally.events),
        )

        def read() -> Iterator[Event]:
            nonlocal checksum
            while batch := cursor.fetchmany(_READ_BATCH):
                for seq, _, body, own, _ in batch:
                    if body is None or event_checksum(seed, seq, body) != own:
                        raise DamagedEventsError(f"event {seq} is damaged")
                    checksum += own
                for (_, event), row in zip(_parse(batch), batch, strict=True):
                    if event.number != row[4]:
                        raise DamagedEventsError(f"event {row[0]} is damaged")
                    yield event

        for _, events in groupby(read(), key=lambda event: event.number):
            yield list(events)
        if checksum != tally.checksum:
            raise DamagedEventsError("the checksum of all events is wrong")

    def _salvage(self) -> Salvage:
        """Read each event by its key, whatever the damage to others."""
        tally, seed = None, job_seed(*self._job)
        with suppress(sqlite3.DatabaseError):
            tally = self.read_tally()
        ((pages,),) = self.db.execute("PRAGMA page_count")
        limit = pages * _MAX_EVENTS_ON_PAGE
        # A count or a sequence number can be damaged and huge.
        numbers = {seq: number for seq, number in self._read_keys(_INDEX_KEYS) if 0 < seq <= limit}
        seqs = {*numbers, *(seq for seq, _ in self._read_keys(_TABLE_KEYS) if 0 < seq <= limit)}
        seqs.update(range(1, min(limit, tally.events if tally else 0) + 1))
        events: dict[int, Event] = {}
        checksums: dict[int, int] = {}
        for seq in sorted(seqs):
            with suppress(sqlite3.DatabaseError, DamagedEventsError):
                row = self.db.execute(
                    "SELECT seq, kind, CAST(body AS BLOB), checksum FROM events "
                    "WHERE run=? AND provider=? AND seq=?",
                    (*self._job, seq),
                ).fetchone()
                if row and event_checksum(seed, seq, row[2]) == row[3]:
                    ((_, events[seq]),) = _parse([row])
                    checksums[seq] = row[3]
        return Salvage(tally, events, checksums, numbers)

    def _read_keys(self, query: str) -> Iterator[tuple[int, int]]:
        """Yield the sequence numbers and trial numbers of events, as far as they can be read."""
        with suppress(sqlite3.DatabaseError):
            yield from self.db.execute(query, self._job)


def _parse(rows: Sequence[Sequence[Any]]) -> list[tuple[int, Event]]:
    try:
        return parse_events([(seq, kind, body) for seq, kind, body, *_ in rows])
    except ValueError as error:
        raise DamagedEventsError(str(error)) from error
