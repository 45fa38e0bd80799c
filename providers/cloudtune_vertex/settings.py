"""Settings under ``providers.vertex``. None of them is a secret.

Descriptions name the fields of the service, as in `cloudtune_vertex.capabilities.TYPES`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from cloudtune.provider import CloudSettings, MoneyAmount, Seconds, SettingsPart, Text

NAME = "vertex"


class Prices(SettingsPart):
    """Prices in your project, instead of cloudtune's list."""

    hour: MoneyAmount = Field(
        description="One hour of one machine with its accelerators and disk, such as 0.22 USD; of "
        "all machines of a trial if native changes them."
    )


class VertexSettings(CloudSettings):
    """Where and how Vertex AI runs the trials, one machine per trial."""

    project: Text | None = Field(
        default=None,
        description="Project id; default: GOOGLE_CLOUD_PROJECT, CLOUD_ML_PROJECT_ID, or gcloud's "
        "project.",
    )
    location: Text | None = Field(
        default=None,
        description="Region, such as us-central1, in which the bucket and the key must be, too; "
        "default: GOOGLE_CLOUD_REGION, CLOUD_ML_REGION, or gcloud's ai/region.",
    )
    impersonate: Text | None = Field(
        default=None,
        description="Service account that cloudtune uses to call Google; default: your account.",
    )
    bucket: Text | None = Field(
        default=None,
        description="Name of a bucket in the location, for code, inputs and outputs; required.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="Prefix of all objects in the bucket."
    )

    image: Text | None = Field(
        default=None,
        description="Address of the container image: a prebuilt training image of Google, or your "
        "own, with the host of its registry; required.",
    )
    machine_type: Text | None = Field(
        default=None, description="machineSpec.machineType, such as n1-standard-4; required."
    )
    accelerator_type: Text | None = Field(
        default=None, description="machineSpec.acceleratorType, such as NVIDIA_TESLA_T4."
    )
    accelerator_count: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="machineSpec.acceleratorCount; default: 1."
    )
    disk_type: Literal["pd-ssd", "pd-standard", "hyperdisk-balanced"] | None = Field(
        default=None,
        description="diskSpec.bootDiskType; default: pd-ssd on most machines.",
    )
    disk_gb: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="diskSpec.bootDiskSizeGb, 100 to 64,000; default: 100."
    )

    persistent_resource: Text | None = Field(
        default=None,
        description="jobSpec.persistentResourceId: existing machines on which trials run; driven "
        "mode only.",
    )
    spot: StrictBool = Field(
        default=False,
        description="scheduling.strategy SPOT: spare capacity, which may be reclaimed.",
    )
    flex_start: StrictBool = Field(
        default=False,
        description="scheduling.strategy FLEX_START: a trial waits for a free machine.",
    )
    max_wait: Seconds | None = Field(
        default=None,
        description="scheduling.maxWaitDuration, with flex_start; default: one day.",
    )
    restart: StrictBool = Field(
        default=False,
        description="scheduling.restartJobOnWorkerRestart: restart a trial when its machine "
        "restarts.",
    )

    service_account: Text | None = Field(
        default=None,
        description="jobSpec.serviceAccount: the service account of trials; default: Vertex AI's "
        "Custom Code Service Agent.",
    )
    network: Text | None = Field(
        default=None,
        description="jobSpec.network: projects/NUMBER/global/networks/NAME, peered with Vertex AI.",
    )
    kms_key: Text | None = Field(
        default=None,
        description="encryptionSpec.kmsKeyName: the key that encrypts the job and its trials.",
    )
    web_access: StrictBool = Field(
        default=False, description="jobSpec.enableWebAccess: a shell in running trials."
    )
    labels: dict[StrictStr, StrictStr] = Field(default={}, description="Labels of each job.")
    prices: Prices | None = Field(
        default=None, description="Prices that override cloudtune's list."
    )
