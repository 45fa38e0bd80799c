"""The bundle of a plan: the files of a source folder and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudtune.bundle.files import find_credentials, list_files, outside_links
from cloudtune.errors import LockError
from cloudtune.ledger.home import state_folder
from cloudtune.ledger.outputs import unhashed_files, without_reports
from cloudtune.provider.source_size import disk_shortage
from cloudtune.study.study import Study


@dataclass(frozen=True)
class Bundle:
    """The files of a source folder. The fields are those of `Facts`."""

    files: tuple[str, ...]
    unhashed: tuple[str, ...]
    source_hash: str | None
    """None if the files do not fit on the disk, so that the plan is refused."""
    credentials: tuple[str, ...]
    outside_links: Mapping[str, str]
    locked: str = ""
    unlocked: str = ""


def lock_packages(bundle: Bundle, study: Study, source: Path) -> Bundle:
    """Return a bundle with the exact versions of packages that only the header of a script names.

    They are those of the first call: all plans of a run install the same.
    """
    name = study.trial.requirements
    if not name or not (source / name).is_file() or bundle.locked or bundle.unlocked:
        return bundle
    from cloudtune.bundle.locked_requirements import is_unlocked, lock_header

    if not is_unlocked(source, name):
        return bundle
    try:
        return replace(bundle, locked=lock_header(source, name))
    except (LockError, OSError, UnicodeDecodeError) as error:
        return replace(bundle, unlocked=str(error))


def read_pins(study: Study, source: Path | None, locked: str) -> dict[str, Any]:
    """Return the fields of `Facts` about the exact versions of the required packages."""
    name = study.trial.requirements
    if not name:
        return {}
    from cloudtune.bundle.locked_requirements import is_converted, read_requirements

    if source is None:
        problem = f"{name} must be converted, and the code is at the service already: put a"
        return {"lock_problem": f"{problem} requirements file there" if is_converted(name) else ""}
    try:
        found = read_requirements(source, name, locked)
        return {"floating": found.floating, "lock_unchecked": found.unchecked}
    except LockError as error:
        return {"lock_problem": str(error)}
    except (OSError, UnicodeDecodeError):  # an absent file is a finding of its own
        return {}


def read_bundle(
    source: Path,
    without: Sequence[Path],
    study_file: str | None,
    known_unhashed: Sequence[str] = (),
) -> Bundle:
    """List the files of a source folder, and read them unless they do not fit on the disk.

    Args:
        source: The folder.
        without: Files and folders that are not part of it, next to the state folder.
        study_file: The file of the study, which does not count as code.
        known_unhashed: Other files that do not, by their paths in the folder.

    Raises:
        OSError: If a file cannot be read.
        StudyError: If the ignore file is invalid.
    """
    files = tuple(without_reports(source, list_files(source, [state_folder(), *without])))
    unhashed = unhashed_files(source, files, study_file)
    unhashed += tuple(each for each in files if each in known_unhashed and each not in unhashed)
    source_hash: str | None = None
    credentials: tuple[str, ...] = ()
    size = sum(os.lstat(source / name).st_size for name in files)
    if not disk_shortage(state_folder(), len(files), size):  # reading them could take hours
        source_hash, credentials = find_credentials(source, files, unhashed)
    return Bundle(files, unhashed, source_hash, credentials, outside_links(source, files))
