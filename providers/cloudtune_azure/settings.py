"""Settings under ``providers.azure``. None of them is a secret.

Descriptions name the fields of a command job in the REST API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictStr, model_validator

from cloudtune.formats import map_at
from cloudtune.provider import (
    CloudSettings,
    Json,
    MoneyAmount,
    SettingsPart,
    Text,
    is_map,
    without_other_native,
)

NAME = "azure"
REQUEST_FIELD = "properties"
"""The field of ``native`` that is merged into a request: a job in the REST API has all its fields
below it. An import of a sweep job, whose format has the same name, keeps the others for exports."""
ENVIRONMENT = "CliV2AnonymousEnvironment"
"""The name of environments without a name, as Microsoft's own client registers them."""


_COMPUTE = re.compile(r"(?:azureml:)?([\w.-]+)")
_IDENTITIES = {"user_identity": "user", "managed": "managed", "managed_identity": "managed"}


class Prices(SettingsPart):
    """Your prices."""

    hour: MoneyAmount = Field(description="One hour of the machine of one trial, such as 0.40 USD.")


class AzureSettings(CloudSettings):
    """Which workspace runs the trials, and how."""

    subscription: Text | None = Field(
        default=None, description="Subscription id; default: AZURE_SUBSCRIPTION_ID."
    )
    resource_group: Text | None = Field(
        default=None, description="Resource group; default: AZURE_RESOURCE_GROUP."
    )
    workspace: Text | None = Field(default=None, description="Workspace; default: AZURE_WORKSPACE.")
    compute: Text | None = Field(
        default=None,
        description="computeId: name of a compute cluster; default: serverless compute.",
    )
    instance_type: Text | None = Field(
        default=None,
        description="resources.instanceType of serverless compute, such as Standard_DS3_v2.",
    )
    spot: StrictBool = Field(
        default=False,
        description="queueSettings.jobTier Spot: spare serverless capacity, which may be "
        "reclaimed. A cluster has its own priority.",
    )
    environment: Text | None = Field(
        default=None,
        description="environmentId, such as azureml:NAME:VERSION or azureml:NAME@latest, or the "
        "full id of one of a registry; required without image.",
    )
    image: Text | None = Field(
        default=None,
        description="Address of a container image with Python, instead of an environment.",
    )
    conda_file: Text | None = Field(
        default=None,
        description="Conda environment file, relative to the study's: Azure builds it on `image`.",
    )
    python: Text = Field(default="python", description="Python of the image that runs trials.")
    identity: Literal["managed", "user"] | None = Field(
        default=None,
        description="identity: the compute's managed identity, or yours; default: the workspace's "
        "choice.",
    )
    datastore: Text = Field(
        default="workspaceblobstore",
        description="Datastore for inputs, outputs and checkpoints: a blob container.",
    )
    experiment: Text | None = Field(
        default=None, description="experimentName; default: the study's name."
    )
    shm_size: Text | None = Field(
        default=None, description="resources.shmSize: shared memory, such as 2g."
    )
    docker_args: Text | None = Field(
        default=None, description="resources.dockerArgs: more options for Docker."
    )
    tags: dict[StrictStr, StrictStr] = Field(default={}, description="Tags of each job.")
    visible_secrets: StrictBool = Field(
        default=False,
        description="Send values of from_env, which everyone who reads the workspace can see.",
    )
    prices: Prices | None = Field(default=None, description="Your prices.")

    @model_validator(mode="before")
    @classmethod
    def _without_sweep(cls, data: Any) -> Any:
        """Take the machine of an imported sweep job, and leave the rest of it out of ``native``."""
        if is_map(data):
            own = {name for name, value in data.items() if value is not None}
            job = _imported(own, map_at(data, "native"))
            data = {**data, **{name: job[name] for name in job.keys() - own}}
        return without_other_native(data, lambda field: field == REQUEST_FIELD)


def _imported(own: Set[str], job: Json) -> Json:
    """Return the settings of an imported sweep job that those of the study do not replace."""
    trial = map_at(job, "trial")
    resources, identity = map_at(trial, "resources"), map_at(job, "identity")
    found: Json = {name: resources.get(name) for name in ("shm_size", "docker_args")}
    compute = _COMPUTE.fullmatch(str(job.get("compute") or ""))
    if not {"compute", "instance_type"} & own:
        found["compute"] = compute[1] if compute else None
        found["instance_type"] = None if compute else resources.get("instance_type")
    if not {"environment", "image"} & own:
        environment = trial.get("environment")
        found["environment"] = environment if isinstance(environment, str) else None
    if identity.keys() == {"type"}:
        found["identity"] = _IDENTITIES.get(str(identity["type"]))
    return {name: value for name, value in found.items() if value is not None}


def workspace_id(data: Mapping[str, Any]) -> str:
    """Return the id of the workspace, which begins each path."""
    return (
        f"/subscriptions/{data['subscription']}/resourceGroups/{data['resource_group']}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{data['workspace']}"
    )
