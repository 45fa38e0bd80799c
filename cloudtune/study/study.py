"""The study: its blocks, checked against each other."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationInfo, model_validator

from cloudtune.diagnostics import Note
from cloudtune.errors import StudyError
from cloudtune.study.fields import StudyFields
from cloudtune.study.validation import find_notes, find_problems


class Study(StudyFields):
    """One tuning study. Every block may be left out until something needs it.

    Raises:
        StudyError: If the parts do not fit together; every problem at once.
    """

    @model_validator(mode="after")
    def _parts_fit_together(self, info: ValidationInfo) -> Self:
        context: Any = info.context or {}
        if not context.get("parts_only") and (wrong := find_problems(self)):
            raise StudyError(wrong)
        return self

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is worth knowing about the study and no mistake."""
        return (*self._loader_notes, *find_notes(self))
