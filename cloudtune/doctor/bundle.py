"""The bundle: what would be uploaded, and what of it looks like a mistake."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.diagnostics import Check
from cloudtune.provider.plan import Plan
from cloudtune.study.quantities import format_bytes, format_count


def check_bundle(plan: Plan) -> Iterator[Check]:
    """Yield what a run would upload, and files of it that look like a mistake."""
    source = plan.facts.lookup.source
    if plan.facts.source is None:
        return
    message = f"{format_count(source.count, 'file')}, {format_bytes(source.size)}"
    yield Check(severity="ok", area="bundle", id="bundle", message=message)
