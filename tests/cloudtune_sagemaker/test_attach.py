"""Tuning jobs that boto3 started."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.attach_contract import AttachContract, Command, Told, hold
from tests.waiting import wait_until

BUCKET = "training-data"
CODE = """
import argparse
parser = argparse.ArgumentParser()
for name, kind in (("lr", float), ("layers", int), ("opt", str), ("epochs", int)):
    parser.add_argument("--" + name, type=kind, required=True)
given, _ = parser.parse_known_args()
assert given.opt in ("sgd", "adam"), given.opt
for step in range(3):
    print(f"loss={1 / (step + 1)};")
    print(f"acc={1 - (given.lr - 0.01) ** 2 - given.layers / 100 + step / 1000:.8f};", flush=True)
"""
_NAMES = itertools.count(1)


@pytest.mark.slow
class TestAttach(AttachContract):
    name: ClassVar[str] = "sagemaker"
    operation: ClassVar[str] = "DescribeHyperParameterTuningJob"
    denial = ("a-job", "needs the permission sagemaker:DescribeHyperParameterTuningJob")
    running = frozenset({"InProgress"})
    stopped = frozenset({"Stopped"})
    clients: ClassVar[dict[str, Any]] = {}

    @classmethod
    def prepare(cls) -> None:
        env = cls.env
        boto3: Any = import_module("boto3")
        session = boto3.session.Session(
            env["AWS_ACCESS_KEY_ID"],
            env["AWS_SECRET_ACCESS_KEY"],
            region_name=env["AWS_DEFAULT_REGION"],
        )
        cls.clients = {}  # a subclass has its own service
        for service in ("sagemaker", "s3"):
            cls.clients[service] = session.client(service, endpoint_url=env["AWS_ENDPOINT_URL"])
        cls.clients["s3"].create_bucket(Bucket=BUCKET)

    def begin(self, trials: int, gate: Path | None = None) -> str:
        name = f"boto3-{next(_NAMES)}"
        self.upload(f"{name}.tar.gz", hold(gate) + CODE)
        config = {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "acc"},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": trials,
                "MaxParallelTrainingJobs": 2,
            },
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
                ],
                "IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "6"}],
                "CategoricalParameterRanges": [{"Name": "opt", "Values": ['"sgd"', '"adam"']}],
            },
        }
        self.clients["sagemaker"].create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig=config,
            TrainingJobDefinition=self.definition(f"s3://{BUCKET}/{name}.tar.gz"),
        )
        return name

    def upload(self, key: str, code: str) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("train.py")
            member.size = len(code)
            archive.addfile(member, io.BytesIO(code.encode()))
        self.clients["s3"].put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())

    @staticmethod
    def definition(address: str) -> dict[str, Any]:
        return {
            "StaticHyperParameters": {
                "epochs": "3",
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"{address}"',
            },
            "AlgorithmSpecification": {
                "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/"
                "sagemaker-scikit-learn:1.2-1-cpu-py3",
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "acc", "Regex": "acc=([0-9.]+);"},
                    {"Name": "loss", "Regex": "loss=([0-9.]+);"},
                ],
            },
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 5,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    def describe(self, job: str) -> dict[str, Any]:
        described: dict[str, Any] = self.clients["sagemaker"].describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=job
        )
        return described

    def word(self, job: str) -> str:
        return str(self.describe(job)["HyperParameterTuningJobStatus"])

    def told(self, job: str) -> Mapping[int, Told]:
        summaries = self.clients["sagemaker"].list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=job, MaxResults=100
        )["TrainingJobSummaries"]
        return {
            int(each["TrainingJobName"].split("-")[-2]): Told(
                {
                    "lr": float(each["TunedHyperParameters"]["lr"]),
                    "layers": int(each["TunedHyperParameters"]["layers"]),
                    "opt": each["TunedHyperParameters"]["opt"].strip('"'),
                },
                each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
            )
            for each in summaries
        }

    def missing(self) -> Mapping[str, tuple[int, str]]:
        arn = "arn:aws:sagemaker:us-east-1:123456789012"
        return {
            "gone": (3, "no tuning job named gone in us-east-1"),
            "a/b": (1, "'a/b' is no tuning job"),
            f"{arn}:training-job/x": (1, "is a training job; only tuning jobs can be attached"),
        }

    def test_an_arn_names_the_job_of_its_account_and_region(self, command: Command) -> None:
        job = self.begin(1)
        arn: str = self.describe(job)["HyperParameterTuningJobArn"]
        command("attach", f"sagemaker:{arn}")
        assert len(command.trials()) == 1
        other = arn.replace("123456789012", "210987654321")
        assert f"the caller reaches {arn}" in command("attach", f"sagemaker:{other}", code=3)

    def test_a_training_job_is_no_tuning_job(self, command: Command) -> None:
        job = self.begin(1)
        wait_until(lambda: self.word(job) not in self.running)
        (name,) = (
            each["TrainingJobName"]
            for each in self.clients["sagemaker"].list_training_jobs(NameContains=job)[
                "TrainingJobSummaries"
            ]
            if each["TrainingJobName"].startswith(f"{job}-")
        )
        output = command("attach", f"sagemaker:{name}", code=3)
        assert f"{name} is a single training job" in output

    def test_definitions_that_are_no_single_study_are_refused(self, command: Command) -> None:
        ranges = {"IntegerParameterRanges": [{"Name": "layers", "MinValue": "1", "MaxValue": "6"}]}
        definitions: list[dict[str, Any]] = []
        for name in ("one", "two"):
            self.upload(f"{name}.tar.gz", CODE)
            own = self.definition(f"s3://{BUCKET}/{name}.tar.gz")
            own["StaticHyperParameters"] |= {"lr": "0.1", "opt": '"sgd"'}
            own["DefinitionName"] = name
            own["TuningObjective"] = {"Type": "Maximize", "MetricName": "acc"}
            own["HyperParameterRanges"] = ranges
            definitions.append(own)
        self.clients["sagemaker"].create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="two-definitions",
            HyperParameterTuningJobConfig={
                "Strategy": "Random",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            },
            TrainingJobDefinitions=definitions,
        )
        output = command("attach", "sagemaker:two-definitions", code=2)
        assert "a run has one study" in output
        assert "the definitions one, two differ" in output
