"""An emulator process, and Google's own clients that talk to it."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

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


class Emulator:
    """One emulator process, from its start to its end."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self._names = itertools.count(1)
        self._stack = ExitStack()
        with (folder.parent / f"{folder.name}.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloudtune_vertex.emulator", "--folder", folder, *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def reach(self) -> None:
        """Wait until it listens, and make what every test needs."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder.parent / f"{self.folder.name}.err").read_text()
        self.address: dict[str, Any] = json.loads(line)
        self.key: str = self.address["key"]
        self.url: str = self.address["url"]
        self.types: Any = import_module("google.cloud.aiplatform_v1.types")
        self.jobs = self.job_client()
        self.storage = self.storage_client()
        self.bucket: Any = self.storage.create_bucket(BUCKET)

    def job_client(self, key: str | None = None) -> Any:
        """Return Google's own client of JobService."""
        service: Any = import_module("google.cloud.aiplatform_v1.services.job_service")
        client = service.JobServiceClient(
            transport="rest",
            credentials=self._credentials(key),
            client_options={"api_endpoint": self.url},
        )
        self._stack.callback(client.transport.close)
        return client

    def storage_client(self, key: str | None = None) -> Any:
        """Return Google's own client of Cloud Storage."""
        storage: Any = import_module("google.cloud.storage")
        client = storage.Client(
            project="team",
            credentials=self._credentials(key),
            client_options={"api_endpoint": self.url},
        )
        self._stack.callback(client.close)
        return client

    def _credentials(self, key: str | None) -> Any:
        credentials: Any = import_module("google.oauth2.credentials")
        return credentials.Credentials(token=key or self.key)

    def name(self) -> str:
        return f"job-{next(self._names)}"

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
        name = f"packages/{next(self._names)}/trainer-1.tar.gz"
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
            parent=parent, hyperparameter_tuning_job=message, timeout=30
        )

    def create_custom(self, pool: Mapping[str, Any], **changes: Any) -> Any:
        """Create a custom job from its REST form."""
        spec = {"workerPoolSpecs": [pool], **changes.pop("spec", {})}
        job = {"displayName": self.name(), "jobSpec": spec, **changes}
        message = self.types.CustomJob.from_json(json.dumps(job))
        return self.jobs.create_custom_job(parent=PARENT, custom_job=message, timeout=30)

    def get(self, name: str) -> Any:
        """Return a job of either kind."""
        if "/customJobs/" in name:
            return self.jobs.get_custom_job(name=name, timeout=30)
        return self.jobs.get_hyperparameter_tuning_job(name=name, timeout=30)

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

    @staticmethod
    def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        due = time.monotonic() + 60
        while not good(found := look()):
            assert time.monotonic() < due, found
            time.sleep(0.05)
        return found

    @staticmethod
    def runs(pid: int) -> bool:
        """Tell whether a process runs."""
        import psutil

        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def end(self) -> int:
        """Ask it to end; return its exit code."""
        self._stack.close()
        self.process.terminate()
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def state_of(job: Any) -> str:
    """Return a job's state without what all begin with."""
    name: str = job.state.name
    return name.removeprefix("JOB_STATE_")


def _without_none(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


@contextmanager
def _served(folder: Path, *words: str) -> Generator[Emulator]:
    made = Emulator(folder, *words)
    try:
        made.reach()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that several tests share; names of jobs differ."""
    with _served(tmp_path_factory.mktemp("emulator") / "state", "--speed", "3000") as made:
        yield made


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[Callable[..., Emulator]]:
    """Starts an emulator of the test's own, with a fault plan if it gives one."""
    with ExitStack() as stack:
        numbers = itertools.count(1)

        def start(*words: str, faults: str = "") -> Emulator:
            folder = tmp_path / f"emulator{next(numbers)}"
            if faults:
                plan = tmp_path / "faults.yaml"
                plan.write_text(textwrap.dedent(faults))
                words = (*words, "--faults", str(plan))
            return stack.enter_context(_served(folder, "--speed", "3000", *words))

        yield start
