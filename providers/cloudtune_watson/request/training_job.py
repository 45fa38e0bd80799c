"""A fitted study as the training that Watson Machine Learning runs for one start of a trial."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from cloudtune.provider import Facts, Json, Study
from cloudtune_watson.request.layout import COMMAND, DEFINITION, JOB, JOB_TAG, RUN_TAG, TAG, results
from cloudtune_watson.settings import WatsonSettings


def training(study: Study, settings: WatsonSettings, facts: Facts) -> Json:
    """Return the body of ``POST /ml/v4/trainings``.

    What differs from start to start stands in it as `cloudtune_watson.request.layout.JOB` and
    `DEFINITION`. The trial's words are not in its command: see `command`.
    """
    data = facts.data
    where = (
        {"project_id": data["project_id"]} if data["project_id"] else {"space_id": data["space_id"]}
    )
    return {
        "name": JOB,
        # Both of IBM's packages read it without asking whether it is there.
        "description": study.description or f"A trial of {study.name or 'a study'}",
        "tags": [TAG, f"{RUN_TAG}{facts.run_id}", f"{JOB_TAG}{JOB}", *settings.tags],
        **where,
        # They demand it, if it is empty.
        "training_data_references": [
            _reference(name, path) for name, path in facts.lookup.inputs.addresses.items() if path
        ],
        "results_reference": _reference("results", results(facts)),
        "model_definition": {
            "id": DEFINITION,
            "command": COMMAND,
            "hardware_spec": {"name": data["hardware_spec"], "nodes": settings.nodes},
            "software_spec": {"name": data["software_spec"]},
        },
    }


def command(given: Mapping[str, str]) -> str:
    """Return what a training runs: the launcher, told the values of parameters by their names.

    It is split as a shell does, so each word is quoted for one.
    """
    return shlex.join([COMMAND, *(f"--{name}={value}" for name, value in given.items())])


def _reference(name: str, path: str) -> Json:
    return {"type": "fs", "name": name, "connection": {}, "location": {"path": path}}
