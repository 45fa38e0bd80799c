"""The request of the local provider: how its runner starts a trial."""

from __future__ import annotations

from cloudtune.provider import (
    Facts,
    FittedStudy,
    FromEnvironment,
    Json,
    TrialSpec,
    largest_resources,
)
from cloudtune_local.settings import LocalSettings


def request(fitted: FittedStudy, settings: LocalSettings, facts: Facts) -> Json:
    """Return how to start each trial, as plain data."""
    trial, resources = fitted.study.trial, largest_resources(fitted.study)
    entry_point = {"script": trial.script, "module": trial.module, "command": trial.command}
    return {
        "source": str(facts.source) if facts.source else None,
        **{key: value for key, value in entry_point.items() if value is not None},
        "python": facts.data["python"],
        "warm": trial.warm,
        "preload": trial.preload,
        "args": trial.args,
        "arguments": trial.arguments,
        **({"switches": trial.switches} if trial.switches else {}),
        **({"seed_argument": trial.seed_argument} if trial.seed_argument else {}),
        "constants": dict(fitted.study.constants),
        "resource": fitted.study.strategy.resource,
        "parameters": fitted.original.argument_names,
        **({"maps": maps} if (maps := fitted.original.maps) else {}),
        "inputs": {name: path for name, path in facts.lookup.inputs.addresses.items() if path},
        "env": {
            name: {"from_env": value.from_env} if isinstance(value, FromEnvironment) else value
            for name, value in trial.env.items()
        },
        "metrics": {name: list(patterns) for name, patterns in trial.metrics.items()},
        "cpus": resources.cpus,
        "gpus": facts.data["gpus"],
        "gpus_per_trial": resources.gpus or 0,
        **({"resources": conditional} if (conditional := _conditional_resources(trial)) else {}),
        "parallel": fitted.study.limits.parallel_trials or 1,
        "grace": settings.grace,
    }


def _conditional_resources(trial: TrialSpec) -> list[Json]:
    """Return the resources of trials if they depend on parameters."""
    if not any(each.when for each in trial.resources):
        return []
    return [each.model_dump(exclude_none=True) for each in trial.resources]
