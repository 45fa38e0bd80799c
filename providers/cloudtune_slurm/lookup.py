"""Facts about this machine and the shared folder. It calls neither ssh nor Slurm."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.provider import (
    Facts,
    Inputs,
    Lookup,
    Price,
    ServiceLimits,
    Study,
    overrides_any,
    state_folder,
)
from cloudtune.provider.lookup import (
    input_address,
    local_lookup,
    required_pythons_of,
)
from cloudtune.provider.pythons import command_version, installed_version
from cloudtune_slurm.settings import NAME, SlurmSettings

_LOCAL_FILE_SYSTEMS = (
    *("ext", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs", "jfs", "reiserfs"),
    *("apfs", "hfs", "vfat", "msdos", "ntfs", "squashfs", "aufs", "bcachefs", "unknown"),
)
"""How the names of file systems of one machine begin, in ``/proc`` and as ``stat -f`` prints."""


def is_shared(kind: str) -> bool:
    """Return whether several machines may mount a file system.

    The names of such types are many: nfs, lustre, gpfs, beegfs, wekafs, fuse of something.
    """
    return bool(kind) and not kind.lower().startswith(_LOCAL_FILE_SYSTEMS)


def lookup(study: Study, settings: SlurmSettings, facts: Facts) -> Lookup:
    """Return where the run's files are, its Python, and what the study takes from this machine."""
    host = None if facts.emulated else settings.host
    python = _python(settings, facts)
    folder = _run_folder(settings, facts)
    inputs = _inputs(study, facts, host)
    data: dict[str, Any] = {
        "host": host,
        "folder": folder,
        "python": python,
        "pythons": required_pythons_of(study, facts),
        "setup": bool(settings.setup),
        "python_version": _version(python, settings, facts),
        # An emulator that the run starts has none of the cluster's partitions and accounts.
        "stand_in": facts.emulated and facts.emulator is None,
        "file_system": None if host or facts.emulated else file_system(Path(folder)),
    }
    missing = {
        "folder": "give a folder of the cluster that the login node and the compute nodes share, "
        "such as /scratch/you/cloudtune"
    }
    return replace(
        local_lookup(study, facts, NAME),
        price=Price.hourly(*settings.prices.hour, "from providers.slurm.prices")
        if settings.prices
        else "what the cluster bills is unknown",
        limits=ServiceLimits(set_by_native=overrides_any(settings.native, {"time"})),
        missing_settings=missing if host and not settings.folder else {},
        inputs=inputs,
        data=data,
    )


def file_system(path: Path) -> str | None:
    """Return the type of the file system that has, or would have, a path; None if unknown."""
    real = os.path.realpath(path)
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    best, kind = "", None
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split(" ")[4].replace("\\040", " ")
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split(" ")[0]
    return kind


def _run_folder(settings: SlurmSettings, facts: Facts) -> str:
    """Return the folder of a run on the cluster; by default in the job's folder of this machine."""
    if facts.emulated or not (settings.folder or settings.host):
        return str(state_folder() / "runs" / facts.run_id / NAME / "shared")
    base = settings.folder or "{{folder}}"
    if not settings.host:
        base = str((facts.base / Path(base).expanduser()).absolute())
    return f"{base.rstrip('/')}/{facts.job_name}"


def _python(settings: SlurmSettings, facts: Facts) -> str:
    """Return the Python of the trials.

    Without setup lines it is that of the active environment, which the home folder of a cluster
    usually has, so that a first run needs no settings.
    """
    if facts.emulated:
        return settings.rehearse.find_python(facts.base) or sys.executable
    if settings.python:
        return settings.python
    if settings.setup or settings.host:
        return "python3"
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        home = os.environ.get(variable)
        if home and (executable := shutil.which("python", path=str(Path(home, "bin")))):
            return executable
    return sys.executable


def _version(python: str, settings: SlurmSettings, facts: Facts) -> str:
    """Return the version of the trials' Python; empty if it is unknown.

    A path is also on the compute nodes, whose files are shared. Setup lines can change what a name
    means.
    """
    if facts.emulated or settings.host or not Path(python).is_absolute():
        return "" if facts.emulated else command_version(python)
    return installed_version(python) or command_version(python)


def _inputs(study: Study, facts: Facts, host: str | None) -> Inputs:
    """Return the paths of the inputs on the cluster. Nothing is uploaded."""
    addresses: dict[str, str | None] = {}
    absent: list[str] = []
    for name in study.trial.inputs:
        address = input_address(study, NAME, name, emulated=facts.emulated)
        uri = address.uri.removeprefix("file://") if address else None
        if uri and "://" not in uri and not host:
            uri = str((facts.base / Path(uri).expanduser()).resolve())
            if not Path(uri).exists():
                absent.append(name)
        addresses[name] = uri
    return Inputs(addresses, absent=tuple(absent))
