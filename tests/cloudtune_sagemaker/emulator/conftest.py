"""An emulator process, and clients of AWS's own SDK that talk to it."""

from __future__ import annotations

import io
import tarfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cloudtune_sagemaker import answers
from tests.emulator_server import Served, emulator_fixtures

BUCKET = "team-bucket"
ROLE = "arn:aws:iam::123456789012:role/tuning"
QUADRATIC = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--kind", default="plain")
    given = parser.parse_args()
    for step in range(3):
        print(f"loss={(given.width - 1) ** 2 + given.depth - step / 10};", flush=True)
"""
"""A script that knows nothing of cloudtune."""


def _demand_modelled(model: Any, http_response: Any, parsed: Any, **_: Any) -> None:
    """Hold each answer against the service's model."""
    answer = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
    if http_response.status_code < 300:
        assert answers.problems(model.name, answer) == []


class Emulator(Served):
    """An emulator, and clients of its own SDK."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__("cloudtune_sagemaker.emulator", folder, *words)
        self._clients: dict[object, Any] = {}

    def reach(self) -> None:
        """Wait until it listens, and make what every test needs."""
        super().reach()
        self.sagemaker = self.client("sagemaker")
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)

    def client(self, service: str, *, attempts: int = 1, **changes: Any) -> Any:
        """Return a client, the same for the same arguments: each one takes memory and time."""
        key = (service, attempts, *changes.items())
        if key not in self._clients:
            self._clients[key] = self._create_client(service, attempts, **changes)
        return self._clients[key]

    def _create_client(self, service: str, attempts: int, **changes: Any) -> Any:
        from importlib import import_module

        from botocore.config import Config

        boto3: Any = import_module("boto3")

        given: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.key,
            "config": Config(retries={"total_max_attempts": attempts}, read_timeout=200),
        }
        created: Any = boto3.Session().client(service, **given | changes)
        if service.startswith("sagemaker"):
            created.meta.events.register("after-call", _demand_modelled)
        self.stack.callback(created.close)
        return created

    def upload(self, code: str, **files: str) -> str:
        """Put a script, and other files, as an archive into S3; return its address."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in {"train.py": textwrap.dedent(code), **files}.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        key = f"source/{next(self.names)}/sourcedir.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
        return f"s3://{BUCKET}/{key}"

    def definition(self, code: str = QUADRATIC, **changes: Any) -> dict[str, Any]:
        """Return a TrainingJobDefinition that runs a script; values of None leave members out."""
        address = self.upload(code)
        whole = {
            "StaticHyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": address,
                **changes.pop("static", {}),
            },
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        return _without_none(whole | changes)

    def tuning(
        self, code: str = QUADRATIC, *, config: Mapping[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """Return a request for a tuning job; ``config`` changes its configuration."""
        definition = changes.pop("definition", {})
        whole: dict[str, Any] = {
            "HyperParameterTuningJobName": self.name(),
            "HyperParameterTuningJobConfig": _without_none(
                {
                    "Strategy": "Random",
                    "RandomSeed": 3,
                    "HyperParameterTuningJobObjective": {
                        "Type": "Minimize",
                        "MetricName": "loss",
                    },
                    "ResourceLimits": {
                        "MaxNumberOfTrainingJobs": 2,
                        "MaxParallelTrainingJobs": 2,
                    },
                    "ParameterRanges": {
                        "ContinuousParameterRanges": [
                            {"Name": "width", "MinValue": "-2", "MaxValue": "2"}
                        ]
                    },
                    **(config or {}),
                }
            ),
            "TrainingJobDefinition": self.definition(code, **definition),
        }
        return _without_none(whole | changes)

    def tune(self, code: str = QUADRATIC, **changes: Any) -> str:
        """Start a tuning job; return its name."""
        request = self.tuning(code, **changes)
        self.sagemaker.create_hyper_parameter_tuning_job(**request)
        return str(request["HyperParameterTuningJobName"])

    def train(self, code: str = QUADRATIC, **changes: Any) -> str:
        """Start a training job; return its name."""
        request = self.definition(code, **changes)
        request["HyperParameters"] = request.pop("StaticHyperParameters")
        name = self.name()
        self.sagemaker.create_training_job(TrainingJobName=name, **request)
        return name

    def tuned(self, name: str) -> dict[str, Any]:
        """Return a tuning job once it has ended."""
        job: dict[str, Any] = self.until(
            lambda: self.sagemaker.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            ),
            lambda job: job["HyperParameterTuningJobStatus"] not in {"InProgress", "Stopping"},
        )
        return job

    def trained(self, name: str) -> dict[str, Any]:
        """Return a training job once it has ended."""
        job: dict[str, Any] = self.until(
            lambda: self.sagemaker.describe_training_job(TrainingJobName=name),
            lambda job: job["TrainingJobStatus"] not in {"InProgress", "Stopping"},
        )
        return job

    def trials(self, name: str, **changes: Any) -> list[dict[str, Any]]:
        """Return the trials of a tuning job."""
        pages = self.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        found: list[dict[str, Any]] = []
        for page in pages.paginate(HyperParameterTuningJobName=name, **changes):
            found += page["TrainingJobSummaries"]
        return found

    def log(self, name: str) -> str:
        path = self.folder / "jobs" / "us-east-1" / name / "log.txt"
        return path.read_text() if path.exists() else ""


def _without_none(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


emulator, start_emulator = emulator_fixtures(Emulator, "emulator")
