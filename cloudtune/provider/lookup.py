"""Helpers for `BaseProvider.lookup`: what a study takes from this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cloudtune.bundle.python_version import declared_pythons, find_misfit, required_pythons
from cloudtune.ledger.home import state_folder
from cloudtune.provider.facts import Facts, Inputs, Lookup, SourceFiles, Variables
from cloudtune.provider.source_size import disk_shortage, largest_folders
from cloudtune.study.schema import FromEnvironment, Input
from cloudtune.study.study import Study

_MANY_FILES = 1000
"""Files of the source from which on plans name the largest folders."""
_MANY_BYTES = 64_000_000
"""Bytes of the source from which on plans name the largest folders."""


def has_code(study: Study) -> bool:
    """Return whether the study runs code, rather than an image or an algorithm of the service."""
    return bool(study.trial.script or study.trial.module or study.trial.command)


def uses_launcher(study: Study, facts: Facts) -> bool:
    """Return whether cloudtune's launcher starts the code: code at the service starts itself."""
    return has_code(study) and facts.lookup.code_address is None


def required_pythons_of(study: Study, facts: Facts, *, declared: bool = False) -> list[list[str]]:
    """Return the versions of Python for the code that is sent, each with what requires it.

    They are ``pythons`` of the lookup's data, for `python_misfit`.

    Args:
        study: The study.
        facts: What is known before the lookup.
        declared: Only those that files declare as ``requires-python``.
    """
    source, trial = facts.source, study.trial
    if source is None:
        return []
    if declared:
        pythons = declared_pythons(source, trial.script, trial.requirements)
    else:
        pythons = required_pythons(source, trial.script, trial.module, trial.requirements)
    return [list(each) for each in pythons]


def python_misfit(facts: Facts, version: str) -> str:
    """Return what of the code requires another version of Python than that of the place.

    Empty if the version fits.
    """
    return find_misfit(facts.data.get("pythons", ()), version)


def code_address(study: Study, provider: str) -> str | None:
    """Return the address of the code if it is at the service already."""
    source = study.trial.source or {}
    address = source.get(provider) or source.get("*") or ""
    return address if "://" in address and has_code(study) else None


def input_address(study: Study, provider: str, name: str, *, emulated: bool) -> Input | None:
    """Return the address of an input: the provider's own, one for all, or a local one.

    An emulator has no data but what is uploaded to it, so there the local address comes first.
    """
    by_provider = study.trial.inputs[name]
    first = by_provider.get("local") if emulated else None
    return first or by_provider.get(provider) or by_provider.get("*") or by_provider.get("local")


def source_files(
    study: Study, facts: Facts, copies: Callable[[int, int], int] | None = None
) -> SourceFiles:
    """Return what is known of the source folder, from the list of bundled files in ``facts``.

    Args:
        study: The study.
        facts: What is known before the lookup.
        copies: Returns how many copies there are at a time next to the run's own, from the number
            of files and their size. The default is one, the archive for a service, and one for each
            trial of an emulator.
    """
    source, bundled = facts.source, facts.files or ()
    if source is None:
        return SourceFiles()
    sizes = {name: os.lstat(f"{source}/{name}").st_size for name in bundled}
    count, size = len(sizes), sum(sizes.values())
    emulated = count_certain_trials(study) if facts.emulated else 0
    number = 1 + (copies(count, size) if copies else 1 + emulated)
    needed = [name for name in (study.trial.script, study.trial.requirements) if name]
    is_large = count > _MANY_FILES or size > _MANY_BYTES
    return SourceFiles(
        count=count,
        size=size,
        absent=(
            *(name for name in needed if not (source / name).is_file()),
            *_absent_module(source, study.trial.module or ""),
        ),
        largest=largest_folders(sizes) if is_large else (),
        shortage=disk_shortage(state_folder(), count * number, size * number),
    )


def has_module(source: Path, module: str) -> bool:
    """Return whether a source folder has a module's file, or a package that can be run.

    The module of a function is added to its copy.
    """
    from cloudtune.bundle.function import MODULE

    if module == MODULE:
        return True
    path = source.joinpath(*module.split("."))
    return path.with_name(f"{path.name}.py").is_file() or (path / "__main__.py").is_file()


def _absent_module(source: Path, module: str) -> Iterator[str]:
    """Yield the file of a module if its package is in a source folder, but the file is not."""
    package, *names = module.split(".")
    if names and (source / package / "__init__.py").is_file() and not has_module(source, module):
        yield f"{module.replace('.', '/')}.py"


def count_certain_trials(study: Study) -> int:
    """Return how many trials a run certainly starts, as far as the study's limits tell."""
    limits = study.limits
    parallel = limits.parallel_trials or 1
    has_target = any(objective.target is not None for objective in study.objectives)
    may_end_early = has_target or limits.ending() - {"max_trials"}
    return parallel if may_end_early else max(limits.max_trials or 0, parallel)


def environment_variables(study: Study) -> Variables:
    """Return the variables that the study takes from this shell and that have no value here."""
    names = {v.from_env for v in study.trial.env.values() if isinstance(v, FromEnvironment)}
    return Variables(
        unset=tuple(sorted(name for name in names if name not in os.environ)),
        empty=tuple(sorted(name for name in names if os.environ.get(name) == "")),
    )


def local_lookup(study: Study, facts: Facts, provider: str) -> Lookup:
    """Return what a study takes from this machine; a provider adds what it knows itself."""
    return Lookup(
        code_address=code_address(study, provider),
        source=source_files(study, facts),
        variables=environment_variables(study),
    )


def find_inputs(
    study: Study,
    facts: Facts,
    provider: str,
    home: str,
    *,
    is_remote: Callable[[str], bool] = lambda address: "://" in address,
) -> Inputs:
    """Return the addresses of the inputs, and what must be uploaded from this machine.

    Uploads go below ``home``, the address under which all files of the job are.
    """
    addresses: dict[str, str | None] = {}
    uploads: dict[str, str] = {}
    absent: list[str] = []
    for name in study.trial.inputs:
        address = input_address(study, provider, name, emulated=facts.emulated)
        uri = address.uri.removeprefix("file://") if address else ""
        if is_remote(uri) or not uri:
            addresses[name] = uri or None
            continue
        path = (facts.base / Path(uri).expanduser()).resolve()
        addresses[name] = f"{home}/inputs/{name}"
        uploads[name] = str(path)
        if not (path.is_file() or any(inner.is_file() for inner in path.rglob("*"))):
            absent.append(name)
    return Inputs(addresses, uploads, tuple(absent))


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine, as that of an emulator does."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def input_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files in a folder with their relative names, or the file itself.

    Links are followed.
    """
    if not path.is_dir():
        yield path.name, path
        return
    for file in _walk(path, frozenset()):
        yield file.relative_to(path).as_posix(), file


def _walk(folder: Path, parents: frozenset[str]) -> Iterator[Path]:
    """Yield the files below a folder; links to a parent folder are not followed."""
    real = os.path.realpath(folder)
    if real in parents:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _walk(path, parents | {real})
        elif path.is_file():
            yield path
