"""Starters for ``cloudtune init``: each a study, a script and a README."""

from __future__ import annotations

import shutil
from pathlib import Path

from cloudtune.errors import UsageError


def folder() -> Path:
    """Return the folder of the templates: in the package, or in a checkout beside it."""
    here = Path(__file__).parents[1]
    packaged = here / "_templates"
    return packaged if packaged.is_dir() else here.parent / "templates"


def names() -> list[str]:
    """Return the names of the templates."""
    return sorted(path.name for path in folder().iterdir() if (path / "study.yaml").is_file())


def write(name: str, target: Path) -> list[Path]:
    """Copy a template into a folder and return the files written.

    Raises:
        UsageError: If there is no such template, or a file of it is there already.
    """
    if name not in names():
        raise UsageError(f"there is no template {name!r}; there is: {', '.join(names())}")
    source = folder() / name
    files = sorted(path for path in source.rglob("*") if _belongs(path))
    pairs = [(path, target / path.relative_to(source)) for path in files]
    taken = [str(to) for _, to in pairs if to.exists()]
    if taken:
        raise UsageError(f"these files are there already and stay as they are: {', '.join(taken)}")
    for path, to in pairs:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    return [to for _, to in pairs]


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and ".cloudtune" not in path.parts
