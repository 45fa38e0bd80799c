"""The fields of the requests of all back ends that ``native`` may not replace, and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudtune_watson.jobs.launcher_contract import JOB_NAME_VARIABLE, PARAMETERS_VARIABLE
from cloudtune_watson.settings import SETTINGS

PROTECTED_PATHS = (
    *("name", "tags", "space_id", "project_id"),
    *("deployment.id", "scoring.output_data_reference"),
    f"scoring.environment_variables.{JOB_NAME_VARIABLE}",
    f"scoring.environment_variables.{PARAMETERS_VARIABLE}",
    *("results_reference", "model_definition.id", "model_definition.command"),
    *("file", "data.hpoName"),
)
"""Those of deployment jobs, trainings and searches."""

LIMITS = {
    "max_trials": "maxJobNum",
    "parallel_trials": "maxParalleJobNum",
    "timeout": "maxRunTime",
}
"""The fields of a search by the limit of a study, in IBM's spelling."""
STUDY_FIELDS: Mapping[str, Sequence[str]] = {
    "description": (),
    "model_definition.hardware_spec.nodes": (f"{SETTINGS}.nodes",),
    "data.algoDef.algorithm": ("strategy",),
    "data.algoDef.algoParams.RandomSeed.value": ("strategy.seed",),
    **{
        f"data.algoDef.{LIMITS[name]}": (f"limits.{name}", f"{SETTINGS}.limits.{name}")
        for name in ("max_trials", "parallel_trials")
    },
}
