"""What a provider found out for a plan, as one map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloudtune.provider.facts import Facts


def flat(facts: Facts) -> dict[str, Any]:
    """Return a provider's own data with the other values of its lookup next to it."""
    lookup, price = facts.lookup, facts.price
    return {
        **lookup.data,
        "price_per_second": price.per_second if price else None,
        "currency": price.currency if price else None,
        "price_source": price.source if price else "",
        "idle_seconds": price.idle_seconds if price else 0.0,
        "longest_trial": lookup.limits.longest_trial,
        "own_limits": lookup.limits.set_by_native,
        "missing": dict(lookup.missing_settings),
        "code": lookup.code_address,
        "files": {"count": lookup.source.count, "bytes": lookup.source.size},
        "absent_files": list(lookup.source.absent),
        "unset": list(lookup.variables.unset),
        "empty": list(lookup.variables.empty),
        "inputs": dict(lookup.inputs.addresses),
        "uploads": dict(lookup.inputs.uploads),
        "absent_inputs": list(lookup.inputs.absent),
        "links": dict(lookup.links),
        "job_links": dict(lookup.job_links),
    }


def create_source(folder: Path) -> Path:
    """Create a study's folder with a script, an input and an empty folder."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.csv").write_text("1", "utf-8")
    (folder / "empty").mkdir()
    (folder / "train.py").write_text("x" * 100, "utf-8")
    return folder
