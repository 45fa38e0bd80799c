"""Proposals in the ledger: trials that others ask a run to try.

Any process may add one, whether a process runs the run or not. The one that runs it starts the
trial, and the `Started` event has the id of the proposal.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudtune.ledger.checksums import event_checksum, job_seed
from cloudtune.results.events import Started
from cloudtune.study.search_space import Value

if TYPE_CHECKING:
    from cloudtune.ledger.ledger import Ledger

PROPOSED = "+"
"""The line that tells the process of a run to look for proposals; no name of a provider."""


@dataclass(frozen=True)
class Proposal:
    """A trial that was proposed from outside."""

    parameters: Mapping[str, Value]
    """A complete assignment."""
    why: str = ""
    """Why, in the words of who proposed it."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    time: float = field(default_factory=time.time)


def add_proposal(ledger: Ledger, run: str, provider: str, proposal: Proposal) -> None:
    """Add a proposal to a job; it is on disk on return. Any process may call this.

    Raises:
        LedgerError: If it cannot be written.
    """
    where = "WHERE run=? AND provider=?"
    with ledger.atomic(durable=True):
        query = f"SELECT coalesce(max(seq), 0) + 1 FROM proposals {where}"  # noqa: S608
        ((seq,),) = ledger.execute(query, run, provider)
        body = json.dumps(vars(proposal))
        own = event_checksum(job_seed(run, provider), seq, body.encode())
        ledger.execute("INSERT INTO proposals VALUES (?,?,?,?,?)", run, provider, seq, body, own)


def read_proposals(ledger: Ledger, run: str, provider: str) -> list[Proposal]:
    """Return all proposals of a job, also those that have started, in their order.

    Raises:
        LedgerError: If one is damaged or missing.
    """
    seed = job_seed(run, provider)
    query = "SELECT seq, CAST(body AS BLOB), checksum FROM proposals WHERE run=? AND provider=?"
    proposals: list[Proposal] = []
    rows = ledger.execute(f"{query} ORDER BY seq", run, provider)
    for expected, (seq, body, checksum) in enumerate(rows, start=1):
        if seq != expected or event_checksum(seed, seq, body) != checksum:
            problem = f"on {provider}, proposal {expected} is missing or damaged"
            raise ledger.damage_error(run, problem)
        proposals.append(Proposal(**json.loads(body)))
    return proposals


def waiting_proposals(ledger: Ledger, run: str, provider: str) -> list[Proposal]:
    """Return the proposals of a job that have not started, in their order.

    Raises:
        LedgerError: If a proposal or an event is damaged or missing.
    """
    proposals = read_proposals(ledger, run, provider)
    if not proposals:
        return []
    events = ledger.events(run, provider)
    started = {event.proposal for _, event in events if isinstance(event, Started)}
    return [each for each in proposals if each.id not in started]
