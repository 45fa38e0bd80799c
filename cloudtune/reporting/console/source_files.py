"""The files of a plan's source."""

from __future__ import annotations

import os
from typing import Any

from cloudtune.provider.plan import Plan
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.study.quantities import format_count


def file_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the name and the size of each file that the plan's provider gets."""
    return [
        {"name": name, "bytes": os.lstat(f"{plan.facts.source}/{name}").st_size}
        for name in plan.facts.files or ()
    ]


def format_files(plan: Plan) -> list[str]:
    """Return the files that the plan's provider gets as lines, with their sizes in bytes."""
    rows = file_rows(plan)
    if plan.facts.source is None:
        return ["  files: none"]
    lines = [f"  {format_count(len(rows), 'file')} of {plan.facts.source}:"]
    lines += [f"  {row['bytes']:>12,}  {row['name']}" for row in rows]
    return [sanitize_line(line) for line in lines]
