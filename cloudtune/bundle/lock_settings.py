"""The settings of uv that choose versions, in a project and in its lock."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

Json = Mapping[str, Any]

PYTHONS = tuple(f"3.{minor}" for minor in range(7, 17))
"""The Pythons for which two markers, or two ranges, are compared."""
_PYTHON_VERSIONS = tuple(f"{python}.{patch}" for python in PYTHONS for patch in range(21))
_OPTIONS = {
    "resolution": ("resolution-mode", "highest"),
    "prerelease": ("prerelease-mode", "if-necessary-or-explicit"),
    "fork-strategy": ("fork-strategy", "requires-python"),
}
"""The settings of uv that choose versions: how a lock names each, and the default, which it omits.
A lock with another value than the default may have it from the command line."""
_INDEX_VARIABLES = {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"}


def option_changes(uv: Json, lock: Json) -> list[str]:
    """Return the options that have changed, and the times up to which versions count."""
    changes: list[str] = []
    options: Json = lock.get("options") or {}
    for field, (key, default) in _OPTIONS.items():
        if field in uv and uv[field] != (locked := options.get(key, default)):
            changes.append(f"{field}: {uv[field]}, locked {locked}")
    if uv.get("exclude-newer") and not options.keys() & {"exclude-newer", "exclude-newer-span"}:
        changes.append(f"exclude-newer: {uv['exclude-newer']}, locked nothing")
    return changes + _cutoff_changes(uv, options)


def _cutoff_changes(uv: Json, options: Json) -> list[str]:
    """Return the packages of which other versions count, by their time.

    As for uv, a later time alone changes nothing. One that is relative, such as three weeks, moves
    with the day of the lock, and a lock may have more of them from the command line.
    """
    now: Json = uv.get("exclude-newer-package") or {}
    locked: Json = options.get("exclude-newer-package") or {}
    before = {canonicalize_name(name): _time(each) for name, each in locked.items()}
    changes: list[str] = []
    for name, each in now.items():
        new, old = _time(each), before.get(canonicalize_name(name))
        is_earlier = isinstance(new, datetime) and isinstance(old, datetime) and new < old
        if type(new) is not type(old) or is_earlier:
            changes.append(f"exclude-newer-package: {name}")
    return changes


def _time(value: object) -> datetime | bool | str:
    """Return a time; a text for one that is relative, and False for no limit."""
    if isinstance(value, bool):
        return value
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return "relative"
    is_date = "T" not in str(value).upper()  # uv counts the whole day
    found += timedelta(days=is_date)
    return found if found.tzinfo else found.astimezone()


def conflict_changes(uv: Json, lock: Json, project: str) -> list[str]:
    """Return the conflicts that a lock lacks, or has too many.

    It also has those of groups that include one with a conflict, and of other members.
    """
    now, before = (
        {
            frozenset(
                (canonicalize_name(item.get("package", project)), kind, canonicalize_name(name))
                for item in conflict
                for kind in ("extra", "group")
                if (name := item.get(kind))
            )
            for conflict in conflicts or ()
        }
        for conflicts in (uv.get("conflicts"), lock.get("conflicts"))
    )
    manifest: Json = lock.get("manifest") or {}
    kept = {
        each
        for each in before - now
        if manifest.get("members") or any(kind == "group" for _, kind, _ in each)
    }
    return [
        f"conflicts: {' and '.join(sorted(name for _, _, name in each))}"
        for each in sorted((now ^ before) - kept, key=sorted)
    ]


def python_changes(project: Json, lock: Json) -> list[str]:
    """Return whether a project is for other Pythons than its lock, which writes them as it likes.

    The lock of a workspace is for those of all its members.
    """
    now, before = project.get("requires-python"), lock.get("requires-python")
    manifest: Json = lock.get("manifest") or {}
    if not now or not before or manifest.get("members"):
        return []
    new, old = SpecifierSet(now), SpecifierSet(before)
    if all((each in new) == (each in old) for each in _PYTHON_VERSIONS):
        return []
    return [f"requires-python: {now}, locked {before}"]


def index_changes(uv: Json, lock: Json) -> list[str]:
    """Return the indexes of a lock that are no longer named.

    As for uv, a further index alone changes nothing. Without a default index of the project, the
    settings of a machine may name them.
    """
    tables: Sequence[Json] = uv.get("index") or ()
    named = {address_of(each["url"]) for each in tables}
    named |= {address_of(each) for each in uv.get("extra-index-url") or ()}
    if "index-url" in uv:
        named.add(address_of(uv["index-url"]))
    elif not any(each.get("default") for each in tables):
        return []
    packages: Sequence[Json] = lock.get("package") or ()
    sources: list[Json] = [each["source"] for each in packages if "source" in each]
    registries = {address_of(each["registry"]) for each in sources if "registry" in each}
    remote = {each for each in registries if each.startswith(("http://", "https://"))}
    if os.environ.keys() & _INDEX_VARIABLES:
        return []
    return [f"index: {each} is no longer one" for each in sorted(remote - named)]


def address_of(url: str) -> str:
    """Return the address of an index without its credentials, as a lock writes it."""
    scheme, separator, rest = url.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
