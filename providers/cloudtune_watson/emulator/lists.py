"""What the lists of ``/ml/v4`` share: the version of the API, and pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from cloudtune.emulator_kit import Json
from cloudtune_watson.emulator.errors import invalid
from cloudtune_watson.emulator.wire import Call

MAX_ROWS = 200
"""Of a list ("Limit cannot be larger than 200", ``wml_resource.py`` of ibm_watsonx_ai)."""
DEFAULT_ROWS = 100
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def demand_version(call: Call) -> None:
    """Refuse a call without the version of the API, which all of IBM's clients send."""
    if not _DATE.fullmatch(call.one("version") or ""):
        raise invalid("The parameter 'version' is required, as YYYY-MM-DD.")


def page_of(call: Call, path: str, rows: Sequence[Json]) -> Json:
    """Return the part of a list that a call asks for, with a link to the next part."""
    limit, start = _page(call)
    document: Json = {
        "limit": limit,
        "first": {"href": _href(call, path, limit)},
        "total_count": len(rows),
        "resources": list(rows[start : start + limit]),
    }
    if start + limit < len(rows):
        document["next"] = {"href": _href(call, path, limit, start + limit)}
    return document


def _page(call: Call) -> tuple[int, int]:
    limit, start = call.one("limit", str(DEFAULT_ROWS)) or "", call.one("start", "0") or ""
    if not (limit.isdecimal() and len(limit) < 4 and 1 <= int(limit) <= MAX_ROWS):
        raise invalid(f"The parameter 'limit' must be between 1 and {MAX_ROWS}.")
    if not (start.isdecimal() and start.isascii() and len(start) < 10):
        raise invalid("The parameter 'start' must come from a list.")
    return int(limit), int(start)


def _href(call: Call, path: str, limit: int, start: int | None = None) -> str:
    query = [(k, v) for k, vs in call.query.items() if k not in {"limit", "start"} for v in vs]
    query.append(("limit", str(limit)))
    if start is not None:
        query.append(("start", str(start)))
    return f"{path}?{urlencode(query)}"
