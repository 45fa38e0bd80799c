"""What the lookup of each service needs to know of a study and of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudtune.bundle import files as bundle
from cloudtune.ledger.home import state_folder
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import FromEnvironment, Input
from cloudtune.study.study import Study


def has_code(study: Study) -> bool:
    """Tell whether there is code to be run, rather than an image or algorithm that is the trial."""
    return bool(study.trial.script or study.trial.module or study.trial.command)


def uses_launcher(study: Study, facts: Facts) -> bool:
    """Tell whether our launcher starts the code: where ``own["code"]`` names no other place."""
    return has_code(study) and facts.own["code"] is None


def code_address(study: Study, provider: str) -> str | None:
    """Return the address of the code where it lies at the service already."""
    source = study.trial.source or {}
    found = source.get(provider) or source.get("*") or ""
    return found if "://" in found and has_code(study) else None


def input_address(study: Study, provider: str, name: str, *, emulated: bool) -> Input | None:
    """Return where an input lies for a provider: its own address, one for all, or a local one.

    On an emulator, which has no other data than what is brought there, a local one comes first.
    """
    by_provider = study.trial.inputs[name]
    first = by_provider.get("local") if emulated else None
    return first or by_provider.get(provider) or by_provider.get("*") or by_provider.get("local")


def local_facts(study: Study, facts: Facts) -> dict[str, Any]:
    """Return what the study takes from here.

    Returns:
        ``unset``, the variables that are not set, ``empty``, those that are set to nothing,
        ``absent_files``, and how many ``files`` of how many bytes are bundled.
    """
    trial, source = study.trial, facts.source
    needed = [v.from_env for v in trial.env.values() if isinstance(v, FromEnvironment)]
    files = [name for name in (trial.script, trial.requirements) if name]
    bundled = bundle.list_files(source, [state_folder()]) if source else []
    size = sum((source / name).lstat().st_size for name in bundled) if source else 0
    return {
        "unset": sorted({name for name in needed if name not in os.environ}),
        "empty": sorted({name for name in needed if os.environ.get(name) == ""}),
        "absent_files": [name for name in files if source and not (source / name).is_file()],
        "files": {"count": len(bundled), "bytes": size},
    }


def find_inputs(study: Study, facts: Facts, provider: str, home: str) -> dict[str, Any]:
    """Return where the inputs of trials lie, and what must be brought there from here.

    Args:
        study: What is planned.
        facts: As far as they are known.
        provider: Whose addresses are taken.
        home: The address below which everything of the job lies.

    Returns:
        ``inputs``, their addresses, None where there is none; ``uploads``, the paths of those that
        are brought; and ``absent_inputs``, the names of those of which nothing is here.
    """
    addresses: dict[str, str | None] = {}
    uploads: dict[str, str] = {}
    absent: list[str] = []
    for name in study.trial.inputs:
        found = input_address(study, provider, name, emulated=facts.emulated)
        uri = found.uri.removeprefix("file://") if found else ""
        if "://" in uri or not uri:
            addresses[name] = uri or None
            continue
        path = (facts.base / Path(uri).expanduser()).resolve()
        addresses[name] = f"{home}/inputs/{name}"
        uploads[name] = str(path)
        if not (path.is_file() or any(inner.is_file() for inner in path.rglob("*"))):
            absent.append(name)
    return {"inputs": addresses, "uploads": uploads, "absent_inputs": absent}


def input_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder by their names in it, those behind links too; or the file."""
    if not path.is_dir():
        yield path.name, path
        return
    for file in _below(path, frozenset()):
        yield file.relative_to(path).as_posix(), file


def _below(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    """Yield the files below a folder; a link back to a folder above is not followed."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _below(path, above | {real})
        elif path.is_file():
            yield path
