"""Files of another tool that a test reads, writes back and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import exporter, importer, registry
from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.errors import ConversionError, StudyError
from cloudtune.formats.documents import parse_documents
from cloudtune.study.loader import load
from tests.document_equality import Equalities, any_match, changes, differences

TESTS = Path(__file__).parents[2]


def unchanged(document: dict[str, Any]) -> dict[str, Any]:
    return document


@dataclass(frozen=True)
class ForeignFiles:
    """The files of one format in a folder, with what is equal in them."""

    name: str
    equal: Equalities
    with_defaults: Callable[[dict[str, Any]], dict[str, Any]] = unchanged
    """Writes out what the tool takes for granted, in code of its own."""
    pattern: str = "*.[jy]*"

    @property
    def folder(self) -> Path:
        own = Path(__file__).parent / self.name
        return own if own.exists() else TESTS / f"cloudtune_{self.name}" / "native"

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob(self.pattern))

    def document(self, name: str) -> dict[str, Any]:
        text = (self.folder / name).read_text("utf-8")
        (found,) = parse_documents(text, name, registry.get(self.name).yaml_version)
        data: dict[str, Any] = found.data
        return data

    def compare(self, one: dict[str, Any], other: dict[str, Any]) -> list[str]:
        return differences(self.with_defaults(one), self.with_defaults(other), self.equal)

    def read(self, name: str) -> tuple[dict[str, Any], tuple[Finding | Note, ...]]:
        imported = importer.read(self.folder / name)
        (found,) = imported.studies
        return found.data, imported.findings

    def texts(self, name: str) -> dict[str, str]:
        """Return the findings of a file by path."""
        return {each.path: str(each) for each in self.read(name)[1]}

    def read_text(self, text: str, folder: Path, name: str = "job.yaml") -> importer.Imported:
        file = folder / name
        file.write_text(text, "utf-8")
        return importer.read(file)

    def refusals(self, text: str, reason: str, folder: Path) -> list[str]:
        """Return the paths of the refusals of a text, of which one has a reason."""
        with pytest.raises(ConversionError, match=reason) as caught:
            self.read_text(text, folder)
        return [each.path for each in caught.value.findings]

    def mistakes(self, text: str, message: str, folder: Path) -> tuple[Problem, ...]:
        """Return the mistakes in a text, of which one has a message."""
        with pytest.raises(StudyError, match=message) as caught:
            self.read_text(text, folder)
        return tuple(caught.value.problems)

    def round_trip(self, name: str, folder: Path) -> list[str]:
        """Return the differences after an import, a study file, an export and a file again."""
        imported = importer.read(self.folder / name)
        study = folder / "study.yaml"
        study.write_text(imported.studies[0].to_yaml(imported.comment), "utf-8")
        exported = exporter.write(load(study), self.name)
        file = folder / f"again.{exported.format.syntax}"
        file.write_text(exported.to_text(file), "utf-8")
        (found,) = parse_documents(file.read_text("utf-8"), name, exported.format.yaml_version)
        return self.compare(self.document(name), found.data)

    def unnoticed(self, name: str, permitted: Sequence[str]) -> list[tuple[str, str]]:
        """Return the changed and deleted leaves that the comparison does not notice."""
        original = self.document(name)
        return [
            (path, kind)
            for path, kind, changed in changes(original)
            if not self.compare(original, changed)
            and not any_match(path, (*self.equal.ignored, *permitted))
        ]
