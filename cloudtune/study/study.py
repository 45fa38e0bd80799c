"""The study, with a check that its parts fit together."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationInfo, model_validator

from cloudtune.common.display import Displayable
from cloudtune.diagnostics import Note
from cloudtune.errors import StudyError
from cloudtune.study.fields import StudyFields
from cloudtune.study.validation import find_notes, find_problems


class Study(Displayable, StudyFields):
    """One tuning study. Every block is optional until a command needs it.

    Raises:
        StudyError: If the parts do not fit together; all problems at once.
    """

    @model_validator(mode="after")
    def _parts_fit_together(self, info: ValidationInfo) -> Self:
        context: Any = info.context or {}
        if not context.get("parts_only") and (problems := find_problems(self)):
            raise StudyError(problems)
        return self

    @property
    def notes(self) -> tuple[Note, ...]:
        """Choices that cloudtune made for the study, and likely mistakes in it."""
        return (*self._loader_notes, *find_notes(self))
