"""Rules for CreateTrainingJob. See `rule`."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune_sagemaker.emulator import job_rules
from cloudtune_sagemaker.emulator.jobs import Json
from cloudtune_sagemaker.emulator.rule import Rule, demand


def needed(request: Json) -> Iterator[str]:
    """Model, CreateTrainingJob: what a job that is not serverless has to have."""
    for key in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if key not in request:
            yield f"{key} is required."


RULES: tuple[Rule[Json], ...] = (needed, *job_rules.RULES)


def check(request: Json) -> None:
    """Refuse a training job that breaks a rule.

    Raises:
        ServiceError: A ValidationException with the first reason.
    """
    demand(RULES, request)
