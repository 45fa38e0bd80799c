"""The name of one start of a trial, and what it gets besides its parameters."""

from __future__ import annotations

from cloudtune.launcher import SEED
from cloudtune.provider.lookup import uses_launcher
from cloudtune.provider.plan import Plan
from cloudtune.results.events import Started
from cloudtune.study.search_space import Value


def start_name(job: str, number: int, start: int) -> str:
    """Return the name of a start of a trial, which is unique among those of a job.

    >>> start_name("digits-3f6k", 7, 1), start_name("digits-3f6k", 7, 2)
    ('digits-3f6k-7', 'digits-3f6k-7-2')
    """
    return f"{job}-{number}-{start}" if start > 1 else f"{job}-{number}"


def start_constants(plan: Plan, started: Started) -> dict[str, Value]:
    """Return the amount of a named resource and the seed of one start, by the names to send.

    The launcher knows the seed by the name `SEED`. Without the launcher, it is sent if the study
    names an argument for it.
    """
    study = plan.fitted.study
    resource, argument = study.strategy.resource, study.trial.seed_argument
    values: dict[str, Value] = {}
    if resource and started.resource is not None:
        values[resource] = started.resource
    name = SEED if uses_launcher(study, plan.facts) else argument
    if name and started.seed is not None:
        values[name] = started.seed
    return values
