"""Settings under ``providers.sagemaker``. None of them is a secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr
from pydantic.json_schema import WithJsonSchema

from cloudtune.provider.models import CloudSettings
from cloudtune.study.schema import Price, Seconds

NAME = "sagemaker"

_Text = Annotated[StrictStr, Field(min_length=1)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Types = Annotated[
    list[_Text],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Framework(_Part):
    """A framework whose image is looked up."""

    name: _Text = Field(description="As pytorch, tensorflow, sklearn, xgboost, huggingface.")
    version: _Text = Field(description='Of the framework, in quotes: "2.3".')
    python: _Text | None = Field(
        default=None, description="As py311, for the frameworks that have images of several."
    )


class Prices(_Part):
    """What the machine costs in your account, instead of the list that cloudtune has."""

    hour: Price = Field(
        description="One hour of one instance, as 0.23 USD; of all instances of a trial where "
        "native changes them."
    )


class SageMakerSettings(CloudSettings):
    """Where and how SageMaker runs the training jobs, one a trial."""

    region: _Text | None = Field(
        default=None, description="As us-east-1; AWS_REGION, or the profile's, when left out."
    )
    profile: _Text | None = Field(
        default=None, description="Profile of the AWS configuration files."
    )
    role_arn: _Text | None = Field(
        default=None, description="The role as which the training jobs run."
    )
    bucket: _Text | None = Field(
        default=None,
        description="For code, inputs and outputs; sagemaker-REGION-ACCOUNT when left out.",
    )
    prefix: StrictStr = Field(
        default="cloudtune", description="Below which everything lies in the bucket."
    )

    image: _Text | None = Field(default=None, description="Address of the container image.")
    framework: Framework | None = Field(
        default=None,
        description="Instead of an image: needs the extra sagemaker-sdk, which looks it up.",
    )
    algorithm: _Text | None = Field(
        default=None,
        description="Instead of an image: name or ARN of an algorithm of yours or a vendor.",
    )
    instance_type: _Types | None = Field(
        default=None, description="As ml.m5.xlarge; or a list, the first that is free is taken."
    )
    instance_count: Annotated[StrictInt, Field(ge=1)] = Field(
        default=1, description="Instances of one trial."
    )
    volume_size: Annotated[StrictInt, Field(ge=1)] = Field(
        default=30, description="GB of its disk."
    )

    spot: bool = Field(
        default=False, description="Whether to use spare capacity that may be taken away."
    )
    max_wait: Seconds | None = Field(
        default=None,
        description="Spot: the trial with its waiting; as long as trial_timeout when left out.",
    )
    checkpoints: bool | None = Field(
        default=None,
        description="Whether /opt/ml/checkpoints is kept in the bucket; when left out, yes where "
        "each trial has a folder of its own there.",
    )
    retry: Annotated[StrictInt, Field(ge=1, le=30)] | None = Field(
        default=None, description="Attempts after an internal error of the service."
    )

    kms_key: _Text | None = Field(
        default=None, description="Key that encrypts what trials produce."
    )
    volume_kms_key: _Text | None = Field(default=None, description="Key that encrypts the disks.")
    subnets: Annotated[list[_Text], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Subnets of your network."
    )
    security_group_ids: Annotated[list[_Text], Field(min_length=1, max_length=5)] | None = Field(
        default=None, description="Security groups in it; together with subnets."
    )
    network_isolation: bool = Field(
        default=False, description="Whether trials have no network at all."
    )
    encrypt_traffic: bool = Field(
        default=False,
        description="Whether what the instances of a trial tell each other is encrypted.",
    )

    input_mode: Literal["File", "Pipe", "FastFile"] = Field(
        default="File", description="How inputs reach the script."
    )
    tags: dict[StrictStr, StrictStr] = Field(default={}, description="On each job, by key.")
    prices: Prices | None = Field(
        default=None, description="Instead of the list that cloudtune has."
    )
