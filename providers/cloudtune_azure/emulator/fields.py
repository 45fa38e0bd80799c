"""The types of the fields of a request that the emulator reads; Azure refuses others, too."""

from __future__ import annotations

from typing import Any

from cloudtune.emulator_kit import Fields, Json, is_map, problem
from cloudtune_azure.emulator.errors import bad_argument

JOB: Fields = {
    "tags?": dict,
    "properties?": dict,
    "displayName?": str,
    "experimentName?": str,
    "computeId?": str,
}
COMMAND: Fields = {
    "command": str,
    "codeId?": str,
    "environmentVariables?": dict,
    "resources?": dict,
    "limits?": dict,
    "queueSettings?": dict,
}
SWEEP: Fields = {
    "trial.command": str,
    "trial.codeId?": str,
    "trial.environmentVariables?": dict,
    "trial.resources?": dict,
    "searchSpace": dict,
    "samplingAlgorithm.samplingAlgorithmType": str,
    "samplingAlgorithm.seed?": int,
    "objective.goal": str,
    "objective.primaryMetric": str,
    "earlyTermination?.policyType": str,
    "earlyTermination?.delayEvaluation?": int,
    "earlyTermination?.evaluationInterval?": int,
    "earlyTermination?.truncationPercentage?": int,
    "earlyTermination?.slackFactor?": (int, float),
    "earlyTermination?.slackAmount?": (int, float),
    "limits?.maxTotalTrials?": int,
    "limits?.maxConcurrentTrials?": int,
    "limits?.timeout?": str,
    "limits?.trialTimeout?": str,
}


def check_fields(given: Any, fields: Fields) -> None:
    """Check what a request has.

    Raises:
        ServiceError: If a field is missing or has another type.
    """
    if wrong := problem(given, fields):
        raise bad_argument(f"The request is invalid: {wrong}.")


def check_job(given: Json) -> None:
    """Check the properties of a job.

    Raises:
        ServiceError: If a field is missing or has another type.
    """
    check_fields(given, COMMAND if given["jobType"] == "Command" else SWEEP)
    for name in ("inputs", "outputs"):
        entries: Any = given.get(name) or {}
        if not is_map(entries) or not all(map(is_map, entries.values())):
            raise bad_argument(f"The {name} of the job are invalid.")
