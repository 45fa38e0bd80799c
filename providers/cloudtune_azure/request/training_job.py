"""The body of ``PUT jobs/{name}`` for any start of a trial, and what a sweep has of it.

The fields are those of ``CommandJob`` in the REST API 2024-04-01, and of recorded jobs.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence

from cloudtune.provider import START, Facts, Json, Study
from cloudtune.provider.secrets import secret_variables
from cloudtune_azure.launcher_contract import FOLDER, INPUT, TRIALS
from cloudtune_azure.settings import ENVIRONMENT, AzureSettings, workspace_id
from cloudtune_azure.storage import datastore_address

JOB = "{{job}}"
"""Placeholder for the name of a trial's start."""
CHECKPOINT = "{{checkpoint}}"
"""Placeholder for the number of the trial whose folder in the datastore a start uses."""
ARCHIVE = "cloudtune.tar.gz"
"""The launcher and the user's code, in the working folder of a job."""
_OUTPUT = "trial"
_IDENTITIES = {"managed": "Managed", "user": "UserIdentity"}
_START = f"""\
import os, sys, tarfile, tempfile
archive, words = sys.argv[1], sys.argv[2:]
{START}"""
_MAX_EXPERIMENT = 250


def request(study: Study, settings: AzureSettings, facts: Facts) -> Json:
    """Return the request; its placeholders are filled in for each start."""
    properties = {
        "jobType": "Command",
        "displayName": JOB,
        **job_part(
            study, settings, facts, outputs=f"{outputs_folder(facts, settings)}/{CHECKPOINT}"
        ),
        **trial_part(study, settings, facts, command(settings.python, facts, {})),
    }
    return {"properties": properties}


def job_part(study: Study, settings: AzureSettings, facts: Facts, *, outputs: str) -> Json:
    """Return where a job of a run is, what it reads and where it writes."""
    properties: Json = {
        "experimentName": settings.experiment or experiment_name(study),
        "tags": {**settings.tags, run_tag(facts.run_id): study.name or "study"},
        "inputs": {
            f"input_{number}": {**value, "mode": "ReadOnlyMount"}
            for number, value in enumerate(facts.data["inputs"].values())
        },
        "outputs": {
            _OUTPUT: {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": outputs}
        },
    }
    if settings.compute:
        properties["computeId"] = f"{workspace_id(facts.data)}/computes/{settings.compute}"
    elif settings.spot:
        properties["queueSettings"] = {"jobTier": "Spot"}
    if settings.identity:
        properties["identity"] = {"identityType": _IDENTITIES[settings.identity]}
    return properties


def trial_part(study: Study, settings: AzureSettings, facts: Facts, command_: str) -> Json:
    """Return what a trial runs, and on what: a part of a command job, ``trial`` of a sweep."""
    resources: Json = {"instanceCount": 1}
    for name, value in (
        ("instanceType", settings.instance_type),
        ("shmSize", settings.shm_size),
        ("dockerArgs", settings.docker_args),
    ):
        if value is not None:
            resources[name] = value
    return {
        "codeId": f"{workspace_id(facts.data)}/codes/{facts.job_name}/versions/1",
        "command": command_,
        "environmentId": environment_id(settings, facts),
        "environmentVariables": secret_variables(study),
        "resources": resources,
    }


def run_tag(run: str) -> str:
    """Return the tag of all jobs of a run. A list of jobs can be filtered only by keys of tags."""
    return f"cloudtune_{run}"


def experiment_name(study: Study) -> str:
    """Return the name of the experiment, in the characters that Azure allows."""
    name = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in study.name or ""
    )
    return name.lstrip("-_")[:_MAX_EXPERIMENT] or "cloudtune"


def environment_id(settings: AzureSettings, facts: Facts) -> str:
    """Return the id of the environment in a request."""
    if settings.image:
        version = environment_version(settings, facts)
        return f"{workspace_id(facts.data)}/environments/{ENVIRONMENT}/versions/{version}"
    environment: str = facts.data["environment"]
    return environment


def environment_version(settings: AzureSettings, facts: Facts) -> str:
    """Return the version under which an image, with a Conda file, is registered."""
    content = f"{settings.image}{facts.data.get('conda') or ''}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def outputs_folder(facts: Facts, settings: AzureSettings) -> str:
    """Return the address of the folder with the checkpoints and outputs of a run's trials."""
    return datastore_address(settings.datastore, "cloudtune", "jobs", facts.job_name)


def input_variables(facts: Facts) -> dict[str, str]:
    """Return the variables with the paths of the inputs, by the names of the inputs."""
    return {name: f"{INPUT}{number}" for number, name in enumerate(facts.data["inputs"])}


def command(
    python: str, facts: Facts, values: Mapping[str, str], tuned: Sequence[str] | None = None
) -> str:
    """Return the command of a job, quoted for the shell in which Azure runs it.

    Args:
        python: The Python of the image.
        facts: The facts of the plan.
        values: What is passed as ``--name=value``.
        tuned: The names of the parameters whose values Azure puts in; None for a command job.
    """
    variables = [f'{FOLDER}="${{{{outputs.{_OUTPUT}}}}}"']
    variables += [
        f'{variable}="${{{{inputs.input_{number}}}}}"'
        for number, variable in enumerate(input_variables(facts).values())
    ]
    words = [python, "-c", _START, ARCHIVE, *(f"--{k}={v}" for k, v in values.items())]
    variables += [f"{TRIALS}=1"] if tuned is not None else []
    # Whether Azure puts in a value or a variable is not verified: in " ", the shell takes both.
    passed = [f'"--{name}=${{{{search_space.{name}}}}}"' for name in tuned or ()]
    return f"{' '.join(variables)} exec {' '.join([*map(quote, words), *passed])}"


def quote(word: str) -> str:
    """Return a word for the shell in which Azure finds no expression, ``${{…}}``, to replace."""
    return shlex.quote(word).replace("${{", "$''{{")
