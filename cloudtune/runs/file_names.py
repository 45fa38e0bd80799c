"""Paths of this machine for files whose names come from elsewhere, such as keys of objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import quote

_MAX_BYTES = 200
"""Of one part of a path: less than all file systems allow, so that a suffix fits."""


def local_names(names: Iterable[str]) -> dict[str, str]:
    """Return a relative path for each name, which is the name itself wherever possible.

    No path leads out of its folder, and no two are the same file, also where upper and lower case
    are the same. A name that is a folder on this machine, or no path at all, is written like a part
    of a URL. A name that ends with a slash is left out: stores have such objects for folders.
    """
    files = sorted(name for name in names if not name.endswith("/"))
    folders = {
        folder.casefold()
        for name in files
        for folder in _parents("/".join(map(_part, name.split("/"))))
    }
    paths: dict[str, str] = {}
    taken: set[str] = set()
    for name in files:
        path = "/".join(map(_part, name.split("/")))
        if path.casefold() in folders | taken:
            path += f"%{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
        taken.add(path.casefold())
        paths[name] = path
    return paths


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _part(part: str) -> str:
    """Return one part of a path that every file system has."""
    if part in {"", ".", ".."}:
        return part.replace(".", "%2E") or "%"
    safe = "".join(
        c if c.isprintable() and c != "\\" else quote(c, errors="surrogatepass") for c in part
    )
    encoded = safe.encode()
    if len(encoded) <= _MAX_BYTES:
        return safe
    digest = hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{encoded[:100].decode(errors='ignore')}%{digest}"
