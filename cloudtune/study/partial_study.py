"""The valid parts of a study, which are all of it unless it has mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.study.study import Study

MAX_PROBLEMS = 200


class PartialStudy(NamedTuple):
    """The valid parts of a study, and the problems of the others."""

    study: Study
    invalid_fields: frozenset[str] = frozenset()
    """The paths of the fields that were removed or replaced."""
    problems: Sequence[Problem] = ()
    unreported: int = 0
    """How many mistakes were found beyond the first `MAX_PROBLEMS` of a pass."""
    renamed: Sequence[tuple[str, str]] = ()
    """The paths of misspelled keys, and the paths under which the study has their content."""
    corrected: frozenset[str] = frozenset()
    """The paths of the keys and words that were corrected."""


def read_whole(data: dict[str, Any]) -> PartialStudy | None:
    """Return a study of which each field is valid by itself, or None."""
    try:
        return PartialStudy(Study.model_validate(data, context={"parts_only": True}))
    except ValidationError:
        return None
