"""Variables that trials are given from the caller's environment: resolved at the call alone."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.provider.secrets import Secret, read_secrets
from cloudtune.study.schema import Json
from cloudtune.study.study import Study


def resolved(request: Json, study: Study) -> Json:
    """Return a request whose variables have their values.

    Args:
        request: Of a tuning job or a training job. It is not changed.
        study: Says which variables are taken from the environment.

    Raises:
        UsageError: If one of them is not set.
    """
    wanted = read_secrets(study)
    made = dict(request)
    if "TrainingJobDefinition" in made:
        made["TrainingJobDefinition"] = _filled(made["TrainingJobDefinition"], wanted)
    if "TrainingJobDefinitions" in made:
        made["TrainingJobDefinitions"] = [
            _filled(each, wanted) for each in made["TrainingJobDefinitions"]
        ]
    return _filled(made, wanted)


def _filled(definition: Json, wanted: Mapping[str, Secret]) -> Json:
    before: Mapping[str, str] = definition.get("Environment", {})
    if not before:
        return definition
    filled = {n: s.value for n, s in wanted.items() if before.get(n) == s.shown}
    return {**definition, "Environment": {**before, **filled}}
