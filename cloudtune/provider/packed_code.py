"""The code of a run as one file, in the folder of its job on this machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.bundle.archive import write_archive
from cloudtune.bundle.launcher import SOURCE
from cloudtune.errors import ProviderError

if TYPE_CHECKING:
    from cloudtune.provider.models import JobContext

Write = Callable[[Path, Path | None, Mapping[str, bytes]], None]
"""Writes a folder, if any, and other files by name into one file. May raise `OSError`."""


def write_bundle(target: Path, source: Path | None, files: Mapping[str, bytes]) -> None:
    """Write the folder with the user's code, if any, and the launcher's files as one archive.

    Raises:
        OSError: If a file cannot be read, or the archive cannot be written.
    """
    write_archive(target, source, SOURCE, files)


def pack_code(
    provider: str,
    context: JobContext,
    name: str,
    files: Mapping[str, bytes],
    write: Write = write_bundle,
) -> Path:
    """Write the user's code and the launcher's files into the folder of a job; return the path.

    Args:
        provider: The name of the provider.
        context: The folder of the job.
        name: The name of the file.
        files: The launcher's files by name.
        write: Writes the file.

    Raises:
        ProviderError: If a file cannot be read or written.
    """
    packed, source = context.folder / name, context.folder / "source"
    with packing_errors(provider):
        write(packed, source if source.is_dir() else None, files)
    return packed


@contextmanager
def packing_errors(provider: str) -> Generator[None]:
    """Raise the `OSError` of a file, which may have vanished, as a `ProviderError`."""
    try:
        yield
    except OSError as error:
        raise ProviderError(provider, f"cannot pack the code: {error}") from error
