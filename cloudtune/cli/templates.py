"""The templates of ``cloudtune init``: each has a study, a script and a README."""

from __future__ import annotations

import shutil
from pathlib import Path

from cloudtune.errors import UsageError


def template_names() -> list[str]:
    """Return the names of the templates, sorted."""
    return sorted(path.parent.name for path in _templates_folder().glob("*/study.yaml"))


def describe_templates() -> dict[str, str]:
    """Return the description of each template's study, by the name of the template."""
    from cloudtune.study.yaml_reader import read_file

    folder = _templates_folder()
    studies = {name: read_file(folder / name / "study.yaml").data for name in template_names()}
    return {name: str(study.get("description") or "") for name, study in studies.items()}


def _templates_folder() -> Path:
    package = Path(__file__).parents[1]
    folder = package / "_templates"  # in a checkout, it is next to the package
    return folder if folder.is_dir() else package.parent / "templates"


def write_template(name: str, target: Path) -> list[Path]:
    """Copy a template into a folder, and return the files written.

    Raises:
        UsageError: If there is no such template, or one of its files exists.
    """
    names = template_names()
    if name not in names:
        raise UsageError(f"no template {name!r}; choose from: {', '.join(names)}")
    source = _templates_folder() / name
    files = sorted(path for path in source.rglob("*") if _is_template_file(path))
    pairs = [(path, target / path.relative_to(source)) for path in files]
    existing = [str(to) for _, to in pairs if to.exists()]
    if existing:
        raise UsageError(f"not overwriting existing files: {', '.join(existing)}")
    for path, to in pairs:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    return [to for _, to in pairs]


def _is_template_file(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and ".cloudtune" not in path.parts
