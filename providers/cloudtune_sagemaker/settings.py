"""Settings under ``providers.sagemaker``. None of them is a secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, StrictStr
from pydantic.json_schema import WithJsonSchema

from cloudtune.provider import CloudSettings, MoneyAmount, Seconds, SettingsPart, Text

NAME = "sagemaker"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Types = Annotated[
    list[Text],
    Field(min_length=1),
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Framework(SettingsPart):
    """A framework whose image is looked up."""

    name: Text = Field(description="Such as pytorch, tensorflow, sklearn, xgboost, huggingface.")
    version: Text = Field(description='Version of the framework, in quotes: "2.3".')
    python: Text | None = Field(
        default=None, description="Such as py311, for frameworks with images of several versions."
    )


class Prices(SettingsPart):
    """Prices in your account, instead of cloudtune's list."""

    hour: MoneyAmount = Field(
        description="One hour of one instance, such as 0.23 USD; of all instances of a trial if "
        "native changes them."
    )


class SageMakerSettings(CloudSettings):
    """Where and how SageMaker runs the training jobs, one per trial."""

    region: Text | None = Field(
        default=None,
        description="Such as us-east-1; default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's.",
    )
    profile: Text | None = Field(
        default=None, description="Profile of the AWS configuration files; default: boto3's choice."
    )
    role_arn: Text | None = Field(default=None, description="Role of the training jobs; required.")
    bucket: Text | None = Field(
        default=None,
        description="Bucket for code, inputs and outputs; default: sagemaker-REGION-ACCOUNT of the "
        "role, created if it does not exist.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="Prefix of all objects in the bucket."
    )

    image: Text | None = Field(
        default=None,
        description="Address of the container image; required without framework and algorithm.",
    )
    framework: Framework | None = Field(
        default=None,
        description="Instead of image: looks up the image; needs the extra sagemaker-sdk.",
    )
    algorithm: Text | None = Field(
        default=None,
        description="Instead of image: name or ARN of your own or a vendor's algorithm.",
    )
    instance_type: _Types | None = Field(
        default=None,
        description="Such as ml.m5.xlarge; or a list, in order of preference; required.",
    )
    instance_count: Annotated[StrictInt, Field(ge=1)] = Field(
        default=1,
        description="Instances of one trial, which all run the script; metrics are those of the "
        "first one. The emulator runs only 1.",
    )
    volume_size: Annotated[StrictInt, Field(ge=1)] = Field(
        default=30, description="Disk size of an instance, in GB."
    )

    spot: bool = Field(
        default=False, description="Whether to use spot instances, which may be reclaimed."
    )
    max_wait: Seconds | None = Field(
        default=None,
        description="Spot: maximum time of a trial, waiting included; default: trial_timeout.",
    )
    keep_alive: Seconds | None = Field(
        default=None,
        description="How long instances wait for the next trial, in a warm pool; driven mode only.",
    )
    checkpoints: bool | None = Field(
        default=None,
        description="Whether /opt/ml/checkpoints is stored in the bucket; default: in driven mode, "
        "and in managed mode with spot.",
    )
    retry: Annotated[StrictInt, Field(ge=1, le=30)] | None = Field(
        default=None, description="Attempts after internal errors of the service."
    )

    kms_key: Text | None = Field(
        default=None, description="Key that encrypts the output of trials."
    )
    volume_kms_key: Text | None = Field(
        default=None,
        description="Key that encrypts the disks; instances with local disks, such as ml.g5, take "
        "none.",
    )
    subnets: Annotated[list[Text], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Subnets of your network."
    )
    security_group_ids: Annotated[list[Text], Field(min_length=1, max_length=5)] | None = Field(
        default=None, description="Security groups in your network; requires subnets."
    )
    network_isolation: bool = Field(
        default=False, description="Whether trials run without a network."
    )
    encrypt_traffic: bool = Field(
        default=False,
        description="Whether traffic between the instances of a trial is encrypted.",
    )

    input_mode: Literal["File", "Pipe", "FastFile"] = Field(
        default="File", description="How inputs reach the script."
    )
    definition_names: dict[StrictStr, Text] = Field(
        default={},
        description="Names of the training definitions of a conditional study, by value of the "
        "parameter on which its conditions depend.",
    )
    tags: dict[StrictStr, StrictStr] = Field(default={}, description="Tags of each job, by key.")
    prices: Prices | None = Field(
        default=None, description="Prices that override cloudtune's list."
    )
