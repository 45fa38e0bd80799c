"""An emulator process, and Google's own clients that talk to it."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from cloudtune_vertex.google_sdk import import_google
from tests.emulator_server import Served, emulator_fixtures

BUCKET = "team-bucket"
PARENT = "projects/team/locations/us-central1"
PREBUILT = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-0:latest"
QUADRATIC = """
    import argparse, json, os, time
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--kind", default="plain")
    given, _ = parser.parse_known_args()
    file = os.environ.get("CLOUD_ML_HP_METRIC_FILE", "metrics/none")
    os.makedirs(os.path.dirname(file), exist_ok=True)
    reports = []
    for step in range(1, 4):
        loss = (given.width - 1) ** 2 + given.depth - step / 10
        reports.append({"global_step": str(step), "loss": str(loss), "checkpoint_path": "",
                        "timestamp": time.time(), "trial": "0"})
        with open(file, "w") as opened:
            opened.writelines(json.dumps(report) + "\\n" for report in reports)
"""
"""A script that reports as cloudml-hypertune does, and knows nothing of cloudtune."""


class Emulator(Served):
    """An emulator, and Google's own clients of it."""

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__("cloudtune_vertex.emulator", folder, *words)

    def reach(self) -> None:
        """Wait until it listens, and make what every test needs."""
        super().reach()
        self.types: Any = import_google("google.cloud.aiplatform_v1.types")
        self.jobs = self.job_client()
        self.storage = self.storage_client()
        self.bucket: Any = self.storage.create_bucket(BUCKET)

    def job_client(self, key: str | None = None) -> Any:
        """Return Google's own client of JobService."""
        service: Any = import_google("google.cloud.aiplatform_v1.services.job_service")
        client = service.JobServiceClient(
            transport="rest",
            credentials=self.credentials(key),
            client_options={"api_endpoint": self.url},
        )
        self.stack.callback(client.transport.close)
        return client

    def storage_client(self, key: str | None = None) -> Any:
        """Return Google's own client of Cloud Storage."""
        storage: Any = import_module("google.cloud.storage")
        client = storage.Client(
            project="team",
            credentials=self.credentials(key),
            client_options={"api_endpoint": self.url},
        )
        self.stack.callback(client.close)
        return client

    def credentials(self, key: str | None = None) -> Any:
        credentials: Any = import_module("google.oauth2.credentials")
        return credentials.Credentials(token=key or self.key)

    def upload(self, code: str, **changes: str) -> str:
        """Put a script as an sdist with the module ``trainer.task`` into Cloud Storage."""
        files = {
            "setup.py": "from setuptools import find_packages, setup\n"
            "setup(name='trainer', version='1', packages=find_packages())\n",
            "trainer/__init__.py": "",
            "trainer/task.py": textwrap.dedent(code),
            **changes,
        }
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(f"trainer-1/{name}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        name = f"packages/{next(self.names)}/trainer-1.tar.gz"
        self.bucket.blob(name).upload_from_string(packed.getvalue())
        return f"gs://{BUCKET}/{name}"

    def package(self, code: str, *args: str) -> dict[str, Any]:
        """Return a worker pool that runs a script as a Python package."""
        return {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "pythonPackageSpec": {
                "executorImageUri": PREBUILT,
                "packageUris": [self.upload(code)],
                "pythonModule": "trainer.task",
                "args": list(args),
            },
        }

    @staticmethod
    def container(code: str, *args: str, **changes: Any) -> dict[str, Any]:
        """Return a worker pool that runs a script as a command."""
        return {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": {
                "imageUri": "europe-docker.pkg.dev/team/own/image:1",
                "command": ["python3", "-c", textwrap.dedent(code)],
                "args": list(args),
                **changes,
            },
        }

    def tuning(
        self,
        code: str = QUADRATIC,
        *,
        study: Mapping[str, Any] | None = None,
        spec: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """Return a tuning job; values of None leave fields out."""
        whole: dict[str, Any] = {
            "displayName": self.name(),
            "maxTrialCount": 2,
            "parallelTrialCount": 2,
            "maxFailedTrialCount": 2,
            "studySpec": _without_none(
                {
                    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
                    "parameters": [
                        {
                            "parameterId": "width",
                            "doubleValueSpec": {"minValue": 0.5, "maxValue": 4},
                        },
                        {
                            "parameterId": "depth",
                            "integerValueSpec": {"minValue": "1", "maxValue": "4"},
                        },
                    ],
                    "algorithm": "RANDOM_SEARCH",
                    **(study or {}),
                }
            ),
            "trialJobSpec": _without_none(
                {
                    "workerPoolSpecs": [self.container(code)],
                    "baseOutputDirectory": {"outputUriPrefix": f"gs://{BUCKET}/{self.name()}"},
                    **(spec or {}),
                }
            ),
        }
        return _without_none(whole | changes)

    def create(self, job: Mapping[str, Any], *, parent: str = PARENT) -> Any:
        """Create a tuning job from its REST form."""
        message = self.types.HyperparameterTuningJob.from_json(json.dumps(job))
        return self.jobs.create_hyperparameter_tuning_job(
            parent=parent, hyperparameter_tuning_job=message, timeout=200
        )

    def create_custom(self, pool: Mapping[str, Any], **changes: Any) -> Any:
        """Create a custom job from its REST form."""
        spec = {"workerPoolSpecs": [pool], **changes.pop("spec", {})}
        job = {"displayName": self.name(), "jobSpec": spec, **changes}
        message = self.types.CustomJob.from_json(json.dumps(job))
        return self.jobs.create_custom_job(parent=PARENT, custom_job=message, timeout=200)

    def get(self, name: str) -> Any:
        """Return a job of either kind."""
        if "/customJobs/" in name:
            return self.jobs.get_custom_job(name=name, timeout=200)
        return self.jobs.get_hyperparameter_tuning_job(name=name, timeout=200)

    def ended(self, name: str) -> Any:
        """Return a job once it has ended."""
        over = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
        return self.until(lambda: self.get(name), lambda job: state_of(job) in over)

    def run(self, job: Mapping[str, Any]) -> Any:
        """Create a tuning job and return it once it has ended."""
        return self.ended(self.create(job).name)

    def log(self, name: str) -> str:
        path = self.folder / "jobs" / name.rpartition("/")[2] / "log.txt"
        return path.read_text() if path.exists() else ""

    def printed_pid(self, name: str) -> int:
        """Return the process id that a job's script prints, once the whole line is there."""
        return int(self.until(lambda: self.log(name), lambda log: log.endswith("\n")))

    @staticmethod
    def runs(pid: int) -> bool:
        """Tell whether a process runs."""
        import psutil

        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def state_of(job: Any) -> str:
    """Return a job's state without what all begin with."""
    name: str = job.state.name
    return name.removeprefix("JOB_STATE_")


def _without_none(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


emulator, start_emulator = emulator_fixtures(Emulator, "emulator")
