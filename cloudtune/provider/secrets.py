"""Keeps the values that trials are given from the caller's environment out of what is kept.

What is planned and written shows ``${NAME}``. What comes back from a service may hold the values,
since scripts print and services quote; they are masked before anything keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from cloudtune.errors import UsageError
from cloudtune.results.events import Ended
from cloudtune.study.schema import FromEnvironment
from cloudtune.study.study import Study

_SHORTEST = 4
"""Characters of a value that is masked; shorter ones occur in every text."""
_LONGEST = 1_500
"""Characters that are kept of a reason."""


class Secret(NamedTuple):
    """A variable's value, and what stands for it wherever it is shown."""

    shown: str
    value: str


class Mask:
    """Takes the values of a study's variables out of what a service or a script says."""

    def __init__(self, study: Study) -> None:
        found = {os.environ.get(source, ""): source for source in _wanted(study).values()}
        self._names = {
            value: name
            for value, name in sorted(found.items(), key=lambda item: -len(item[0]))
            if len(value) >= _SHORTEST
        }

    def __call__(self, reason: str) -> str:
        """Return a reason without the values, of a length that a table can take."""
        masked = self._masked(reason)
        return masked if len(masked) <= _LONGEST else f"{masked[:_LONGEST]}..."

    def end(self, event: Ended) -> Ended:
        """Return the end of a trial without the values."""
        reason, tail = self(event.reason), self._masked(event.log_tail)
        if (reason, tail) == (event.reason, event.log_tail):
            return event
        return replace(event, reason=reason, log_tail=tail)

    def _masked(self, text: str) -> str:
        for value, name in self._names.items():
            text = text.replace(value, f"${{{name}}}")
        return text


def read_secrets(study: Study) -> dict[str, Secret]:
    """Return the variables that a study takes from the environment, by their names in trials.

    Raises:
        UsageError: If one of them is not set.
    """
    wanted = _wanted(study)
    unset = {name: source for name, source in wanted.items() if source not in os.environ}
    if unset:
        words = ", ".join(f"{source} (trial.env.{name})" for name, source in unset.items())
        raise UsageError(f"not set in the environment, and the study takes it from there: {words}")
    return {n: Secret(f"${{{source}}}", os.environ[source]) for n, source in wanted.items()}


def _wanted(study: Study) -> Mapping[str, str]:
    """Return the variables that the caller's environment gives, each with its name there."""
    return {
        name: value.from_env
        for name, value in study.trial.env.items()
        if isinstance(value, FromEnvironment)
    }
