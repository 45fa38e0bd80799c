"""What to do about a module that a script does not find."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from cloudtune.study.schema import TrialSpec

_MISSING = re.compile(r"No module named '(\w+)'")
_ALIASES = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "hypertune": "cloudml-hypertune",
    "git": "gitpython",
}
"""The packages of modules with another name, where they are not installed here."""
_FORMER = {"asynchat", "asyncore", "distutils", "imp", "smtpd"}
"""Modules that Python 3.12 no longer has (docs.python.org, What's New in Python 3.12,
2026-11-30)."""
_CODE_FOLDERS = ("", "src", "lib", "python")
"""Where a project has its modules."""
_MAX_PARENTS = 3
_LISTS = ("requirements.txt", "requirements/base.txt")


class ModuleFix(NamedTuple):
    """How to make a module available to trials."""

    path: str
    """The field of the study."""
    text: str
    lines: tuple[str, ...]
    """What to set in ``trial``, or the command to run; the text introduces it."""

    def __str__(self) -> str:
        return f"{self.text} {', '.join(self.lines)}" if self.lines else self.text


@cache
def installed_packages() -> Mapping[str, list[str]]:
    """Return the installed packages by the modules that they provide.

    All packages are scanned, which can take half a second, once in a process.
    """
    return metadata.packages_distributions()


def package_of(module: str) -> str:
    """Return the name of the package that provides a module, as far as it is known."""
    installed = installed_packages().get(module)
    return installed[0] if installed else _ALIASES.get(module, module)


def explain_missing_module(
    output: str, trial: TrialSpec, source: Path, base: Path, python: str | None
) -> ModuleFix | None:
    """Return what to do about the module whose absence an output reports; None if it does not.

    A module that is in the project, but not on the path of the script, is not to be installed.

    Args:
        output: What the script printed.
        trial: How the script is started.
        source: The source folder.
        base: The folder to which the paths of the study refer.
        python: The Python of trials on this machine; None if a service runs them.
    """
    found = _MISSING.findall(output)
    if not found or found[-1] in sys.stdlib_module_names | _FORMER:
        return None
    module = found[-1]
    for root, folder in _project_folders(source):
        if _has_module(folder, module):
            lines = tuple(_trial_lines(trial, source, base, root, folder))
            place = os.path.relpath(folder, base)
            where = "the study's folder" if place == "." else place
            return ModuleFix("trial.source", f"{module} is in {where}; set in trial:", lines)
    listed = next(
        (name for name in (trial.requirements, *_LISTS) if name and (source / name).is_file()), None
    )
    if python is None:
        text = f"list the package of {module} in {listed or 'a requirements file'}"
        rest = "" if trial.requirements else ", and name that in trial.requirements"
        return ModuleFix("trial.requirements", f"{text}{rest}", ())
    what = f"-r {_shown(source / listed)}" if listed else package_of(module)
    text = f"{module} is not installed where trials run:"
    return ModuleFix("trial.requirements", text, (f"{python} -m pip install {what}",))


def _project_folders(source: Path) -> Iterator[tuple[Path, Path]]:
    """Yield folders that may have the project's modules, each after the root of its source."""
    inner = sorted(path for path in source.iterdir() if path.is_dir() and path.name[0] != ".")
    yield from ((source, folder) for folder in (source, *inner))
    outer = source
    for _ in range(_MAX_PARENTS):
        if (outer / ".git").exists() or outer.parent in {outer, Path.home()}:
            return
        outer = outer.parent
        yield from ((outer, outer / name) for name in _CODE_FOLDERS)


def _has_module(folder: Path, module: str) -> bool:
    package = folder / module
    return (folder / f"{module}.py").is_file() or (
        package.is_dir() and any(path.suffix == ".py" for path in package.iterdir())
    )


def _trial_lines(
    trial: TrialSpec, source: Path, base: Path, root: Path, folder: Path
) -> Iterator[str]:
    """Yield what to set in ``trial``, so that a folder below a root is on the script's path."""
    script = source / trial.script if trial.script else None
    if root != source:
        yield f"source: {os.path.relpath(root, base)}"
        if script:
            yield f"script: {os.path.relpath(script, root)}"
    extends_path = False
    if script and script.is_file():
        extends_path = "sys.path" in script.read_text("utf-8", "replace")
    if not extends_path or root == source:
        yield f"env: {{PYTHONPATH: {os.path.relpath(folder, root)}}}"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
