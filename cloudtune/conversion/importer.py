"""`cloudtune import`: the configuration of another tool as one study or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.conversion import registry
from cloudtune.conversion.other_tools import explain_other_tool
from cloudtune.diagnostics import Finding, Note, Problem
from cloudtune.errors import ConversionError, StudyError, UsageError
from cloudtune.formats.documents import Document, parse_documents, read_text
from cloudtune.formats.fields import Fields, Report, refusals
from cloudtune.formats.secrets import drop_secrets, hide_credentials
from cloudtune.formats.study_text import comment_lines, format_yaml, order_study
from cloudtune.study.fields import StudyFields
from cloudtune.study.loader import load
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.yaml_reader import is_list, is_map

if TYPE_CHECKING:
    from cloudtune.formats.model import Format, StudyDraft
    from cloudtune.study.study import Study


_PART_DEPTH = 6
"""How deep a part of a document is that is looked at to explain it."""
_SHAPE_ERRORS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)
"""What a reader raises on values of a form that it does not expect."""


@dataclass(frozen=True)
class ImportedStudy:
    """A study that was read from the configuration of another tool."""

    name: str
    """The name of the definition; empty if the file has only one."""
    data: dict[str, Any]
    """The study as a study file has it."""
    study: Study

    def to_yaml(self, comment: str = "") -> str:
        """Return the text of its study file."""
        return format_yaml(self.data, comment)

    def with_notes(self, findings: Sequence[Finding | Note]) -> Study:
        """Return the study; its notes start with the findings, as warnings."""
        notes = [
            Note(each.path, f"{each.kind}: {each.reason}", "warning")
            if isinstance(each, Finding)
            else each
            for each in findings
        ]
        self.study.set_source(None, {}, notes=notes)
        return self.study


@dataclass(frozen=True)
class Imported:
    """What was read from a file."""

    file: Path
    format: Format
    studies: tuple[ImportedStudy, ...]
    findings: tuple[Finding | Note, ...]
    """What the study cannot hold, or holds differently. The paths are those of the file."""
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    """The lines of the paths in the findings, as far as they are known."""

    def place(self, finding: Finding | Note) -> str:
        """Return the file and the line of a finding as the start of a message."""
        return _place(self.file, self.lines.get(finding.path))

    @property
    def comment(self) -> str:
        """The first lines of the study files."""
        return comment_lines([f"Imported from {self.file.name} ({self.format.name})."])


def read(file: str | Path, source: str | None = None, definition: str | None = None) -> Imported:
    """Return the studies in a file of another tool.

    Args:
        file: The file, or an address of a format, such as ``sqlite:///study.db``.
        source: The name of its format; detected by default.
        definition: The name of the one definition to return, of a file with several.

    Raises:
        StudyError: If the file has mistakes, or a study would have.
        ConversionError: If the file has something that a study cannot hold.
        UsageError: If the format is unknown, or there is no such definition.
    """
    chosen, documents = _recognize(str(file), source)
    path = Path(hide_credentials(str(file)))
    return _read_documents(chosen, documents, path, definition)


def read_description(document: dict[str, Any], source: str, address: str) -> Imported:
    """Return the studies of a job that a service describes.

    Args:
        document: The description.
        source: The name of its format.
        address: The address of the job, for messages.

    Raises:
        StudyError: If it has mistakes, or a study would have.
        ConversionError: If it has something that a study cannot hold.
    """
    return _read_documents(registry.get(source), [Document(document)], Path(address))


def _read_documents(
    chosen: Format, documents: Sequence[Document], path: Path, definition: str | None = None
) -> Imported:
    report = Report(path)
    lines: dict[str, int] = {}
    drafts: list[tuple[StudyDraft, Document]] = []
    paths: list[str] = []
    problems: list[tuple[str, Problem]] = []
    for index, document in enumerate(documents):
        prefix = f"{index}" if len(documents) > 1 else ""
        found = Report(path)
        fields = Fields(drop_secrets(document.data, found), found)
        for draft in _read_drafts(chosen, fields):
            drafts.append((draft, document))
            paths.append(_join(prefix, draft.path))
        for finding in found.findings:
            under = replace(finding, path=_join(prefix, finding.path))
            report.findings.append(under)
            if (line := document.line(finding.path)) is not None:
                lines[under.path] = line
        problems += [
            (_join(prefix, each.path), _located(each, path, document)) for each in found.problems
        ]
    if len(drafts) > 1:
        _name_drafts([draft for draft, _ in drafts])
    others = _other_places([draft.name for draft, _ in drafts], paths, definition)
    mistakes = [each for place, each in problems if not f"{place}.".startswith(others)]
    findings = [each for each in report.findings if not f"{each.path}.".startswith(others)]
    report.findings = findings
    refused = refusals(report)
    if refused:
        places = [_place(path, lines.get(each.path)) for each in refused]
        raise ConversionError(f"{path}: a study cannot hold this", refused, places, mistakes)
    if mistakes:
        raise StudyError(mistakes)
    chosen_drafts = _select(drafts, definition, path)
    studies = tuple(_validate(draft, document, path) for draft, document in chosen_drafts)
    return Imported(path, chosen, studies, tuple(findings), lines)


def import_study(
    file: str | Path, source: str | None = None, *, definition: str | None = None
) -> Study:
    """Return the study in the configuration of another tool, such as a SageMaker tuning job.

    `Study.notes` lists what the study cannot hold, or holds differently.

    Args:
        file: The file, in JSON or YAML, or what else the format reads, such as a storage.
        source: The name of its format; detected by default.
        definition: The name of one definition, if the file has several.

    Raises:
        StudyError: If the file has mistakes.
        ConversionError: If the file has something that a study cannot hold.
        UsageError: If the format is unknown, or the file has several definitions.
    """
    imported = read(file, source, definition)
    if len(imported.studies) > 1:
        names = ", ".join(each.name for each in imported.studies)
        raise UsageError(f"{file} has several definitions: {names}. Pass one as definition")
    return next(iter(imported.studies)).with_notes(imported.findings)


def _read_drafts(chosen: Format, fields: Fields) -> Sequence[StudyDraft]:
    try:
        return chosen.read(fields)
    except _SHAPE_ERRORS as error:
        if not fields.report.problems:
            message = f"cannot be read as {chosen.title}: a value has an unexpected form ({error})"
            fields.report.mistake("", message)
        return []


def foreign_format(file: str | Path) -> Format | None:
    """Return the format of a file that is no study; None if it is unknown or ambiguous."""
    try:
        return _recognize(str(file), None)[0]
    except (StudyError, UsageError):
        return None


def _recognize(place: str, name: str | None) -> tuple[Format, list[Document]]:
    formats = [registry.get(name)] if name else list(registry.all_formats().values())
    for each in formats:
        if (data := each.open(place, is_named=name is not None)) is not None:
            return each, [Document(data)]
    if "://" in place:
        raise UsageError(f"{hide_credentials(place)}: no file; name the format with --from")
    path = Path(place)
    text = read_text(path)
    documents = parse_documents(text, str(path))
    chosen = formats[0] if name else _detect(documents, path)
    if chosen.yaml_version != "1.2":
        documents = parse_documents(text, str(path), chosen.yaml_version)
    matching = [each for each in documents if is_map(each.data) and chosen.matches(each.data)]
    if not matching and name:
        matching = [each for each in documents if is_map(each.data)]
    if not matching:
        raise StudyError([Problem("", "must be a map of keys and values", "", str(path), 1)])
    return chosen, matching


def _detect(documents: Sequence[Document], path: Path) -> Format:
    """Return the one format that a document of the file has.

    Raises:
        UsageError: If there is none, or several.
    """
    found: dict[str, Format] = {}
    for document in documents:
        if is_map(document.data):
            found |= {each.name: each for each in registry.detect(document.data)}
    if not found:
        known = ", ".join(registry.all_formats())
        if any(_is_study(each.data) for each in documents):
            raise UsageError(f"{path} is a study of cloudtune; `cloudtune check {path}` reads it")
        for document in documents:
            if is_map(document.data) and (
                text := _explain(document.data) or explain_other_tool(document.data)
            ):
                raise UsageError(f"{path} {text}")
        raise UsageError(
            f"{path}: unknown format. cloudtune reads {known}: if it is one of them, name it with "
            "--from; else write a study, which `cloudtune init` creates"
        )
    if len(found) > 1:
        raise UsageError(
            f"{path} may be {' or '.join(each.title for each in found.values())}; "
            f"add --from {' or --from '.join(found)}"
        )
    return next(iter(found.values()))


def _is_study(data: Any) -> bool:
    if not is_map(data):
        return False
    parameters = data.get("parameters")
    has_types = is_map(parameters) and all(
        is_map(each) and "type" in each for each in parameters.values()
    )
    return {"objective", "parameters", "trial"} <= data.keys() or (
        has_types and data.keys() <= StudyFields.model_fields.keys()
    )


def _explain(data: Any) -> str | None:
    """Return what to do with a document of no format: of a tool, or with a part that has a format.

    A part is in a job of a workflow, such as a state of a state machine.
    """
    formats = list(registry.all_formats().values())
    pending: list[tuple[str, Any, int]] = [("", data, 0)]
    for path, value, depth in pending:  # the outer parts first
        if is_list(value):
            pairs = [(str(index), inner) for index, inner in enumerate(value)]
        elif is_map(value):
            pairs = list(value.items())
            if text := next(filter(None, (each.explain(value) for each in formats)), None):
                return text if not path else f"has at {path} what {text}"
            if path and (found := [each.title for each in formats if each.matches(value)]):
                return f"has {' or '.join(found)} at {path}: save this part alone, and import it"
        else:
            continue
        if depth < _PART_DEPTH:
            pending += [
                (f"{path}.{key}" if path else key, inner, depth + 1) for key, inner in pairs
            ]
    return None


def _join(prefix: str, path: str) -> str:
    return ".".join(filter(None, (prefix, path)))


def _located(problem: Problem, path: Path, document: Document) -> Problem:
    line = document.line(problem.path.partition(" (")[0])
    return replace(problem, file=str(path), line=line)


def _place(file: Path, line: int | None) -> str:
    return "" if line is None else f"{file}:{line}: "


def _name_drafts(drafts: Sequence[StudyDraft]) -> None:
    """Give each draft a name of its own."""
    used: set[str] = set()
    for number, draft in enumerate(drafts, start=1):
        name = draft.name or f"definition-{number}"
        draft.name = name if name not in used else f"{name}-{number}"
        used.add(draft.name)


def _other_places(
    names: Sequence[str], paths: Sequence[str], definition: str | None
) -> tuple[str, ...]:
    """Return the places of the definitions that are not the chosen one; none if none is."""
    if definition not in names:
        return ()
    kept = {place for name, place in zip(names, paths, strict=True) if name == definition}
    return tuple(f"{place}." for place in paths if place and place not in kept)


def _select(
    drafts: list[tuple[StudyDraft, Document]], definition: str | None, path: Path
) -> list[tuple[StudyDraft, Document]]:
    if definition is None:
        return drafts
    names = [draft.name for draft, _ in drafts]
    if definition not in names:
        known = ", ".join(name for name in names if name)
        hint = did_you_mean(definition, names) or (
            f"it has {known}" if known else "it has only one"
        )
        raise UsageError(f"{path} has no definition {definition!r}: {hint}")
    return [each for each in drafts if each[0].name == definition]


def _validate(draft: StudyDraft, document: Document, path: Path) -> ImportedStudy:
    """Return the study of a draft; mistakes in it are mistakes in the file."""
    data = order_study(draft.data)
    try:
        study = load(data)
    except StudyError as error:
        problems = [_to_source(each, draft) for each in error.problems]
        raise StudyError([_located(each, path, document) for each in problems]) from error
    return ImportedStudy(draft.name, data, study)


def _to_source(problem: Problem, draft: StudyDraft) -> Problem:
    where, rest = problem.path, ""
    while where:
        if where in draft.origins:
            inner = f" ({rest.lstrip('.')})" if rest else ""
            return replace(problem, path=draft.origins[where] + inner)
        head, _, last = where.rpartition(".")
        where, rest = head, f".{last}{rest}"
    return problem
