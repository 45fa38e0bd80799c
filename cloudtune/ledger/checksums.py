"""Checksums of the ledger's rows, kept in a table of their own.

A flipped bit in a B-tree of SQLite can hide rows or change values without any error. The table
``checksums`` has a row for each job, with a checksum of its record and with the count and the sums
of its events, and a row for each run, whose provider is empty. Damage to one table therefore
contradicts the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

RUN_ITSELF = ""
"""The provider in the row of a run."""


class Tally(NamedTuple):
    """The number of events of a job, and the sums of their trial numbers and checksums."""

    events: int = 0
    numbers: int = 0
    checksum: int = 0

    @property
    def sequence_sum(self) -> int:
        """The sum of the events' sequence numbers, which start at 1."""
        return self.events * (self.events + 1) // 2


def job_seed(run: str, provider: str) -> int:
    """Return the start value for the checksums of a job's events."""
    return crc32(f"{run} {provider}".encode())


def event_checksum(seed: int, seq: int, body: bytes) -> int:
    """Return the checksum of an event.

    Its kind and trial number need none: they must agree with the body.
    """
    return crc32(body, seed ^ seq)


def record_checksum(row: Sequence[Any]) -> int:
    """Return the checksum of the row of a run or a job."""
    return crc32(json.dumps(list(row)).encode())
