"""The bundle of a plan: the files of a source folder and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudtune.bundle.files import find_credentials, list_files, outside_links
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.outputs import unhashed_files


@dataclass(frozen=True)
class Bundle:
    """The files of a source folder. The fields are those of `Facts`."""

    files: tuple[str, ...]
    unhashed: tuple[str, ...]
    source_hash: str
    credentials: tuple[str, ...]
    outside_links: Mapping[str, str]


def read_bundle(source: Path, without: Sequence[Path], study_file: str | None) -> Bundle:
    """Read all files of a source folder.

    Args:
        source: The folder.
        without: Files and folders that are not part of it, next to the state folder.
        study_file: The file of the study, which does not count as code.

    Raises:
        OSError: If a file cannot be read.
        StudyError: If the ignore file is invalid.
    """
    files = tuple(list_files(source, [state_folder(), *without]))
    unhashed = unhashed_files(source, files, study_file)
    source_hash, credentials = find_credentials(source, files, unhashed)
    return Bundle(files, unhashed, source_hash, credentials, outside_links(source, files))
