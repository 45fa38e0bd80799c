"""What a script imports that neither its requirements nor a framework's image has."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from typing import Any

from packaging.utils import canonicalize_name

from cloudtune.bundle.locked_requirements import read_requirements
from cloudtune.bundle.missing_modules import installed_packages, package_of
from cloudtune.bundle.own_modules import entry_files, file_imports, reached_files
from cloudtune.diagnostics import Check
from cloudtune.doctor.source import read_sources, shown_path
from cloudtune.errors import UsageError
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.provider.settings import CloudSettings
from cloudtune.study.quantities import format_list

_FRAMEWORKS: Mapping[str, Collection[str]] = {
    r"scikit-learn|sklearn": ("sklearn", "numpy", "scipy", "joblib", "pandas"),
    r"xgboost": ("xgboost", "numpy", "scipy", "pandas", "sklearn"),
    r"pytorch|torch": ("torch", "torchvision", "numpy"),
    r"tensorflow|\btf-|\btf2-": ("tensorflow", "keras", "numpy", "h5py"),
    r"huggingface": ("transformers", "datasets", "tokenizers", "torch", "numpy"),
}
"""The modules that the image of a framework has at least, by the framework's name in its address.

These are the framework and what it requires itself. Those with pandas: ``requirements.txt`` of
aws/sagemaker-scikit-learn-container and aws/sagemaker-xgboost-container, read 2026-11-27. The
others are not verified image by image, so that a missing module is only a warning."""
_SETTINGS = ("image", "framework", "software_spec")
"""The settings of services that name an image."""
_OURS = {"cloudtune"}
_MAX_SHOWN = 5


def check_imports(plan: Plan) -> Iterator[Check]:
    """Yield the modules that a service's image may lack; on this machine, the script shows it."""
    contents = _image_contents(plan)
    if not isinstance(plan.settings, CloudSettings) or contents is None:
        return
    listed = _required_packages(plan)
    if listed is None:
        return
    missing = {
        module: place
        for module, place in _imports(plan).items()
        if module not in contents and not _packages(module) & listed
    }
    if not missing:
        return
    file, line = next(iter(missing.values()))
    names = sorted(missing)
    requirements = plan.study.trial.requirements
    where = f"{requirements} does not list" if requirements else "no requirements file lists"
    packages = " ".join(sorted(package_of(module) for module in names))
    yield Check(
        severity="warning",
        area="script",
        id="import-unlisted",
        path="" if file else "trial.requirements",
        file=file,
        line=line,
        message=f"imports {format_list(names, _MAX_SHOWN)}, which {where}; the image may lack "
        "them" if len(names) > 1 else f"imports {names[0]}, which {where}; the image may lack it",
        fix=f"add to {requirements or 'a file, and name it in trial.requirements'}:",
        command="\n".join(packages.split()),
    )  # fmt: skip


def absent_reporting_modules(plan: Plan) -> list[str]:
    """Return by which modules the script reports to the service that are not installed here."""
    text = "\n".join(read_sources(plan).values())
    absent = set(registry.get(plan.provider).reporting_modules) - {*installed_packages()}
    return [
        module
        for module in sorted(absent)
        if re.search(rf"^\s*(?:import|from) {module}\b", text, re.MULTILINE)
    ]


def _image_contents(plan: Plan) -> frozenset[str] | None:
    """Return the modules that the plan's image has at least; None if it is not a known one."""
    named = " ".join(_texts({k: getattr(plan.settings, k, None) for k in _SETTINGS}))
    found = [modules for name, modules in _FRAMEWORKS.items() if re.search(name, named, re.I)]
    return frozenset(module for modules in found for module in modules) if found else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _texts(each)
    elif hasattr(value, "model_dump"):
        yield from _texts(value.model_dump())


def _required_packages(plan: Plan) -> frozenset[str] | None:
    """Return the listed packages with what they require; None if some have no name."""
    name, source = plan.study.trial.requirements, plan.facts.source
    if not name or source is None:
        return frozenset()
    try:
        lines = read_requirements(source, name, plan.facts.locked).text.splitlines()
    except (OSError, ValueError, UsageError):
        return frozenset()
    packages: set[str] = set()
    for line in lines:
        text = line.partition("#")[0].strip()
        match = re.match(r"[A-Za-z0-9][\w.-]*", text)
        if text and (match is None or "://" in text.partition("@")[0]):
            return None  # another file, or an address
        if match:
            packages |= _closure(match[0])
    return frozenset(packages)


def _closure(package: str) -> set[str]:
    """Return a package and what it requires, as far as it is installed here."""
    known: set[str] = set()
    pending = [package]
    while pending:
        name = canonicalize_name(pending.pop())
        if name in known:
            continue
        known.add(name)
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        matches = (re.match(r"[\w.-]+", each) for each in requires if "extra ==" not in each)
        pending += [match[0] for match in matches if match]
    return known


def _packages(module: str) -> set[str]:
    """Return the packages that may provide a module."""
    installed = installed_packages().get(module, ())
    names = {module, package_of(module), *installed}
    return {canonicalize_name(name) for name in names}


def _imports(plan: Plan) -> dict[str, tuple[str, int]]:
    """Return the other modules that the script's files import, each with its first place."""
    sources = {name: text for name, text in read_sources(plan).items() if name.endswith(".py")}
    own = {part.removesuffix(".py") for name in sources for part in name.split("/")}
    trial = plan.study.trial
    entries = entry_files(trial.script, trial.module, trial.command or ())
    found: dict[str, tuple[str, int]] = {}
    for name, text in reached_files(entries, sources.get).items():
        for module, line in file_imports(text):
            top = module.partition(".")[0]
            if top not in own | _OURS | sys.stdlib_module_names:
                found.setdefault(top, (shown_path(plan, name), line))
    return found
