"""Whether a lock of uv is of what its project or script requires now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from cloudtune.bundle.lock_settings import (
    PYTHONS,
    address_of,
    conflict_changes,
    index_changes,
    option_changes,
    python_changes,
)

Json = Mapping[str, Any]

_SYSTEMS = (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt"))
_MACHINES = ("x86_64", "aarch64")
_ENVIRONMENTS = tuple(
    {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_system": platform,
        "os_name": name,
        "platform_machine": machine,
    }
    for python in PYTHONS
    for system, platform, name in _SYSTEMS
    for machine in _MACHINES
)
"""Where two markers are compared, since uv writes them in its own form."""


_KINDS = {
    "url": "url",
    "git": "git",
    **dict.fromkeys(("path", "workspace", "directory", "editable", "virtual"), "a folder or file"),
}
_PREFIXES = {"git+": "git", "file:": "a folder or file"}


class _Need(NamedTuple):
    """A requirement, so that two are equal if they mean the same."""

    name: str
    parts: frozenset[str]
    """Its extras."""
    versions: SpecifierSet | None
    """None if it does not come from an index by its version."""
    where: tuple[bool, ...]
    """For each environment, whether it is needed."""


class _Declared(NamedTuple):
    """Metadata that a project declares of a package."""

    name: str
    version: str | None
    needs: frozenset[_Need]
    pythons: SpecifierSet
    extras: frozenset[str]


def project_changes(pyproject: Json, lock: Json) -> list[str]:
    """Return how a project differs from its lock: a text for each package, in their order.

    Its optional dependencies and groups count, too; what a backend computes does not.

    Raises:
        ValueError: If a dependency is invalid; other exceptions if the documents are malformed.
    """
    tools: Json = pyproject.get("tool") or {}
    uv: Json = tools.get("uv") or {}
    project: Json = pyproject.get("project") or {}
    changes = _manifest_changes(uv, lock) + python_changes(project, lock)
    name = canonicalize_name(str(project.get("name", "")))
    changes += conflict_changes(uv, lock, name)
    packages: Sequence[Json] = lock.get("package", ())
    root = next((each for each in packages if canonicalize_name(each["name"]) == name), None)
    if not project:
        return changes
    if root is None:
        return [f"it has no project {name}"]
    metadata: Json = root.get("metadata") or {}
    if not computed_dependencies(pyproject):
        optional: Mapping[str, list[str]] = project.get("optional-dependencies") or {}
        now = [*_parsed(project.get("dependencies", ()))]
        for extra, lines in optional.items():
            now += [_with_extra(each, extra) for each in _parsed(lines)]
        if root.get("dependencies") and "requires-dist" not in metadata:  # a lock of an early uv
            known = {canonicalize_name(each["name"]) for each in [root, *root["dependencies"]]}
            needed = [*_parsed(project.get("dependencies", ()))]
            changes += [e.name for e in needed if canonicalize_name(e.name) not in known]
        else:
            locked = metadata.get("requires-dist", ())
            changes += _changes(now, locked, uv, ["", *optional]) or _moved(now, locked, uv)
    groups: Json = pyproject.get("dependency-groups") or {}
    development: Json = metadata.get("requires-dev") or {}
    for group in {**groups, **development}:
        now = [*_group_requirements(groups, uv.get("dependency-groups") or {}, group)]
        now += _parsed(uv.get("dev-dependencies", ()) if group == "dev" else ())
        locked = development.get(group, ())
        changes += _changes(now, locked, uv, [""]) or _moved(now, locked, uv)
    return list(dict.fromkeys(changes))


def computed_dependencies(pyproject: Json) -> list[str]:
    """Return the fields with dependencies that the project's backend computes."""
    project: Json = pyproject.get("project") or {}
    fields = ("dependencies", "optional-dependencies")
    return [each for each in fields if each in project.get("dynamic", ())]


def script_changes(dependencies: Iterable[str], uv: Json, lock: Json) -> list[str]:
    """Return how the header of a script differs from its lock.

    Args:
        dependencies: Its dependencies.
        uv: Its table ``tool.uv``.
        lock: The lock.

    Raises:
        ValueError: If a dependency is invalid; other exceptions if the documents are malformed.
    """
    manifest: Json = lock.get("manifest") or {}
    now, locked = [*_parsed(dependencies)], manifest.get("requirements", ())
    changes = _changes(now, locked, uv, [""]) or _moved(now, locked, uv)
    return [*changes, *_manifest_changes(uv, lock)]


def _manifest_changes(uv: Json, lock: Json) -> list[str]:
    """Return the constraints, overrides, settings and indexes that have changed."""
    manifest: Json = lock.get("manifest") or {}
    changes: list[str] = []
    for field, key in (
        ("constraint-dependencies", "constraints"),
        ("override-dependencies", "overrides"),
        ("build-constraint-dependencies", "build-constraints"),
    ):
        now = [*_parsed(uv.get(field, ()))]
        changes += [f"{field}: {each}" for each in _changes(now, manifest.get(key, ()), uv, [""])]
    changes += option_changes(uv, lock)
    new_names, old_names = (
        {*map(canonicalize_name, names)}
        for names in (uv.get("exclude-dependencies", ()), manifest.get("excludes", ()))
    )
    changes += [f"exclude-dependencies: {each}" for each in sorted(new_names ^ old_names)]
    declared, known = (
        {_declared(each) for each in tables or ()}
        for tables in (uv.get("dependency-metadata"), manifest.get("dependency-metadata"))
    )
    different = sorted({each.name for each in declared ^ known})
    changes += [f"dependency-metadata: {each}" for each in different]
    for field, key in (
        ("environments", "supported-markers"),
        ("required-environments", "required-markers"),
    ):
        new, old = _markers(uv.get(field, ())), _markers(lock.get(key, ()))
        if [*map(_holds, new)] != [*map(_holds, old)]:
            changes.append(f"{field}: {_any(new)}, locked {_any(old)}")
    return changes + index_changes(uv, lock)


def _declared(table: Json) -> _Declared:
    """Return metadata that a project declares of a package, so that two are equal alike."""
    extras = [*map(canonicalize_name, table.get("provides-extras", ()))]
    needs = _parsed(table.get("requires-dist", ()))
    return _Declared(
        str(canonicalize_name(table["name"])),
        table.get("version"),
        frozenset(_need(each, (), ["", *extras]) for each in needs),
        SpecifierSet(table.get("requires-python", "")),
        frozenset(extras),
    )


def _markers(texts: str | Iterable[str]) -> list[Marker]:
    return [*map(Marker, [texts] if isinstance(texts, str) else texts)]


def _holds(marker: Marker) -> tuple[bool, ...]:
    return tuple(marker.evaluate(environment) for environment in _ENVIRONMENTS)


def _any(markers: Iterable[Marker]) -> str:
    return " or ".join(map(str, markers)) or "all"


def _changes(
    now: Sequence[Requirement], locked: Iterable[Json], uv: Json, extras: Sequence[str]
) -> list[str]:
    before = [*map(_locked_requirement, locked)]
    linked = {canonicalize_name(each.name) for each in [*now, *before] if each.url}
    free = {*_sources(uv), *linked}
    texts: list[dict[_Need, str]] = [{}, {}]
    for requirements, known in zip((now, before), texts, strict=True):
        for each in requirements:
            known[_need(each, free, extras)] = str(each)
    new, old = texts
    changed = {need.name: None for need in [*new, *old] if (need in new) != (need in old)}
    return [
        f"{name}: {_sides(name, new) or 'nothing'}, locked {_sides(name, old) or 'nothing'}"
        for name in changed
    ]


def _moved(now: Iterable[Requirement], locked: Iterable[Json], uv: Json) -> list[str]:
    """Return which requirements come from another place than their lock says."""
    sources, tables = _sources(uv), uv.get("index") or ()
    indexes = {"": "", **{str(each.get("name")): str(each["url"]) for each in tables}}
    addresses: dict[str, list[Json]] = {}
    for each in now:
        own = [{"url": each.url}] if each.url else []
        addresses.setdefault(canonicalize_name(each.name), []).extend(own)
    before: dict[str, list[Json]] = {}
    for entry in locked:
        before.setdefault(canonicalize_name(entry["name"]), []).append(entry)
    texts: list[str] = []
    for name in addresses.keys() & before.keys():
        entries = [*addresses[name], *sources.get(name, ())]
        if any(each.get("index", "") not in indexes for each in entries):
            continue  # it is named elsewhere, as at the root of a workspace
        entries = [{**each, "index": indexes[each.get("index", "")]} for each in entries]
        always = [each for each in entries if not each.keys() & {"marker", "extra", "group"}]
        places, was = _places(entries), _places(before[name])
        if not _places(always) <= was <= places:
            texts.append(f"{name}: {_from(places)}, locked {_from(was)}")
    return sorted(texts)


def _sources(uv: Json) -> dict[str, list[Json]]:
    own: Json = uv.get("sources") or {}
    return {
        canonicalize_name(name): [*entry] if isinstance(entry, list) else [entry]
        for name, entry in own.items()
    }


def _places(entries: Iterable[Json]) -> set[str]:
    """Return where a package comes from if not from any index: an address, or the kind of place."""
    places: set[str] = set()
    for entry in entries:
        if index := entry.get("index"):
            places.add(f"index {address_of(index)}")
        kind = next((_KINDS[key] for key in entry if key in _KINDS), None)
        address = str(entry.get("url", ""))
        if kind == "url":
            kind = next((k for p, k in _PREFIXES.items() if address.startswith(p)), kind)
        if kind:
            places.add(address.partition("#")[0] if kind == "url" else kind)
    return places


def _from(places: Iterable[str]) -> str:
    return f"from {' and '.join(sorted(places)) or 'an index'}"


def _sides(name: str, texts: Mapping[_Need, str]) -> str:
    return " and ".join(text for need, text in texts.items() if need.name == name)


def _need(each: Requirement, free: Collection[str], extras: Sequence[str]) -> _Need:
    name = canonicalize_name(each.name)
    parts = frozenset(map(canonicalize_name, each.extras))
    if name in free:  # uv writes where it comes from, and may split it by its sources
        return _Need(name, parts, None, ())
    marker = each.marker
    where = tuple(
        marker is None or marker.evaluate({**environment, "extra": extra})
        for environment in _ENVIRONMENTS
        for extra in extras
    )
    return _Need(name, parts, each.specifier, where)


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    return map(Requirement, lines)


def _with_extra(each: Requirement, extra: str) -> Requirement:
    own = f"extra == '{extra}'"
    each.marker = Marker(f"({each.marker}) and {own}" if each.marker else own)
    return each


def _locked_requirement(data: Json) -> Requirement:
    each = Requirement(str(data["name"]))
    each.extras = {*data.get("extras", data.get("extra", ()))}
    each.specifier = SpecifierSet(data.get("specifier", ""))
    each.marker = Marker(data["marker"]) if data.get("marker") else None
    places = ("git", "url", "path", "directory", "editable", "virtual")
    each.url = next((str(data[key]) for key in places if key in data), None)
    return each


def _group_requirements(
    groups: Json, settings: Json, name: str, outer: Mapping[str, str] | None = None
) -> Iterator[Requirement]:
    """Yield the dependencies of a group and of those that it includes, for their Pythons."""
    wanted, outer = canonicalize_name(name), outer or {}
    if wanted in outer:
        return
    own: list[Json] = [each for key, each in settings.items() if canonicalize_name(key) == wanted]
    pythons = ",".join(each["requires-python"] for each in own if "requires-python" in each)
    inner = {**outer, wanted: pythons}
    for key, lines in groups.items():
        for line in lines if canonicalize_name(key) == wanted else ():
            if isinstance(line, str):
                yield _for_pythons(Requirement(line), SpecifierSet(",".join(inner.values())))
            else:
                yield from _group_requirements(groups, settings, line["include-group"], inner)


def _for_pythons(each: Requirement, pythons: SpecifierSet) -> Requirement:
    markers = [f"({each.marker})"] if each.marker else []
    markers += [f"python_full_version {one.operator} '{one.version}'" for one in pythons]
    each.marker = Marker(" and ".join(markers)) if markers else None
    return each
