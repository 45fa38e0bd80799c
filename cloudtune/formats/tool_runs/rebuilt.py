"""The study of a finished run, rebuilt from what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.errors import StudyError, UsageError
from cloudtune.formats.tool_runs.space import DerivedSpace
from cloudtune.results.model import Trial
from cloudtune.study.loader import load
from cloudtune.study.study import Study

_MAX_NAME = 200


def rebuild_study(
    name: str,
    objectives: Sequence[Mapping[str, Any]],
    space: DerivedSpace,
    description: str,
    constraints: Sequence[str] = (),
) -> Study:
    """Return the study of a run.

    Raises:
        UsageError: If the run has a parameter that a study cannot have.
    """
    names = (*space.parameters, *space.constants)
    data = {
        "name": "".join(char for char in name if char.isprintable())[:_MAX_NAME].strip() or "study",
        "description": description,
        "objective": list(objectives),
        "parameters": dict(space.parameters),
        "constants": dict(space.constants),
        "constraints": list(constraints),
        # Only this style takes names such as a=b.
        "trial": {"arguments": "json"} if "=" in "".join(names) else {},
    }
    try:
        return load({key: value for key, value in data.items() if value})
    except StudyError as error:
        problems = "\n".join(f"  {each}" for each in error.problems)
        raise UsageError(f"the run cannot be a study:\n{problems}") from error


@dataclass(frozen=True)
class TrialSource:
    """Trials that are read anew by each iteration."""

    read: Callable[[], Iterator[Trial]]

    def __iter__(self) -> Iterator[Trial]:
        """Yield the trials."""
        return self.read()
