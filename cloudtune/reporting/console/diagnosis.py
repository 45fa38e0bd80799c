"""The checks of the doctor as lines of a terminal and as rows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from cloudtune.diagnostics import Check
from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.study.quantities import format_count

_AREAS = ("study", "script", "account", "bundle")
_INDENT = 11
_MIN_WIDTH = 40


def check_rows(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON rows."""
    return [vars(check) for check in checks]


def format_checks(checks: Sequence[Check], width: int = 79) -> Iterator[str]:
    """Yield checks by provider and area: what is well in one paragraph, all else one by one."""
    for provider, own in groupby(checks, key=lambda check: check.provider):
        yield sanitize_line(provider)
        rows = list(own)
        for area in _AREAS:
            yield from _format_area(area, [each for each in rows if each.area == area], width)
    yield ""
    yield _verdict(checks)


def _format_area(area: str, checks: Sequence[Check], width: int) -> Iterator[str]:
    healthy = [each.message for each in checks if each.severity == "ok"]
    others = [each for each in checks if each.severity != "ok"]
    title = f"  {area:{_INDENT - 2}}"
    if healthy:
        yield from _wrap("ok: " + "; ".join(healthy), title, width)
        title = " " * _INDENT
    for check in others:
        yield from _wrap(f"{check.severity}: {check}", title, width)
        title = " " * _INDENT
        if check.fix:
            yield from _wrap(f"fix: {check.fix}", " " * (_INDENT + 2), width, more=5)
        for line in check.command.splitlines():
            yield " " * (_INDENT + 4) + sanitize_line(line)


def _wrap(text: str, start: str, width: int, more: int = 0) -> list[str]:
    return textwrap.wrap(
        sanitize_line(text),
        max(width, _MIN_WIDTH),
        initial_indent=start,
        subsequent_indent=" " * (_INDENT + 2 + more),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict(checks: Sequence[Check]) -> str:
    if not checks:
        return "Nothing was checked: give a study."
    counts = {
        severity: sum(check.severity == severity for check in checks)
        for severity in ("error", "warning", "unknown")
    }
    parts = [format_count(counts[name], name) for name in ("error", "warning") if counts[name]]
    if counts["unknown"]:
        parts.append(f"{counts['unknown']} unknown")
    return f"{', '.join(parts)}." if parts else "Healthy."
