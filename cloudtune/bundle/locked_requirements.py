"""Requirements as pip reads them, also from a lock: exact versions with hashes.

A lock is ``uv.lock``, ``pylock.toml`` (PEP 751), or the lock of a script with its dependencies in
its header (PEP 723). It is converted without a network, so all services install the same. A header
without a lock is locked by uv when a study is planned, if uv is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from cloudtune.errors import LockError
from cloudtune.study.regular_files import read_regular

if TYPE_CHECKING:
    from cloudtune.bundle.script_header import Header

CONVERTED = "cloudtune-requirements.txt"
"""The file in the copy of the source that pip reads instead of a lock or a script."""
_MAX_BYTES = 64 * 1024**2
_MAX_WAYS = 256
"""Conditions under which a package is needed."""
_NOT_FROM_AN_INDEX = ("git", "vcs", "directory", "editable", "path", "archive")
_EXACT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*={2,3}\s*[^\s,;*]+\s*(;.*)?$")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_HASH = re.compile(r"(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")

Json = Mapping[str, Any]


class Requirements(NamedTuple):
    """Requirements as pip reads them."""

    text: str
    floating: tuple[str, ...]
    """Those of which each trial may get another version."""
    unchecked: str = ""
    """Why it is unknown whether the lock is of what its project requires now."""


def is_converted(name: str | None) -> bool:
    """Return whether a file of requirements is a lock or a script, and not what pip reads."""
    return bool(name) and Path(str(name)).suffix in {".lock", ".toml", ".py"}


def installed_file(name: str | None) -> str | None:
    """Return the file that pip reads, in the copy of the source."""
    return CONVERTED if is_converted(name) else name


def is_unlocked(source: Path, name: str) -> bool:
    """Return whether a file of requirements is a script without a lock next to it."""
    return name.endswith(".py") and not (source / f"{name}.lock").is_file()


def lock_header(source: Path, name: str) -> str:
    """Return what pip reads for the header of a script, as uv locks it now.

    Raises:
        LockError: If uv is absent or fails, or pip cannot check what it has locked.
        OSError: If the script cannot be read.
    """
    from cloudtune.bundle.script_header import lock_with_uv, read_header

    read_header(read_regular(source / name, _MAX_BYTES).decode("utf-8"), name)
    return _join(_read_lock(lock_with_uv(source / name), "uv's lock"))


def read_requirements(source: Path, name: str, locked: str = "") -> Requirements:
    """Return the requirements in a file of a source folder.

    Args:
        source: The source folder.
        name: The file.
        locked: What `lock_header` returned when the study was planned.

    Raises:
        LockError: If a lock or a header cannot be converted.
        OSError: If the file cannot be read.
        UnicodeDecodeError: If it is not text.
    """
    if locked:
        return Requirements(locked, ())
    text = read_regular(source / name, _MAX_BYTES).decode("utf-8")
    if name.endswith(".py"):
        from cloudtune.bundle.script_header import read_header

        header = read_header(text, name)
        dependencies = header.dependencies
        if is_unlocked(source, name):
            floating = _floating(dependencies, "what {} needs")
            return Requirements(_join(dependencies), tuple(floating))
        lock = Path(f"{name}.lock")
        text = read_regular(source / lock, _MAX_BYTES).decode("utf-8")
        return Requirements(_join(_read_lock(text, lock.name, header)), ())
    if not is_converted(name):
        return Requirements(text, tuple(_floating(text.splitlines())))
    lines = _read_lock(text, Path(name).name)
    unchecked = ""
    if Path(name).name == "uv.lock":
        unchecked = _check_project(source / Path(name).parent, text)
    return Requirements(_join(lines), (), unchecked)


def write_requirements(source: Path, name: str | None, locked: str = "") -> None:
    """Write what pip reads into a copy of a source folder, if its requirements are converted.

    Raises:
        LockError: If they cannot be converted.
        OSError: If a file cannot be read or written.
    """
    if name and is_converted(name):
        text = read_requirements(source, name, locked).text
        (source / CONVERTED).write_text(text, "utf-8")


def _read_lock(text: str, file: str, header: Header | None = None) -> list[str]:
    """Return the requirements in a lock; with a script's header, only if it is a lock of it."""
    import tomllib

    try:
        document = tomllib.loads(text)
        if header is not None:
            from cloudtune.bundle.stale_locks import script_changes

            if changes := script_changes(header.dependencies, header.uv, document):
                raise _stale(file, "its script", changes)
        return _pylock(document) if "lock-version" in document else _uv_lock(document, file)
    except tomllib.TOMLDecodeError as error:
        raise LockError(f"{file} is not TOML: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LockError(f"{file} is not a lock that cloudtune can read ({error!r})") from error


def _check_project(folder: Path, lock: str) -> str:
    """Check that a lock of uv has all that the project next to it requires now.

    Returns:
        Why that is unknown; empty if it is known.
    """
    import tomllib

    from cloudtune.bundle.stale_locks import computed_dependencies, project_changes

    if not (folder / "pyproject.toml").is_file():
        return ""
    try:
        document = tomllib.loads(read_regular(folder / "pyproject.toml", _MAX_BYTES).decode())
        changes = project_changes(document, tomllib.loads(lock))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise LockError(f"pyproject.toml: its dependencies cannot be read ({error})") from error
    if changes:
        raise _stale("uv.lock", "pyproject.toml", changes)
    computed = " and ".join(computed_dependencies(document))
    return f"pyproject.toml leaves its {computed} to its build backend" if computed else ""


def _stale(lock: str, of: str, changes: Iterable[str]) -> LockError:
    return LockError(f"{lock} is not of what {of} requires now ({'; '.join(changes)}): lock again")


def _join(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _floating(lines: Iterable[str], exact: str = "") -> Iterator[str]:
    """Yield the names of requirements without an exact version, and files that pip reads, too.

    Args:
        lines: The requirements.
        exact: What else to yield, with ``{}`` for the name, if the version is exact.
    """
    for line in lines:
        text = re.sub(r"(^|\s)#.*|\s--hash=\S+|\\$", "", line).strip()
        if not text or (text.startswith("-") and not text.startswith(("-r", "--requirement"))):
            continue
        name = re.split(r"[\s\[<>=!~;@]", text)[0] if not text.startswith("-") else text
        if not _EXACT.match(text) and "@" not in text:
            yield name
        elif exact:
            yield exact.format(name)


def _line(package: Json, marker: str, hashes: Sequence[str], file: str) -> str:
    """Return one requirement; pip checks the hashes of all requirements or of none."""
    name, version = str(package["name"]), package.get("version")
    places = {*(package.get("source") or ()), *package}
    place = next((key for key in _NOT_FROM_AN_INDEX if key in places), "")
    strong = [each for each in hashes if _HASH.fullmatch(each)]
    damaged = [each for each in hashes if each not in strong and not each.startswith("md5:")]
    reasons = [
        f"it comes from {place}" if place else "",
        "its name is not one of a package" if not _NAME.fullmatch(name) else "",
        f"its version is {version!r}" if version and not _VERSION.fullmatch(str(version)) else "",
        f"its marker is {marker!r}" if marker and not _is_marker(marker) else "",
        f"its hash is {damaged[0]!r}" if damaged else "",
        "it has no version" if not version and not place else "",
        "it has no hash of SHA-256" if not strong and not damaged and not place else "",
    ]
    if why := ", and ".join(filter(None, reasons)):
        shown = name if _NAME.fullmatch(name) else repr(name)
        raise LockError(
            f"{file}: pip cannot check {shown}, since {why}; take it from an index and lock again, "
            "or write a requirements file"
        )
    words = [f"{name}=={version}", *([f"; {marker}"] if marker else [])]
    return " ".join([*words, *(f"--hash={each}" for each in strong)])


def _is_marker(text: str) -> bool:
    """Return whether a text is a marker (PEP 508) on one line."""
    from packaging.markers import InvalidMarker, Marker

    try:
        Marker(text)
    except InvalidMarker:
        return False
    return "\n" not in text


def _join_checked(lines: Iterable[Callable[[], str]]) -> list[str]:
    """Return the lines.

    Raises:
        LockError: With the mistakes in all of them.
    """
    good: list[str] = []
    problems: list[str] = []
    for line in lines:
        try:
            good.append(line())
        except LockError as error:
            problems.append(str(error))
    if problems:
        raise LockError("\n".join(problems))
    return good


def _pylock(document: Json) -> list[str]:
    """Return the requirements in ``pylock.toml`` of version 1, without extras and groups."""
    if not str(document["lock-version"]).startswith("1."):
        raise LockError(f"pylock.toml has the version {document['lock-version']}; 1.0 is known")
    lines: list[Callable[[], str]] = []
    indexes: list[str] = []
    for package in document.get("packages", ()):
        marker = str(package.get("marker", ""))
        if re.search(r"\b(extras|dependency_groups)\b", marker):
            raise LockError(
                f"pylock.toml: {package['name']} depends on extras or groups, which pip does not "
                "choose; export the lock without them"
            )
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        hashes = [f"{kind}:{digest}" for each in files for kind, digest in each["hashes"].items()]
        lines.append(partial(_line, package, marker, sorted({*hashes}), "pylock.toml"))
        indexes += [str(package["index"])] if "index" in package else []
    return _join_checked([*_index_lines(indexes, "pylock.toml"), *lines])


def _index_lines(indexes: Iterable[str], file: str) -> list[Callable[[], str]]:
    return [partial(_index_line, each, file) for each in dict.fromkeys(indexes)]


def _index_line(address: str, file: str) -> str:
    if re.search(r"\s", address) or address.startswith("-"):
        raise LockError(f"{file}: {address!r} is not the address of an index")
    if re.match(r"[^/]*://[^/]*@", address):
        raise LockError(
            f"{file}: the address of an index has a password; remove it, and give pip the password "
            "on the service"
        )
    return f"--extra-index-url {address}"


def _uv_lock(document: Json, file: str) -> list[str]:
    """Return the requirements in a lock of uv: what the project itself depends on, and so on.

    A package that only some systems need has the conditions of all ways that lead to it.
    """
    if document.get("version") != 1:
        raise LockError(f"{file} has the version {document.get('version')}; 1 is known")
    packages: list[Json] = document.get("package", [])
    roots = [each for each in packages if _is_root(each)]
    manifest: Json = document.get("manifest") or {}
    edges: list[Json] = [*manifest.get("requirements", ())]
    for root in roots:
        edges += root.get("dependencies", ())
    if not roots and not edges:
        raise LockError(f"{file} has no project, and no script: lock one of them")
    by_name: dict[str, list[Json]] = {}
    for package in packages:
        by_name.setdefault(str(package["name"]), []).append(package)
    conditions: dict[tuple[int, str], set[frozenset[str]]] = {}
    absent: set[str] = set()
    waiting = [(edge, frozenset[str]()) for edge in edges]
    while waiting:
        edge, before = waiting.pop()
        markers = before | ({str(edge["marker"])} if edge.get("marker") else set[str]())
        needed = str(edge["name"])
        named = by_name.get(needed, [])
        matches = [p for p in named if edge.get("version") in {None, p.get("version")}]
        if not matches:
            absent.add(f"{needed} {edge.get('version', '')}".strip())
        for package in matches:
            if _is_root(package):
                continue
            forks: Sequence[str] = package.get("resolution-markers", ())
            here = markers | ({" or ".join(f"({each})" for each in forks)} if forks else set[str]())
            optional: Json = package.get("optional-dependencies") or {}
            parts = {each: optional.get(each, ()) for each in edge.get("extra", ())}
            for part, inner in {"": package.get("dependencies", ()), **parts}.items():
                known = conditions.setdefault((id(package), part), set())
                if any(each <= here for each in known):
                    continue
                if len(known) >= _MAX_WAYS:
                    raise LockError(f"{file}: {package['name']} has too many conditions")
                known -= {each for each in known if here <= each}
                known.add(here)
                waiting += [(each, here) for each in inner]
    lines: list[Callable[[], str]] = []
    indexes: list[str] = []
    for package in packages:
        if ways := conditions.get((id(package), "")):
            files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
            hashes = sorted({str(each["hash"]) for each in files if "hash" in each})
            lines.append(partial(_line, package, _marker(ways), hashes, file))
            source: Json = package.get("source") or {}
            indexes += [str(source["registry"])] if "registry" in source else []
    lines += [partial(_refuse_absent, name, file) for name in sorted(absent)]
    return _join_checked([*_index_lines(indexes, file), *lines])


def _refuse_absent(name: str, file: str) -> NoReturn:
    raise LockError(f"{file} needs {name!r} and does not have it: lock again")


def _is_root(package: Json) -> bool:
    """Return whether a package of a lock of uv is the project itself."""
    source: Json = package.get("source") or {}
    return "virtual" in source or "." in {source.get("editable"), source.get("directory")}


def _marker(ways: Iterable[frozenset[str]]) -> str:
    """Return the condition under which one of several ways leads to a package."""
    texts = [" and ".join(f"({each})" for each in sorted(way)) for way in ways]
    return "" if "" in texts else " or ".join(sorted(texts))
