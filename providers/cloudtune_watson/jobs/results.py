"""The results of a deployment job: the files that its script left, copied to this machine.

They are the content of one data asset: a ZIP archive, or on IBM Cloud the file itself if there is
only one (notebook "Use script to recognize hand-written digits" of IBM/watsonx-ai-samples at
0a9a2c8, read 2026-11-27). A copy is complete when its folder has its final name, so it replaces the
job and the data asset, which are then deleted.
"""

from __future__ import annotations

import errno
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cloudtune.provider import Json
from cloudtune.provider.trial_files import OUTPUT as OUTPUT_FOLDER
from cloudtune.provider.trial_files import StoredFile, TrialFiles, local_files
from cloudtune.results import Measurement
from cloudtune_watson.documents import part
from cloudtune_watson.jobs.launcher_contract import FAILURE, METRICS, MODEL
from cloudtune_watson.jobs.start_script import LOG, RESULT

DESCRIPTION = "cloudtune_job.json"
"""The job as IBM described it, without its variables, in the folder of its results."""
OUTPUT = "output"
"""The content of the data asset, if it cannot be unpacked."""
_OWN = frozenset({DESCRIPTION, RESULT, LOG, FAILURE, METRICS})
"""The files that the script has not left."""
_UNUSABLE_NAMES = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG})
"""The errors of a file name that this machine cannot have."""


class DamagedResultsError(Exception):
    """The content of a data asset cannot be unpacked."""


@dataclass(frozen=True)
class Results:
    """The results of one job on this machine."""

    folder: Path

    @property
    def job(self) -> Json:
        """The job as IBM described it after its end."""
        return _read_json(self.folder / DESCRIPTION) or {}

    @property
    def exit_code(self) -> int | None:
        """The exit code of the launcher; None if there is no result."""
        code = (_read_json(self.folder / RESULT) or {}).get("exit_code")
        return code if isinstance(code, int) else None

    @property
    def failure(self) -> str:
        """Why the trial failed; empty if it did not, or if that is unknown."""
        try:
            return (self.folder / FAILURE).read_text("utf-8", "replace")
        except OSError:
            return str((_read_json(self.folder / RESULT) or {}).get("reason") or "")

    @property
    def seconds(self) -> tuple[float | None, float | None]:
        """When the launcher was started and ended, in epoch seconds."""
        result = _read_json(self.folder / RESULT) or {}
        started, ended = result.get("started"), result.get("ended")
        return (
            started if isinstance(started, int | float) else None,
            ended if isinstance(ended, int | float) else None,
        )

    @property
    def log(self) -> str | None:
        """The path of the log, if there is one."""
        path = self.folder / LOG
        return str(path) if path.is_file() else None

    @property
    def artifacts(self) -> str | None:
        """The folder, if the script left files in it."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return str(self.folder) if any(path.name not in _OWN for path in files) else None

    def measurements(self) -> list[Measurement]:
        """Return what the launcher measured; lines that are incomplete are skipped."""
        return list(self._measurements())

    def _measurements(self) -> Iterator[Measurement]:
        try:
            lines = (self.folder / METRICS).read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                entry: Json = json.loads(line)
                metrics = cast("Mapping[str, Any]", entry["metrics"])
                values = {str(name): float(value) for name, value in metrics.items()}
                yield Measurement(int(entry["step"]), values, float(entry["time"]))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue


def trial_files(folder: Path) -> TrialFiles:
    """Return what the script of a job left, from the copy of its results.

    Raises:
        OSError: If it cannot be read.
    """
    found = local_files({"": folder})
    files: dict[str, StoredFile] = {}
    for name, file in found.files.items():
        top, _, inner = name[1:].partition("/")
        if top == MODEL and inner:
            files[f"{OUTPUT_FOLDER}/{inner}"] = file
        elif top not in _OWN:
            files[f"other/{name[1:]}"] = file
    return replace(found, files=files)


def find_results(folder: Path) -> Results | None:
    """Return the results in a folder if their copy is complete."""
    return Results(folder) if (folder / DESCRIPTION).is_file() else None


def store_results(folder: Path, job: Json, content: Path | None, *, unpack: bool = True) -> Results:
    """Write the results of a job to a folder, which then exists completely or not at all.

    Args:
        folder: The folder.
        job: The job as IBM describes it.
        content: The content of its data asset, if it has one.
        unpack: Whether to unpack an archive.

    Raises:
        OSError: If a file cannot be read or written.
        DamagedResultsError: If the archive cannot be unpacked.
    """
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    if content is not None and unpack and zipfile.is_zipfile(content):
        _unpack(content, new)
    elif content is not None:
        shutil.copyfile(content, new / OUTPUT)
    (new / DESCRIPTION).write_text(json.dumps(_without_variables(job)), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    return Results(folder)


def _without_variables(job: Json) -> Json:
    """Return a job without its variables, which may be secrets."""
    scoring = part(job, "entity", "scoring")
    kept = {name: field for name, field in scoring.items() if name != "environment_variables"}
    return {**job, "entity": {**part(job, "entity"), "scoring": kept}} if scoring else job


def _unpack(content: Path, folder: Path) -> None:
    """Unpack an archive, except for what the script has named like the description of its job."""
    try:
        with zipfile.ZipFile(content) as archive:
            names = (name for name in archive.namelist() if name.split("/")[0] != DESCRIPTION)
            archive.extractall(folder, names)
    # RuntimeError: an archive that is encrypted, or compressed in an unknown way.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DamagedResultsError(str(error)) from error
    except OSError as error:
        if error.errno not in _UNUSABLE_NAMES:
            raise
        raise DamagedResultsError(str(error)) from error


def _read_json(path: Path) -> Json | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return cast("Json", content) if isinstance(content, dict) else None
