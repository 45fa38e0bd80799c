"""Rules for CreateTrainingPipeline."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.emulator_kit import Json
from cloudtune_vertex.emulator.errors import invalid, unimplemented
from cloudtune_vertex.emulator.rules import REQUIRED, check_fields, demand
from cloudtune_vertex.emulator.rules.job import JOB_RULES

CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
"""The only task here (google-cloud-aiplatform 2.7.0, schema.py); the others are of AutoML."""
_UNSUPPORTED: Mapping[str, str] = {
    "inputDataConfig": "no datasets: leave out the dataset",
}
_RULES = (
    *JOB_RULES,
    check_fields(
        (
            # Types, TrainingPipeline: required fields.
            ("trainingTaskDefinition", bool, REQUIRED),
            ("trainingTaskInputs", bool, REQUIRED),
        )
    ),
)


def check(request: Json) -> None:
    """Refuse a pipeline that the service or this emulator does not run.

    Raises:
        ServiceError: If it is invalid, or not supported here.
    """
    demand(_RULES, request)
    if not isinstance(request["trainingTaskInputs"], dict):
        raise invalid("The training task inputs must be an object, a CustomJobSpec.")
    if request["trainingTaskDefinition"] != CUSTOM_TASK:
        raise unimplemented(
            f"This emulator runs no {request['trainingTaskDefinition']}; it runs {CUSTOM_TASK}."
        )
    for field, text in _UNSUPPORTED.items():
        if field in request:
            raise unimplemented(f"This emulator has {text} ({field}).")
