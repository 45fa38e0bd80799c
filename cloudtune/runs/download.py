"""Fetches the files of a trial: all of them into a new folder, or none.

The files are first written next to the target, to ``TARGET.partial``. A later call continues there
with what is missing, unless a file has changed in the meantime.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from cloudtune.bundle.unpack import BadArchive, unpack
from cloudtune.errors import CloudtuneError, ProviderError, UsageError
from cloudtune.launcher.values import expand_maps
from cloudtune.provider.trial_files import TrialFiles
from cloudtune.results.model import StudyResult, Trial, encode_json
from cloudtune.runs.logs import FileLog, ServiceLog
from cloudtune.study.quantities import format_bytes
from cloudtune.study.regular_files import read_regular

LOG, MANIFEST = "log.txt", "trial.json"
_FILES, _ARCHIVES, _STATE, _LOCK = "files", "archives", "state.json", "lock"
"""In the folder of what is not complete."""
_MAX_MANIFEST = 256 * 1024**2


@dataclass(frozen=True)
class Fetch:
    """What a trial has, and where it is to be."""

    result: StudyResult
    trial: Trial
    target: Path
    stored: TrialFiles
    log: FileLog | ServiceLog | None
    paths: Mapping[str, str]
    """The path of each file in the target, by the one that it is to have."""
    notes: tuple[str, ...] = ()
    """Why this trial is the best, if a confirmation says so."""

    @property
    def partial(self) -> Path:
        """The folder of an incomplete fetch."""
        return self.target.with_name(f"{self.target.name}.partial")

    @property
    def size(self) -> int:
        """The bytes of all files as they are stored, without a log at a service."""
        return sum(file.size for file in self.stored.files.values())


@dataclass
class Fetched:
    """A trial on this machine."""

    folder: Path
    files: dict[str, int]
    """The size of each file by its path."""
    missing: list[str] = field(default_factory=list[str])
    """What is not there, or not as it was, and why."""


def is_complete(fetch: Fetch) -> bool:
    """Return whether the target has this trial already, unchanged.

    Raises:
        UsageError: If the target is anything else than a new or empty folder.
    """
    target = fetch.target
    if not target.exists() and not target.is_symlink():
        return False
    if target.is_dir() and not any(target.iterdir()):
        return False
    manifest = _read(target / MANIFEST)
    if {key: manifest.get(key) for key in _identity(fetch)} != _identity(fetch):
        raise UsageError(f"{target} exists already: name another folder with -o")
    sizes: Mapping[str, int] = manifest.get("files") or {}
    has_all = all(_size(target / path) == size for path, size in sizes.items())
    if manifest.get("stored") != _stored(fetch) or not has_all:
        raise UsageError(
            f"{target} has files of this trial that have changed here or where it ran: remove it, "
            "or name another folder with -o"
        )
    return True


def read_fetched(fetch: Fetch) -> Fetched:
    """Return what is in the target, which is complete."""
    manifest = _read(fetch.target / MANIFEST)
    return Fetched(fetch.target, dict(manifest["files"]), list(manifest["missing"]))


def download(fetch: Fetch, progress: Callable[[int], None]) -> Fetched:
    """Fetch all files, and then create the target.

    Args:
        fetch: What to fetch.
        progress: Receives the number of bytes whenever some have arrived.

    Raises:
        UsageError: If the disk is too small, or another process fetches into this folder.
        ProviderError: If the service cannot be reached, or a file is damaged or has changed.
        OSError: If a file cannot be read or written.
    """
    partial = fetch.partial
    if not is_partial(partial):
        raise UsageError(
            f"{partial} is needed for what is not complete, but is not from a fetch: rename it, or "
            "name another folder with -o"
        )
    partial.mkdir(parents=True, exist_ok=True)
    with _lock(partial):
        _forget_changed(partial, fetch)
        places = {
            name: partial / _ARCHIVES / name
            if name in fetch.stored.archives
            else partial / _FILES / fetch.paths[name]
            for name in fetch.stored.files
        }
        _check_space(partial, fetch, places)
        (partial / _FILES).mkdir(exist_ok=True)
        for name, place in places.items():
            _copy(fetch, name, place, progress)
        missing = [*fetch.stored.missing, *_unpack(partial, fetch), *_save_log(partial, fetch)]
        missing += [
            f"{name}: its name is no path here, so it is {path}"
            for name, path in fetch.paths.items()
            if name != path
        ]
        return _finish(partial, fetch, missing)


def is_partial(path: Path) -> bool:
    """Return whether a path is new, or a folder with nothing but an incomplete fetch."""
    if not path.is_dir() or path.is_symlink():
        return not os.path.lexists(path)
    names = {each.name for each in path.iterdir()}
    return names <= {_LOCK} or (
        names <= {_FILES, _ARCHIVES, _STATE, _LOCK} and "of" in _read(path / _STATE)
    )


def _finish(partial: Path, fetch: Fetch, missing: list[str]) -> Fetched:
    folder, target = partial / _FILES, fetch.target
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    if not files:
        shutil.rmtree(partial)
        reasons = "".join(f"\n  {each}" for each in missing)
        raise UsageError(f"trial {fetch.trial.number} has left no files{reasons}")
    trial, result = fetch.trial, fetch.result
    manifest = {
        **_identity(fetch),
        "parameters": expand_maps(result.study.maps, trial.parameters),
        "objective": trial.objective,
        "metrics": dict(trial.metrics),
        "files": files,
        "missing": missing,
        "stored": _stored(fetch),
    }
    text = encode_json(manifest) + "\n"
    # Bytes of a name that are not UTF-8 become escapes that JSON reads.
    (folder / MANIFEST).write_text(text, "utf-8", errors="backslashreplace")
    folder.rename(target)
    shutil.rmtree(partial, ignore_errors=True)
    return Fetched(target, files, missing)


def _identity(fetch: Fetch) -> dict[str, object]:
    result = fetch.result
    return {"run": result.run, "provider": result.provider, "trial": fetch.trial.number}


def _stored(fetch: Fetch) -> dict[str, object]:
    return {name: asdict(file) for name, file in fetch.stored.files.items()}


def _forget_changed(partial: Path, fetch: Fetch) -> None:
    """Remove what an earlier call has fetched of files that are not the same any more."""
    now = {
        "of": [_identity(fetch), dict(fetch.stored.archives)],
        "paths": dict(fetch.paths),
        "stored": _stored(fetch),
    }
    earlier = _read(partial / _STATE)
    paths: Mapping[str, str] = earlier.get("paths") or {}
    is_same = all(fetch.paths.get(name, path) == path for name, path in paths.items())
    if earlier.get("of") != now["of"] or not is_same:
        for folder in (_FILES, _ARCHIVES):
            shutil.rmtree(partial / folder, ignore_errors=True)
    stored: Mapping[str, object] = earlier.get("stored") or {}
    for name, about in stored.items():
        if about != _stored(fetch).get(name):
            place = partial / _FILES / paths[name] if name in paths else partial / _ARCHIVES / name
            place.unlink(missing_ok=True)
    (partial / _STATE).write_text(json.dumps(now), "utf-8")


def _check_space(partial: Path, fetch: Fetch, places: Mapping[str, Path]) -> None:
    needed = sum(
        max(0, file.size - (_size(places[name]) or 0)) for name, file in fetch.stored.files.items()
    )
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise UsageError(
            f"the files need {format_bytes(needed)} more, and {format_bytes(free)} are free in "
            f"{partial.parent}"
        )


def _copy(fetch: Fetch, name: str, place: Path, progress: Callable[[int], None]) -> None:
    """Fetch what is missing of one file, and check it."""
    file, provider = fetch.stored.files[name], fetch.result.provider
    place.parent.mkdir(parents=True, exist_ok=True)
    size = _size(place) or 0
    if size > file.size:
        place.unlink()
        size = 0
    progress(size)
    with place.open("ab") as target:
        for part in fetch.stored.read(file, size) if size < file.size else ():
            size += len(part)
            if size > file.size:
                break
            target.write(part)
            progress(len(part))
    if size != file.size:
        message = f"{name} is not complete, or has changed: repeat the command"
        raise ProviderError(provider, message, retryable=True)
    if file.md5 and _md5(place) != file.md5:
        place.unlink()
        message = f"{name} is damaged, by its MD5 hash: repeat the command"
        raise ProviderError(provider, message, retryable=True)


def _unpack(partial: Path, fetch: Fetch) -> list[str]:
    """Unpack the archives; return what is not as in them."""
    notes: list[str] = []
    for name, folder in fetch.stored.archives.items():
        place = partial / _FILES / folder
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            free = shutil.disk_usage(partial).free
            notes += [
                f"{folder}: {each}" for each in unpack(partial / _ARCHIVES / name, place, free)
            ]
        except BadArchive as error:
            raise ProviderError(fetch.result.provider, f"{name}: {error}") from error
    return notes


def _save_log(partial: Path, fetch: Fetch) -> Iterable[str]:
    """Write the log; return why there is none."""
    place = partial / _FILES / LOG
    if isinstance(fetch.log, FileLog):
        shutil.copyfile(fetch.log.path, place)
        return
    if fetch.log is None:
        yield "log: there is none"
        return
    try:
        lines = fetch.log.lines()
        if lines is None:
            yield f"log: it cannot be read here; its address is {fetch.log.address}"
            return
        with place.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in lines)
    except CloudtuneError as error:
        place.unlink(missing_ok=True)
        if isinstance(error, ProviderError) and error.retryable:
            raise
        yield f"log: {error}"


@contextmanager
def _lock(folder: Path) -> Generator[None]:
    import fcntl

    with (folder / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another process fetches into {folder}: wait for its end") from error
        yield


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is none."""
    try:
        content = json.loads(read_regular(path, _MAX_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _size(path: Path) -> int | None:
    """Return the size of a regular file, or None if there is none."""
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
