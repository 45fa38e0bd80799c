"""Rules for CreateTrainingJob."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator.rules import Rule, demand, job


def required(request: Json) -> Iterator[str]:
    """Model, CreateTrainingJob: required unless the job is serverless."""
    for key in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if key not in request:
            yield f"{key} is required."


RULES: tuple[Rule[Json], ...] = (required, *job.RULES)


def check(request: Json) -> None:
    """Refuse a training job that breaks a rule.

    Raises:
        ServiceError: A ValidationException with the first reason.
    """
    demand(RULES, request)
