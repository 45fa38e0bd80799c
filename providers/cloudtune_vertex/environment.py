"""Variables that trials are given from the caller's environment: resolved at the call alone."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.errors import UsageError
from cloudtune.provider.secrets import Secret, read_secrets
from cloudtune.study.schema import Json
from cloudtune.study.study import Study


def resolved(request: Json, study: Study) -> Json:
    """Return a request whose variables have their values.

    Args:
        request: Of a tuning job or a custom job. It is not changed.
        study: Says which variables are taken from the environment.

    Raises:
        UsageError: If one of them is not set, or to nothing, which Vertex AI does not take.
    """
    wanted = read_secrets(study)
    if empty := [name for name, secret in wanted.items() if not secret.value]:
        words = ", ".join(f"trial.env.{name}" for name in empty)
        raise UsageError(f"empty in the environment, and Vertex AI takes no empty value: {words}")
    if not wanted:
        return request
    for job, spec in (("hyperparameterTuningJob", "trialJobSpec"), ("customJob", "jobSpec")):
        if job in request:
            pools = [_filled(pool, wanted) for pool in request[job][spec]["workerPoolSpecs"]]
            described = {**request[job][spec], "workerPoolSpecs": pools}
            return {**request, job: {**request[job], spec: described}}
    return request


def _filled(pool: Json, wanted: Mapping[str, Secret]) -> Json:
    made = dict(pool)
    for kind in ("pythonPackageSpec", "containerSpec"):
        if "env" in made.get(kind, {}):
            made[kind] = {**made[kind], "env": [_given(v, wanted) for v in made[kind]["env"]]}
    return made


def _given(variable: Json, wanted: Mapping[str, Secret]) -> Json:
    secret = wanted.get(variable["name"])
    if secret is None or variable.get("value") != secret.shown:
        return variable
    return {**variable, "value": secret.value.replace("$(", "$$(")}  # which would be expanded
