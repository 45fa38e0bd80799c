"""The settings of one provider in a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cloudtune.diagnostics import Problem
from cloudtune.errors import StudyError
from cloudtune.study.overrides import located

if TYPE_CHECKING:
    from cloudtune.provider.base import BaseProvider
    from cloudtune.provider.settings import ProviderSettings
    from cloudtune.study.study import Study


def read_settings(study: Study, on: str, provider: BaseProvider[Any]) -> ProviderSettings:
    """Return the provider's settings from the study.

    Raises:
        StudyError: If settings are invalid; contains all problems, with the lines of the file.
    """
    given = study.providers.get(on, {})
    try:
        settings: ProviderSettings = provider.settings.model_validate(given)
        return settings
    except ValidationError as error:
        from cloudtune.study.messages import translate_error

        problems: list[Problem] = []
        for problem in translate_error(error, given, provider.settings):
            path = f"providers.{on}.{problem.path}"
            problems.append(located(problem, path, *study.location(path)))
        raise StudyError(problems) from error
