"""Optuna: a study in one of its storages, and the distributions of a study as JSON.

Optuna has no study file. Its storages keep the name, the directions and, of each trial, the
distributions (``optuna.distributions.distribution_to_json``); samplers, pruners and the arguments
of ``optimize`` are only in code. The JSON of this format has these facts under the names of
``optuna.create_study``, ``optuna.samplers``, ``optuna.pruners`` and ``Study.optimize``.

Follows Optuna 5.0.0 (``distributions.py``, ``storages``, ``pruners``), read 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.model import Format, StudyDraft
from cloudtune.formats.optuna.names import DISTRIBUTIONS, HOME
from cloudtune.study.yaml_reader import is_list, is_map


class OptunaFormat(Format):
    """Studies in storages of Optuna, and their facts as JSON."""

    name = HOME
    title = "an Optuna study"
    source = "https://optuna.readthedocs.io/en/v5.0.0/, read 2026-11-27"
    dialect_at = "cloudtune.formats.optuna.dialect:OPTUNA"

    @override
    def matches(self, document: Json) -> bool:
        if is_list(document.get("studies")):
            return all(is_map(each) and self.matches(each) for each in document["studies"])
        if is_map(document.get("distributions")) or "distributions" in document:
            return True
        return bool(document) and all(map(_is_distribution, document.values()))

    @override
    def read(self, document: Fields) -> Sequence[StudyDraft]:
        from cloudtune.formats.optuna.reader import StudyReader

        if _is_plain(document):
            distributions = dict(document.original)
            plain = Fields({"distributions": distributions}, document.report)
            return [StudyReader(plain).draft()]
        if "studies" in document:
            return [_read_one(each) for each in document.maps("studies")]
        return [StudyReader(document).draft()]

    @override
    def join(self, documents: Sequence[Json], report: Report) -> Json:
        return {"studies": list(documents)}

    @override
    def open(self, place: str, *, is_named: bool) -> Json | None:
        from cloudtune.formats.optuna.storage import is_storage, read_storage

        is_address = place.startswith("sqlite:///") or (is_named and "://" in place)
        return read_storage(place) if is_address or is_storage(Path(place)) else None


def _read_one(study: Fields) -> StudyDraft:
    """Read one of several studies: a mistake in another one must not change how it is read."""
    from cloudtune.formats.optuna.reader import StudyReader

    own = Report(study.report.file)
    draft = StudyReader(Fields(study.original, own, study.path)).draft()
    study.report.findings += own.findings
    study.report.problems += own.problems
    return draft


def _is_plain(document: Fields) -> bool:
    """Return whether a document is a map of distributions alone."""
    return "distributions" not in document.original and all(
        map(_is_distribution, document.original.values())
    )


def _is_distribution(value: object) -> bool:
    if isinstance(value, str) and value.startswith("{"):
        from cloudtune.formats.optuna.distributions import parse_distribution

        value = parse_distribution(value)
    return is_map(value) and str(value.get("name")) in DISTRIBUTIONS and "attributes" in value
