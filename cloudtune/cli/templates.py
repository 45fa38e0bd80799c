"""The templates of ``cloudtune init``: each has a study, a script and a README."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from cloudtune.errors import UsageError

DEFAULT = "quickstart"
SCHEMA_FILE = ".study.schema.json"
STUDY_FILE = "study.yaml"
SETTINGS_FILE = "providers.yaml"
"""The settings of each service as comments, for the end of each study."""
_SETTINGS = re.compile(r"^  # (\w+): \{[^}]*\}.*\n", re.MULTILINE)


def template_names() -> list[str]:
    """Return the names of the templates: the default one, then the others, sorted."""
    names = [path.parent.name for path in _templates_folder().glob(f"*/{STUDY_FILE}")]
    return sorted(names, key=lambda name: (name != DEFAULT, name))


def describe_templates() -> dict[str, str]:
    """Return the description of each template's study, by the name of the template."""
    from cloudtune.study.yaml_reader import read_file

    folder = _templates_folder()
    studies = {name: read_file(folder / name / STUDY_FILE).data for name in template_names()}
    return {name: str(study.get("description") or "") for name, study in studies.items()}


def _templates_folder() -> Path:
    package = Path(__file__).parents[1]
    folder = package / "_templates"  # in a checkout, it is next to the package
    return folder if folder.is_dir() else package.parent / "templates"


def write_template(name: str, target: Path) -> list[Path]:
    """Copy a template into a folder, and return the files written.

    The study ends with the settings of the services as comments, and editors find its schema.

    Raises:
        UsageError: If there is no such template, or one of its files exists.
    """
    from cloudtune.study.json_schema import json_schema_text
    from cloudtune.study.suggestions import did_you_mean

    names = template_names()
    if name not in names:
        hint = did_you_mean(name, names) or f"choose from: {', '.join(names)}"
        raise UsageError(f"no template {name!r}; {hint}")
    source = _templates_folder() / name
    files = sorted(path for path in source.rglob("*") if _is_template_file(path))
    pairs = [(path, target / path.relative_to(source)) for path in files]
    schema = target / SCHEMA_FILE
    existing = [str(to) for to in [schema, *(to for _, to in pairs)] if to.exists()]
    if existing:
        raise UsageError(
            f"not overwriting existing files: {', '.join(existing)}; choose another folder"
        )
    for path, to in pairs:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)  # with its mode: a script may be executable
    schema.write_text(json_schema_text(), "utf-8")
    study = target / STUDY_FILE
    study.write_text(_with_settings(study.read_text("utf-8")), "utf-8")
    return [schema, *(to for _, to in pairs)]


def _with_settings(study: str) -> str:
    """Return a study, which ends with `providers`, with the settings that it does not have yet.

    It has those of a service if they are more than the choice of a back end, also as comments.
    """
    settings = (_templates_folder() / SETTINGS_FILE).read_text("utf-8")
    header = settings[: settings.index(next(_SETTINGS.finditer(settings))[0])]
    commented = [match[1] for match in _SETTINGS.finditer(study)]
    active = re.findall(r"^  (\w+): (?!\{backend: wml\})", study, re.MULTILINE)
    added = [
        match[0] for match in _SETTINGS.finditer(settings) if match[1] not in [*commented, *active]
    ]
    return "".join([study, "" if commented else header, *added])


def _is_template_file(path: Path) -> bool:
    hidden = {"__pycache__", ".cloudtune"} & {*path.parts}
    return path.is_file() and not hidden and path.name != SCHEMA_FILE
