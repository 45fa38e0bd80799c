"""Translates a study into the body of ``POST /api/jobs/``, for any start of a trial.

The fields are those of ``JobSubmitRequest`` (Ray 2.60.0, dashboard/modules/job/common.py).
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudtune.provider import (
    Facts,
    FittedStudy,
    Json,
    Mode,
    Resources,
    Study,
    largest_resources,
    parse_bytes,
    trial_resources,
)
from cloudtune.provider.secrets import resolve_secrets, secret_variables
from cloudtune_ray.job_program import GRACE
from cloudtune_ray.launcher_contract import AFTER_STEP, STORAGE
from cloudtune_ray.settings import RaySettings

if TYPE_CHECKING:
    from cloudtune.results import Started

JOB = "{{job}}"
"""Placeholder for the name of a trial's start."""
CHECKPOINT = "{{checkpoint}}"
"""Placeholder for the number of the trial whose folder in the storage a start uses."""
PACKAGE = "{{package}}"
"""Placeholder for the address of the code, which depends on its content."""
RUN_KEY = "cloudtune_run"
"""The key of a job's metadata with the id of its run."""
PROGRAM = "cloudtune_job.py"
"""The program at the root of the package."""
DEFAULT_CPUS = 1
"""Without any resource, Ray runs a job on the head node (job_manager.py, _get_label_selector)."""


def request(fitted: FittedStudy, _mode: Mode, settings: RaySettings, facts: Facts) -> Json:
    """Return the request; its placeholders are filled in for each start."""
    study = fitted.study
    variables: dict[str, str] = {GRACE: str(math.ceil(settings.grace))}
    if settings.storage:
        variables[STORAGE] = storage_folder(settings.storage, facts.run_id, CHECKPOINT)
    variables |= secret_variables(study)
    environment: Json = {"working_dir": PACKAGE, "env_vars": variables}
    if facts.data["packages"]:
        environment["pip"] = {"packages": facts.data["packages"]}
    return {
        "submission_id": JOB,
        "entrypoint": entrypoint(settings.python, JOB, {}),
        "metadata": {RUN_KEY: facts.run_id, "cloudtune_study": study.name or "study"},
        "runtime_env": environment,
        **_resource_fields(largest_resources(study), settings),
    }


def adapt_resources(body: Json, study: Study, settings: RaySettings, started: Started) -> None:
    """Give a request the resources of one start, where ``native`` does not set others."""
    planned = _resource_fields(largest_resources(study), settings)
    own = _resource_fields(trial_resources(study, started), settings)
    for name in planned.keys() | own.keys():
        if body.get(name) != planned.get(name):
            continue
        if name in own:
            body[name] = own[name]
        else:
            del body[name]


def _resource_fields(resources: Resources, settings: RaySettings) -> Json:
    cpus = resources.cpus
    fields: Json = {"entrypoint_num_cpus": DEFAULT_CPUS if cpus is None else cpus}
    if resources.gpus:
        fields["entrypoint_num_gpus"] = resources.gpus
    if resources.memory:
        fields["entrypoint_memory"] = parse_bytes(resources.memory)
    if settings.resources:
        fields["entrypoint_resources"] = dict(settings.resources)
    if settings.label_selector:
        fields["entrypoint_label_selector"] = dict(settings.label_selector)
    return fields


def storage_folder(storage: str, run: str, number: int | str) -> str:
    """Return the folder in the storage with the checkpoints and outputs of a trial."""
    return f"{storage.rstrip('/')}/{run}/{number}"


def entrypoint(python: str, name: str, values: Mapping[str, str]) -> str:
    """Return the command of a job, quoted for the shell in which Ray runs it."""
    words = [python, PROGRAM, name, *(f"--{key}={value}" for key, value in values.items())]
    return f"exec {shlex.join(words)}"


def start_variables(variables: Json, study: Study, started: Started) -> Json:
    """Return the variables of a start, with the values of the secrets.

    Raises:
        UsageError: If a variable of this shell is not set.
    """
    resolved: Json = resolve_secrets({"env": variables}, study)["env"]
    return {**resolved, AFTER_STEP: str(started.after_step)} if started.after_step else resolved
