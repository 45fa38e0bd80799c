"""The request of the training that Watson Machine Learning runs for one start of a trial."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cloudtune.provider import Facts, FittedStudy, Json
from cloudtune_watson.layout import (
    COMMAND,
    DEFINITION,
    JOB,
    JOB_TAG,
    RUN_TAG,
    TAG,
    results_root,
)
from cloudtune_watson.settings import WatsonSettings


def training_job(fitted: FittedStudy, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the body of ``POST /ml/v4/trainings``.

    `JOB` and `DEFINITION` stand for what each start replaces. The runner adds the arguments of the
    trial to the command, see `training_command`.
    """
    study = fitted.study
    data = facts.data
    scope = "project_id" if data["project_id"] else "space_id"
    return {
        "name": JOB,
        # Both of IBM's packages require a description and data references, even if empty.
        "description": study.description or f"A trial of {study.name or 'a study'}",
        "tags": [TAG, f"{RUN_TAG}{facts.run_id}", f"{JOB_TAG}{JOB}", *settings.tags],
        scope: data[scope],
        "training_data_references": [
            _reference(name, path) for name, path in facts.lookup.inputs.addresses.items() if path
        ],
        "results_reference": _reference("results", f"{results_root(facts)}/{JOB}"),
        "model_definition": {
            "id": DEFINITION,
            "command": COMMAND,
            "hardware_spec": {"name": data["hardware_spec"], "nodes": settings.nodes},
            "software_spec": {"name": data["software_spec"]},
        },
    }


def training_command(parameters: Mapping[str, str]) -> str:
    """Return the command of a training, quoted for a shell, with a trial's values by name."""
    return shlex.join([COMMAND, *(f"--{name}={value}" for name, value in parameters.items())])


def _reference(name: str, path: str) -> Json:
    return {"type": "fs", "name": name, "connection": {}, "location": {"path": path}}
