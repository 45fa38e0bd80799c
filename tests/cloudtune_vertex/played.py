"""Vertex AI's emulator in this process, whose scripts do what the test says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from cloudtune.emulator_kit.delays import Delays
from cloudtune.provider.models import Emulator
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import TrialState
from cloudtune.study.schema import Json
from cloudtune_vertex.client import Google
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.errors import INTERNAL, invalid
from cloudtune_vertex.emulator.state import Status
from cloudtune_vertex.training_client import VertexJobs
from tests.cloudtune_vertex.support import SETTINGS
from tests.in_process import KEY, URL, InProcess
from tests.played_service import PlayedService


class Played(PlayedService):
    PROVIDER = "vertex"
    SETTINGS = SETTINGS
    POLLING = "cloudtune_vertex.training_client"
    OPERATIONS: ClassVar = {
        "create": "CreateCustomJob",
        "list": "ListCustomJobs",
        "get": "GetCustomJob",
        "metrics": "storage.objects.get",
        "stop": "CancelCustomJob",
    }
    WORDS: ClassVar = {
        "completed": "JOB_STATE_SUCCEEDED",
        "failed": "JOB_STATE_FAILED",
        "cancelled": "JOB_STATE_CANCELLED",
    }
    RIGHT = "Vertex AI User"
    CALLS = (
        {"ListCustomJobs": 1, "storage.objects.list": 1, "storage.objects.get": 100},
        {"ListCustomJobs": 1, "storage.objects.list": 1},
        {"ListCustomJobs": 1, "GetCustomJob": 100, "storage.objects.list": 1},
    )

    def connect(self, in_process: InProcess) -> Any:
        in_process.serve_requests()
        self.saved: dict[str, bytes] = {}
        app: Any = VertexApp(self.folder, Delays(1e9), self.faults, URL, KEY)
        self.store: Any = app._operations.store
        self.storage: Any = app._storage
        self.google = Google("my-project", "us-central1", emulator=Emulator(URL, KEY))
        in_process.app = app
        self.google.create_bucket(self.plan.facts.data["bucket"])
        self.faults.calls.clear()
        return app

    def training_jobs(self) -> TrainingJobs:
        return VertexJobs(self.google, self.plan, self.context, self.upload)

    def begin(self, run: Any) -> None:
        run.job.start_time = run.job.created
        run.job.enter("JOB_STATE_RUNNING")

    def jobs(self) -> dict[str, Any]:
        jobs: list[Any] = list(self.store._jobs.values())
        return {job.request["displayName"].removeprefix(f"{self.job}-"): job for job in jobs}

    def report(self, name: str, **metrics: float) -> None:
        self.save(name, {"metrics": metrics, "time": 1_700_000_000.5})

    def save(self, name: str, line: Mapping[str, Any], *, of_run: bool = True) -> None:
        """Save a line as the launcher does."""
        file = f"{self.job}-{name}" if of_run else name
        before = self.saved.get(file, b"")
        self.write(file, before + json.dumps(line).encode() + b"\n")

    def write(self, file: str, content: bytes) -> None:
        """Write the file of a trial's measurements."""
        self.saved[file] = content
        data = self.plan.facts.data
        folder = f"{data['prefix']}/{self.job}/measurements/"
        self.storage.put(data["bucket"], folder + (file and f"{file}.jsonl"), content)

    def end(self, name: str, state: TrialState = "completed", reason: str = "") -> None:
        failed = {"exit_code": 1, "log_tail": reason} if reason else {}
        self.scripts.end(self.jobs()[name], state, **failed)

    def lose(self, name: str) -> None:
        text = "Internal error occurred for the current attempt."
        self.scripts.end(self.jobs()[name], "failed", Status(INTERNAL, text))

    def is_stopping(self, name: str) -> bool:
        return bool(self.jobs()[name].ending)

    def stop_job(self, job: Any) -> None:
        self.operations.context.jobs.cancel(job)

    def refuse_lists(self) -> None:
        def refuse() -> None:
            raise invalid("Invalid filter.")

        self.faults.before["ListCustomJobs"] = refuse

    def hide(self, *names: str) -> None:
        """Let lists lag behind for these jobs."""
        jobs = self.store.jobs
        hidden = {f"{self.job}-{name}" for name in names}

        def visible(*kind: Any) -> list[Any]:
            return [each for each in jobs(*kind) if each.request["displayName"] not in hidden]

        self.patch.setattr(self.store, "jobs", visible)

    @staticmethod
    def values(request: Json) -> Json:
        spec = request["jobSpec"]["workerPoolSpecs"][0]
        task = spec.get("pythonPackageSpec") or spec["containerSpec"]
        return dict(arg.removeprefix("--").split("=", 1) for arg in task["args"])

    @staticmethod
    def checkpoints(request: Json) -> Any:
        return request["jobSpec"]["baseOutputDirectory"]
