"""What is read of the stored plan of a job without planning again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.diagnostics import Finding
from cloudtune.study.schema import Mode


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """What the stored plan of a job says of it, in all versions of the format."""

    mode: Mode
    seed: int
    findings: tuple[Finding, ...]
    source_hash: str | None
    unhashed: tuple[str, ...]
    """The files of the source that its hash does not include."""
    emulator: str | None
    """The location of an emulator that the run did not start."""
    attached: str | None
    """The address of a job that was started elsewhere."""
    link: str | None
    """The console page with the jobs."""
    job_link: str | None
    """The console page of the job, with ``{job}`` for its id."""
    price: tuple[float, str] | None
    """The price of a second of a trial, and its currency; None if it is unknown."""
    changes: tuple[dict[str, Any], ...] = ()
    """The changes of the limits since the run was created, in their order. Each has an ``id``, its
    ``time``, and ``fields``: the old and the new value by path."""


def read_facts(plan: Mapping[str, Any]) -> JobFacts:
    """Return what a stored plan says of its job.

    Raises:
        KeyError, TypeError: If it is not a plan.
    """
    facts, mode = plan["facts"], plan["mode"]
    lookup = facts["lookup" if "lookup" in facts else "own"]  # the earlier name
    return JobFacts(
        mode=mode,
        seed=facts["seed"],
        findings=tuple(Finding(**finding) for finding in plan["findings"]),
        source_hash=facts["source_hash"],
        unhashed=tuple(facts.get("unhashed", ())),
        emulator=facts.get("emulator"),
        attached=facts.get("attached"),
        link=lookup.get("links", {}).get(mode),
        job_link=lookup.get("job_links", {}).get(mode),
        price=_read_price(lookup),
        changes=tuple(plan.get("changes", ())),
    )


def _read_price(lookup: Mapping[str, Any]) -> tuple[float, str] | None:
    earlier = {"per_second": lookup.get("price_per_second"), "currency": lookup.get("currency")}
    price = lookup.get("price", earlier)
    if isinstance(price, str) or price["per_second"] is None or price["currency"] is None:
        return None
    return price["per_second"], price["currency"]
