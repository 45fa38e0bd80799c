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
_HIDDEN = {"__pycache__", ".cloudtune", SCHEMA_FILE}
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

    known = template_names()
    if name not in known:
        hint = did_you_mean(name, known) or f"choose from: {', '.join(known)}"
        raise UsageError(f"no template {name!r}; {hint}")
    source = _templates_folder() / name
    paths = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    files = [path for path in paths if not _HIDDEN & {*path.parts}]
    written = [target / path for path in [Path(SCHEMA_FILE), *files]]
    existing = [str(path) for path in written if path.exists()]
    if existing:
        raise UsageError(
            f"not overwriting existing files: {', '.join(existing)}; choose another folder"
        )
    for path in files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, target / path)  # with its mode: a script may be executable
    (target / SCHEMA_FILE).write_text(json_schema_text(), "utf-8")
    study = target / STUDY_FILE
    study.write_text(_with_settings(study.read_text("utf-8")), "utf-8")
    return written


def _with_settings(study: str) -> str:
    """Return a study, which ends with `providers`, with the settings that it does not have yet.

    The choice of a back end is not enough: the other settings of the service are added.
    """
    text = (_templates_folder() / SETTINGS_FILE).read_text("utf-8")
    settings = [*_SETTINGS.finditer(text)]
    header = text[: settings[0].start()]
    complete = re.findall(r"^  (\w+): (?!\{backend: wml\})", study, re.MULTILINE)
    return "".join([study, header, *(each[0] for each in settings if each[1] not in complete)])
