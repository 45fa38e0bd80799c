"""The resources of AWS that a run uses, as ARNs: in policies as patterns, otherwise by their names.

An unknown name is its placeholder, such as ``{{account}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, cast

from cloudtune.provider import Plan
from cloudtune_sagemaker.console import LOG_GROUP
from cloudtune_sagemaker.request.layout import job_prefix
from cloudtune_sagemaker.settings import SageMakerSettings

Resource = Literal[
    "any",
    "tuning job",
    "training job",
    "jobs",
    "role",
    "log",
    "bucket",
    "default bucket",
    "own objects",
    "read buckets",
    "read objects",
    "image",
    "output key",
    "disk key",
]
"""What a right is about: the job, the bucket and so on of a plan."""
ECR_ADDRESS = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/"
    r"(?P<name>[^:@\s]+)(:(?P<tag>[^@\s]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""The address of an image in Amazon ECR."""


def s3_addresses(plan: Plan) -> list[str]:
    """Return the S3 addresses of a request, those of a run's own prefix included, in order."""
    return list(dict.fromkeys(_find_addresses(plan.request)))


def is_known(text: str) -> bool:
    """Return whether a text has no placeholder for something unknown."""
    return "{{" not in text


class Resources:
    """The resources of a plan, as ARNs."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._data = data = plan.facts.data
        self._role: str = data["role_arn"]
        region: str = data["region"]
        match = re.match(r"arn:(aws[a-z-]*):", self._role)
        partition = match[1] if match else _partition(region)
        self._arn = f"arn:{partition}"
        self._account = f"{region}:{data['account']}"
        self._label = plan.facts.job_name.removesuffix(plan.facts.run_id)

    def patterns(self, resource: Resource) -> list[str]:
        """Return the resources as a policy names them."""
        return self._arns(resource, f"{self._label}*", "*")

    def concrete(self, resource: Resource) -> list[str]:
        """Return resources that a run of the plan uses; none if the plan has none."""
        return self._arns(resource, self._plan.facts.job_name, "x")

    def policy(self, name: str) -> str:
        """Return the ARN of a policy of the account."""
        return f"{self._arn}:iam::{self._data['account']}:policy/{name}"

    def _arns(self, resource: Resource, job: str, file: str) -> list[str]:
        arn, data = self._arn, self._data
        jobs = f"{arn}:sagemaker:{self._account}"
        own = job_prefix(data, "").removeprefix("s3://")
        match resource:
            case "any":
                return ["*"]
            case "tuning job":
                return [f"{jobs}:hyper-parameter-tuning-job/{job}"]
            case "training job":
                return [f"{jobs}:training-job/{job}"]
            case "jobs" if self._plan.mode == "managed":
                return self._arns("tuning job", job, file)
            case "jobs":
                return self._arns("training job", job, file)
            case "role":
                return [self._role]
            case "log":
                stream = "*" if file == "*" else f"log-stream:{job}/{file}"
                return [f"{arn}:logs:{self._account}:log-group:{LOG_GROUP}:{stream}"]
            case "bucket":
                return [f"{arn}:s3:::{data['bucket']}"]
            case "default bucket":
                region, account = data["region"], data["account"]
                is_default = data["bucket"] == f"sagemaker-{region}-{account}"
                return self._arns("bucket", job, file) if is_default else []
            case "own objects":
                return [f"{arn}:s3:::{own}/{file}"]
            case "read buckets":
                buckets = [data["bucket"], *(split_uri(uri)[0] for uri in self._inputs())]
                return [f"{arn}:s3:::{bucket}" for bucket in dict.fromkeys(buckets)]
            case "read objects":
                inputs = [_objects_below(uri, file) for uri in self._inputs()]
                paths = [f"{own}/{file}", *inputs]
                return [f"{arn}:s3:::{path}" for path in dict.fromkeys(paths)]
            case "image":
                match = ECR_ADDRESS.fullmatch(data["image"] or "")
                if match is None:
                    return []
                where = f"{match['region']}:{match['account']}"
                return [f"{arn}:ecr:{where}:repository/{match['name']}"]
            case "output key" | "disk key":
                settings = cast("SageMakerSettings", self._plan.settings)
                key = settings.kms_key if resource == "output key" else settings.volume_kms_key
                return [self._key_arn(key)] if key else []

    def _inputs(self) -> list[str]:
        """Return the S3 addresses that jobs read outside of the run's own prefix."""
        own = job_prefix(self._data, "") + "/"
        return [uri for uri in s3_addresses(self._plan) if not f"{uri}/".startswith(own)]

    def _key_arn(self, key: str) -> str:
        if key.startswith("arn:"):
            return key
        name = "*" if key.startswith("alias/") else key
        return f"{self._arn}:kms:{self._account}:key/{name}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 address."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def _objects_below(uri: str, file: str) -> str:
    """Return bucket and key of the objects that start with an address: S3 selects by prefix."""
    path = uri.partition("://")[2]
    return f"{path}{file}" if "/" in path else f"{path}/{file}"


def _partition(region: str) -> str:
    """Return the partition of a region, as in partitions.json of botocore 1.44.8."""
    starts = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((each for start, each in starts.items() if region.startswith(start)), "aws")


def _find_addresses(value: object) -> Iterator[str]:
    if isinstance(value, str):
        text = value.strip('"')  # hyperparameters are JSON
        if text.startswith("s3://"):
            yield text
    elif isinstance(value, Mapping):
        for item in cast("Mapping[str, object]", value).values():
            yield from _find_addresses(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _find_addresses(item)
