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


def warm_pool(request: Json) -> Iterator[str]:
    """Guide, train-warm-pools, Considerations: neither spot instances nor instance groups.

    The words are not verified. The page has at most 3,600 seconds, the model 21,600: the model is
    newer, and its bounds are checked with all others.
    """
    if not request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        return
    if request.get("EnableManagedSpotTraining"):
        yield "KeepAlivePeriodInSeconds cannot be used with EnableManagedSpotTraining."
    if "InstanceGroups" in request["ResourceConfig"]:
        yield "KeepAlivePeriodInSeconds cannot be used with InstanceGroups."


RULES: tuple[Rule[Json], ...] = (required, *job.RULES, warm_pool)


def check(request: Json) -> None:
    """Refuse a training job that breaks a rule.

    Raises:
        ServiceError: A ValidationException with the first reason.
    """
    demand(RULES, request)
