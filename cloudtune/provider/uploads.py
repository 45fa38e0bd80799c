"""Uploads at a service that runs with the same content share.

An upload has a folder that is named after a hash of its content. ``files/`` in it contains the
files, ``complete`` exists when all of them are there, and ``runs/RUN`` exists for each run that
uses them. Thus every run, on any machine, knows whether it must upload something, and whether
another run still needs what it no longer does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cloudtune.errors import ProviderError, UsageError
from cloudtune.provider.facts import Facts, Inputs
from cloudtune.provider.lookup import find_inputs, input_files
from cloudtune.study.regular_files import open_regular
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.provider.plan import Plan

_FILES, _RUNS, _COMPLETE = "files/", "runs/", "complete"
_MAX_PARALLEL = 8
_ADDRESS = re.compile(rf"(?P<folder>.+/uploads/[0-9a-f]{{32}}/){_FILES}")


class Folders(Protocol):
    """Folders of objects at a service. Every call may raise `ProviderError`."""

    def list(self, folder: str) -> Mapping[str, int]:
        """Return the sizes of the objects in a folder, whose address ends with a slash.

        Without the bucket there are none.
        """
        ...

    def delete(self, addresses: Collection[str]) -> None:
        """Delete objects; missing ones are ignored."""
        ...


class Storage(Folders, Protocol):
    """Objects at a service, by address. Every call may raise `ProviderError`."""

    def exists(self, address: str) -> bool:
        """Return whether there is an object."""
        ...

    def write(self, address: str, content: bytes) -> None:
        """Write a small object."""
        ...

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files to addresses."""
        ...


@dataclass(frozen=True)
class Uploads:
    """What a run has uploaded."""

    storage: Folders
    addresses: Sequence[str]
    """The addresses of the folders with the files, as `upload_address` returns them."""
    own_folders: Sequence[str] = ()
    """The addresses of folders that belong only to the run."""
    noun: str = "file"
    """The objects in the folders; only those of files have sizes."""
    outputs: Sequence[str] = ()
    """The folders with what the trials wrote, which stays when uploads are removed."""


@dataclass(frozen=True)
class RemoteUpload:
    """An upload as it is at the service."""

    address: str
    files: int
    size: int | None
    """In bytes; None if the objects are not files."""
    other_runs: int
    """How many other runs use it."""
    noun: str = "file"
    """The objects in it."""


def upload_address(base: str, digest: str) -> str:
    """Return the address of the folder with the files of an upload, which ends with a slash.

    Args:
        base: The address below which all uploads are.
        digest: A hash of the content, of at least 32 hexadecimal digits.
    """
    return f"{base}/uploads/{digest[:32]}/{_FILES}"


def shared_inputs(
    study: Study,
    facts: Facts,
    provider: str,
    base: str,
    *,
    is_remote: Callable[[str], bool] = lambda address: "://" in address,
) -> Inputs:
    """Return the inputs as `find_inputs` does; uploads are at addresses of their content.

    So runs share them.
    """
    inputs = find_inputs(study, facts, provider, base, is_remote=is_remote)
    folders = {
        name: upload_address(base, content_hash(Path(path))).rstrip("/")
        for name, path in inputs.uploads.items()
    }
    return replace(inputs, addresses={**inputs.addresses, **folders})


def content_hash(path: Path) -> str:
    """Return a hash of the names and contents of the files in a folder, or of one file.

    An absent path has a hash, too. Files that have not changed are read once per process.

    Raises:
        OSError: If a file cannot be read.
    """
    total = hashlib.sha256()
    for name, file in sorted(input_files(path)) if path.exists() else ():
        status = file.stat()
        digest = _file_hash(str(file), status.st_size, status.st_mtime_ns, status.st_ino)
        total.update(f"{len(name.encode())} {name} {digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=100_000)
def _file_hash(file: str, _size: int, _changed: int, _inode: int) -> str:
    with open_regular(file) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def upload_inputs(storage: Storage, plan: Plan) -> None:
    """Upload the local inputs of a run that are not at the service yet.

    Raises:
        ProviderError: If a file cannot be read, or a call fails.
    """
    uploads = plan.facts.lookup.inputs.uploads
    for address, path in zip(_input_addresses(plan), uploads.values(), strict=True):
        read = partial(list_input, plan.provider, Path(path), address)
        upload_once(storage, address, plan.facts.run_id, read)


def input_folders(plan: Plan) -> list[str]:
    """Return the addresses of the folders with the local inputs of a run."""
    return [*dict.fromkeys(_input_addresses(plan))]


def _input_addresses(plan: Plan) -> list[str]:
    inputs = plan.facts.lookup.inputs
    return [f"{str(inputs.addresses[name]).rstrip('/')}/" for name in inputs.uploads]


def upload_files(
    provider: str, upload: Callable[[str, Path], object], files: Mapping[str, Path]
) -> None:
    """Upload files to addresses, several at a time.

    Raises:
        ProviderError: If a file cannot be read, or a call fails.
    """
    try:
        _in_parallel(partial(upload, address, file) for address, file in files.items())
    except OSError as error:
        raise ProviderError(provider, f"cannot read an input: {error}") from error


def delete_each(delete: Callable[[str], object], addresses: Iterable[str]) -> None:
    """Delete objects, several at a time.

    Raises:
        ProviderError: If a call fails.
    """
    _in_parallel(partial(delete, address) for address in addresses)


def _in_parallel(calls: Iterable[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        futures = [pool.submit(call) for call in calls]
    for future in futures:
        future.result()


def upload_once(
    storage: Storage, address: str, run: str, prepare: Callable[[], Mapping[str, Path]]
) -> None:
    """Upload files unless they are at the service already, and record that a run uses them.

    Args:
        storage: The service's storage.
        address: The folder of the files, as `upload_address` returns it.
        run: The run's id.
        prepare: Returns the files by name; only called if something is missing.

    Raises:
        ProviderError: If a call fails.
        UsageError: If an older version, which did not share uploads, planned the run.
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(
            f"another version of cloudtune planned this run, with uploads at {address}; continue "
            "with that version, or plan the study again"
        )
    folder = _folder(address)
    storage.write(f"{folder}{_RUNS}{run}", b"")
    if storage.exists(f"{folder}{_COMPLETE}"):
        return
    files = {f"{address}{name}": file for name, file in prepare().items()}
    stored = storage.list(address)
    storage.upload(
        {each: file for each, file in files.items() if stored.get(each) != file.stat().st_size}
    )
    storage.write(f"{folder}{_COMPLETE}", b"")


def list_input(provider: str, path: Path, address: str) -> dict[str, Path]:
    """Return the files of an input by name, for `upload_once`.

    Raises:
        ProviderError: If it is empty, cannot be read, or is not what the address was made for.
    """
    try:
        if address != upload_address(address.partition("/uploads/")[0], content_hash(path)):
            raise ProviderError(
                provider, f"the input {path} has changed since it was planned; plan the study again"
            )
        files = dict(input_files(path))
    except OSError as error:
        raise ProviderError(provider, f"cannot read an input: {error}") from error
    if not files:
        raise ProviderError(provider, f"the input {path} is empty")
    return files


def find_uploads(uploads: Uploads, runs: Collection[str]) -> list[RemoteUpload]:
    """Return those of a run's uploads that exist; ``runs`` do not count as other runs.

    Raises:
        ProviderError: If a call fails.
        UsageError: If an address is not one of the runs' uploads.
    """
    _check_addresses(uploads, runs)
    found: list[RemoteUpload] = []
    for folder in uploads.own_folders:
        if sizes := uploads.storage.list(folder):
            size = sum(sizes.values()) if uploads.noun == "file" else None
            found.append(RemoteUpload(folder, len(sizes), size, 0, uploads.noun))
    for address in uploads.addresses:
        sizes = uploads.storage.list(address)
        users = _users(uploads.storage, address)
        if sizes or users:
            found.append(
                RemoteUpload(address, len(sizes), sum(sizes.values()), len(users - set(runs)))
            )
    return found


def remove_uploads(uploads: Uploads, run: str, *, outputs: bool = False) -> None:
    """Remove a run from the users of its uploads, and the files that no other run uses.

    With ``outputs``, also remove what its trials wrote.

    Raises:
        ProviderError: If a call fails.
        UsageError: If an address is not one of the run's uploads; then nothing is removed.
    """
    _check_addresses(uploads, [run])
    storage = uploads.storage
    for folder in (*uploads.own_folders, *(uploads.outputs if outputs else ())):
        storage.delete(list(storage.list(folder)))
    for address in uploads.addresses:
        is_removed = _remove_unused(storage, address, run)
        storage.delete([f"{_folder(address)}{_RUNS}{run}"])
        if not is_removed:  # the others may have ended meanwhile, and left it to this run
            _remove_unused(storage, address, run)


def _remove_unused(storage: Folders, address: str, run: str) -> bool:
    """Remove the files of an upload that no other run uses; return whether that is so."""
    if _users(storage, address) - {run}:
        return False
    storage.delete([f"{_folder(address)}{_COMPLETE}"])  # first: the next run uploads again
    if _users(storage, address) - {run}:  # a run may have begun before that
        return False
    storage.delete(list(storage.list(address)))
    return True


def _users(storage: Folders, address: str) -> set[str]:
    runs = f"{_folder(address)}{_RUNS}"
    return {each.removeprefix(runs) for each in storage.list(runs)}


def _check_addresses(uploads: Uploads, runs: Collection[str]) -> None:
    """Check that only uploads of runs can be removed, whatever a damaged plan says.

    A folder of a run is named after it, below a bucket or another folder.
    """
    names = tuple(f"-{run}" for run in runs)
    for address in (*uploads.own_folders, *uploads.outputs):
        has_bucket = "://" in address
        parts = address.partition("://")[2].split("/")[1:] if has_bucket else address.split("/")
        if ".." in parts or not any(part in runs or part.endswith(names) for part in parts):
            raise UsageError(f"not a folder of run {', '.join(runs)}: {address}")
    for address in uploads.addresses:
        if ".." in address.split("/") or not _ADDRESS.fullmatch(address):
            raise UsageError(f"not the address of an upload: {address}")


def _folder(address: str) -> str:
    match = _ADDRESS.fullmatch(address)
    assert match
    return match["folder"]
