"""Settings under ``providers.vertex``. None of them is a secret.

Fields of the service are named as in `cloudtune_vertex.capabilities.TYPES`, which is the source of
what their descriptions say of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from cloudtune.provider.models import CloudSettings
from cloudtune.study.schema import Price, Seconds

NAME = "vertex"

_Text = Annotated[StrictStr, Field(min_length=1)]


class Prices(BaseModel):
    """What the machine costs in your project, instead of the list that cloudtune has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hour: Price = Field(
        description="One hour of one machine with its accelerators and disk, as 0.22 USD; of all "
        "machines of a trial where native changes them."
    )


class VertexSettings(CloudSettings):
    """Where and how Vertex AI runs the trials: each on one machine of its own."""

    project: _Text | None = Field(
        default=None,
        description="The project's id; GOOGLE_CLOUD_PROJECT, CLOUD_ML_PROJECT_ID, or gcloud's, "
        "when left out.",
    )
    location: _Text | None = Field(
        default=None,
        description="As us-central1; GOOGLE_CLOUD_REGION, CLOUD_ML_REGION, or gcloud's ai/region, "
        "when left out.",
    )
    impersonate: _Text | None = Field(
        default=None, description="The service account as which cloudtune itself calls Google."
    )
    bucket: _Text | None = Field(
        default=None,
        description="For code, inputs and outputs: the name alone, of a bucket in the location.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="Below which everything lies in the bucket."
    )

    image: _Text | None = Field(
        default=None,
        description="Address of the container image: one of Google's prebuilt ones for training, "
        "or your own.",
    )
    machine_type: _Text | None = Field(
        default=None, description="machineSpec.machineType: as n1-standard-4."
    )
    accelerator_type: _Text | None = Field(
        default=None, description="machineSpec.acceleratorType: as NVIDIA_TESLA_T4."
    )
    accelerator_count: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="machineSpec.acceleratorCount: how many of them; 1 if left out."
    )
    disk_type: Literal["pd-ssd", "pd-standard", "hyperdisk-balanced"] | None = Field(
        default=None,
        description="diskSpec.bootDiskType; pd-ssd on most machines when left out.",
    )
    disk_gb: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="diskSpec.bootDiskSizeGb; 100 when left out."
    )

    spot: StrictBool = Field(
        default=False,
        description="scheduling.strategy SPOT: spare capacity that may be taken away.",
    )
    flex_start: StrictBool = Field(
        default=False,
        description="scheduling.strategy FLEX_START: a trial waits until its machine is free.",
    )
    max_wait: Seconds | None = Field(
        default=None,
        description="scheduling.maxWaitDuration: how long, with flex_start; a day when left out.",
    )
    restart: StrictBool = Field(
        default=False,
        description="scheduling.restartJobOnWorkerRestart: start a trial anew when its machine "
        "restarts.",
    )

    service_account: _Text | None = Field(
        default=None,
        description="jobSpec.serviceAccount: as which trials run; Vertex AI's Custom Code Service "
        "Agent when left out.",
    )
    network: _Text | None = Field(
        default=None,
        description="jobSpec.network: projects/NUMBER/global/networks/NAME, peered with Vertex AI.",
    )
    kms_key: _Text | None = Field(
        default=None,
        description="encryptionSpec.kmsKeyName: the key that encrypts the job and its trials.",
    )
    web_access: StrictBool = Field(
        default=False, description="jobSpec.enableWebAccess: a shell in running trials."
    )
    labels: dict[StrictStr, StrictStr] = Field(default={}, description="On each job, by key.")
    prices: Prices | None = Field(
        default=None, description="Instead of the list that cloudtune has."
    )
