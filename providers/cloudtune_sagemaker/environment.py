"""Variables that trials are given from the caller's environment: resolved at the call alone.

What is planned and kept shows ``${NAME}``. What comes back from the service may hold the values,
since scripts print and services quote; they are masked before anything keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cloudtune.errors import UsageError
from cloudtune.study import FromEnvironment, Study

Json = dict[str, Any]

_SHORTEST = 4
"""Characters of a value that is masked; shorter ones occur in every text."""


def resolved(request: Json, study: Study) -> Json:
    """Return a request whose variables have their values.

    Args:
        request: Of a tuning job or a training job. It is not changed.
        study: Says which variables are taken from the environment.

    Raises:
        UsageError: If one of them is not set.
    """
    wanted = _wanted(study)
    unset = {name: source for name, source in wanted.items() if source not in os.environ}
    if unset:
        words = ", ".join(f"{source} (trial.env.{name})" for name, source in unset.items())
        raise UsageError(f"not set in the environment, and the study takes it from there: {words}")
    made = dict(request)
    if "TrainingJobDefinition" in made:
        made["TrainingJobDefinition"] = _filled(made["TrainingJobDefinition"], wanted)
    if "TrainingJobDefinitions" in made:
        made["TrainingJobDefinitions"] = [
            _filled(each, wanted) for each in made["TrainingJobDefinitions"]
        ]
    return _filled(made, wanted)


class Mask:
    """Replaces the values of a study's variables by their names in what a service says."""

    def __init__(self, study: Study) -> None:
        found = {os.environ.get(source, ""): source for source in _wanted(study).values()}
        self._names = {
            value: name
            for value, name in sorted(found.items(), key=lambda item: -len(item[0]))
            if len(value) >= _SHORTEST
        }

    def __call__(self, text: str) -> str:
        """Return a text without the values."""
        for value, name in self._names.items():
            text = text.replace(value, f"${{{name}}}")
        return text


def _wanted(study: Study) -> Mapping[str, str]:
    """Return the variables that the caller's environment gives, each with its name there."""
    return {
        name: value.from_env
        for name, value in study.trial.env.items()
        if isinstance(value, FromEnvironment)
    }


def _filled(definition: Json, wanted: Mapping[str, str]) -> Json:
    before: Mapping[str, str] = definition.get("Environment", {})
    if not before:
        return definition
    after = {
        name: os.environ[wanted[name]]
        if name in wanted and value == f"${{{wanted[name]}}}"
        else value
        for name, value in before.items()
    }
    return {**definition, "Environment": after}
