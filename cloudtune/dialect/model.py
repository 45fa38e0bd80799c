"""A dialect: all that is needed to write a study as a document of another system.

A format is a dialect and a reader. `fit` alone drops, approximates or refuses; what writes a
document gets a study that the tool can express, and reports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.native import Native, native_of
from cloudtune.dialect.words import Words
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.fitting.fields import drop_fields
from cloudtune.fitting.fit import FittedStudy, adjust_support, fit_to
from cloudtune.study.merge import merge_json
from cloudtune.study.schema import Json
from cloudtune.study.study import Study

Findings = Iterable[Finding | Note]


def _no_rules(_: FittedStudy, __: Native) -> Findings:
    return ()


@dataclass(frozen=True)
class Dialect:
    """How a study is written as a document of one tool."""

    name: str
    """The block under ``providers`` with what only this tool can express."""
    title: str
    """The tool, for messages."""
    capabilities: ModeCapabilities
    words: Words
    study_part: Callable[[FittedStudy, Native], Json]
    """Returns the document of a fitted study. It takes out of what is kept what it has merged
    itself, and what no longer holds; the rest is merged into the document."""
    native: Callable[[Study], Native] | None = None
    """Returns what is kept of an imported document; None if nothing is kept of parameters."""
    rules: Callable[[FittedStudy, Native], Findings] = _no_rules
    """Yields what the capabilities cannot say, and what has to be filled in. A field that a finding
    drops is dropped."""

    def read_native(self, study: Study) -> Native:
        """Return what is kept of an imported document."""
        return self.native(study) if self.native else Native(native_of(study, self.name))


def fit_document(study: Study, dialect: Dialect) -> FittedStudy:
    """Return the study as a tool can express it, with all findings."""
    native = dialect.read_native(study)
    fitted = fit_to(
        study,
        adjust_support(dialect.capabilities, study, "managed"),
        dialect.name,
        dialect.title,
        lambda name, parameter: native.whole(name, parameter) is not None,
    )
    fitted, found = _name_rule(fitted, dialect)
    found += [*dialect.words.findings(fitted.study.strategy, dialect.title)]
    found += [*_others(fitted, dialect, native), *dialect.rules(fitted, native)]
    findings = [each for each in found if isinstance(each, Finding)]
    strategy = dialect.words.written(fitted.study.strategy)
    study = fitted.study.model_copy(update={"strategy": strategy})
    return replace(
        fitted,
        study=drop_fields(study, findings),
        findings=(*fitted.findings, *findings),
        notes=(*fitted.notes, *(each for each in found if isinstance(each, Note))),
    )


def write_document(fitted: FittedStudy, dialect: Dialect) -> Json:
    """Return the document of a fitted study, with what is kept of an imported one."""
    native = dialect.read_native(fitted.study)
    part = dialect.study_part(fitted, native)
    merged: Json = merge_json(part, native.rest)
    return merged


def _name_rule(fitted: FittedStudy, dialect: Dialect) -> tuple[FittedStudy, list[Finding | Note]]:
    """Return the study with a rule of the tool instead of auto."""
    stopping = fitted.study.early_stopping
    note = dialect.words.automatic_note(stopping, dialect.title)
    if stopping is None or note is None:
        return fitted, []
    named = stopping.model_copy(update={"rule": dialect.words.automatic})
    study = fitted.study.model_copy(update={"early_stopping": named})
    return replace(fitted, study=study), [note]


def _others(fitted: FittedStudy, dialect: Dialect, native: Native) -> Iterator[Note]:
    study = fitted.original
    resource = [study.strategy.resource] if study.strategy.resource else []
    for name in native.others([*study.parameters, *study.constants, *resource]):
        text = f"the study has no parameter {name}: what the imported file says of it is left out"
        yield Note(f"providers.{dialect.name}.native", text)
