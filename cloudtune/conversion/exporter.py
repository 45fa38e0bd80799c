"""`cloudtune export STUDY`: a study as the configuration of another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.conversion import registry
from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import fit_document, write_document
from cloudtune.errors import ConversionError, UsageError
from cloudtune.formats.fields import Report, refusals
from cloudtune.formats.study_text import format_document
from cloudtune.provider import registry as providers
from cloudtune.provider.read_settings import read_settings
from cloudtune.study.loader import load
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.formats.model import Format

_SYNTAX = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}


@dataclass(frozen=True)
class Exported:
    """A study as the configuration of another tool."""

    format: Format
    document: dict[str, Any]
    findings: tuple[Finding | Note, ...]
    """What the format cannot express, or expresses differently, by paths of the study."""

    def to_text(self, file: Path | None = None) -> str:
        """Return the text of the file, in the syntax of its ending or that of the format."""
        ending = file.suffix.lower() if file else ""
        return format_document(self.document, _SYNTAX.get(ending, self.format.syntax))


def write(study: Study, to: str) -> Exported:
    """Return a study as the configuration of another tool, with only what the study says.

    Raises:
        UsageError: If there is no such format, or it is read only.
        ConversionError: If the format cannot express the study.
        StudyError: If the settings of the provider with this format are invalid.
    """
    chosen = registry.get(to)
    if (dialect := chosen.dialect()) is None:
        raise UsageError(f"{chosen.name} is read only: cloudtune imports it, and does not write it")
    if dialect.name in providers.names():
        read_settings(study, dialect.name, providers.get(dialect.name))
    report = Report()
    if study.file is not None and not study.is_written("name"):
        report.note("name", "absent, so the document has no name; add name to the study")
        study = study.model_copy(update={"name": None})
    fitted = fit_document(study, dialect)
    report.findings += [*fitted.findings, *fitted.notes]
    if refused := refusals(report):
        raise ConversionError(f"{chosen.name} cannot express this study", refused)
    return Exported(chosen, write_document(fitted, dialect), tuple(report.findings))


def write_together(studies: Sequence[Study], to: str) -> Exported:
    """Return several studies as one configuration of another tool, with a definition of each.

    Raises:
        UsageError: If there is no such format, or it is read only.
        ConversionError: If the format cannot express a study, or the studies do not fit together.
    """
    exported = [write(study, to) for study in studies]
    if len(exported) == 1:
        return exported[0]
    report = Report()
    document = exported[0].format.join([each.document for each in exported], report)
    if refused := refusals(report):
        raise ConversionError(f"{to} cannot express these studies together", refused)
    findings = [
        replace(finding, path=f"{study.name}: {finding.path}")
        for study, each in zip(studies, exported, strict=True)
        for finding in each.findings
    ]
    return Exported(exported[0].format, document, (*findings, *report.findings))


def export_study(
    study: Study | str | Path | Mapping[str, Any], to: str, path: str | Path | None = None
) -> dict[str, Any]:
    """Return a study as the configuration of another tool, and write it to a file.

    Args:
        study: The study, its file, or a map as the file would have it.
        to: The name of the format, such as ``sagemaker``, ``vertex`` or ``katib``.
        path: The file; its ending (json, yaml) determines the syntax.

    Raises:
        UsageError: If there is no such format.
        ConversionError: If the format cannot express the study.
    """
    exported = write(study if isinstance(study, Study) else load(study), to)
    if path is not None:
        Path(path).write_text(exported.to_text(Path(path)), "utf-8")
    return exported.document
