"""Events as rows of the ledger's database, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cloudtune.errors import LedgerError
from cloudtune.results.event_checks import event_problem
from cloudtune.results.events import EVENT_TYPES, Event


def event_row(event: Event) -> tuple[int, str, str]:
    """Return an event as number, kind and body.

    Raises:
        LedgerError: If it is invalid. Every event that is recorded passes through here.
    """
    if problem := event_problem(event):
        raise LedgerError(f"an event of trial {event.number} was not recorded: {problem}")
    return event.number, type(event).__name__.lower(), json.dumps(vars(event))


def parse_events(rows: Sequence[tuple[int, str, bytes]]) -> list[tuple[int, Event]]:
    """Return events with their sequence numbers, from rows of sequence number, kind and body.

    All bodies are decoded in one call, which is faster and makes equal keys one object. Values are
    not validated: their checksums show that they are what was written.

    Raises:
        ValueError: If a row is damaged; the message names the event.
    """
    try:
        bodies = json.loads(b"[%s]" % b",".join([body for _, _, body in rows]))
        return [
            (row[0], EVENT_TYPES[row[1]](**body)) for row, body in zip(rows, bodies, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        if len(rows) > 1:
            return [event for row in rows for event in parse_events([row])]
        raise ValueError(f"event {rows[0][0]} cannot be read ({error})") from error
