"""Azure's emulator in this process, whose scripts do what the test says."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, ClassVar

from cloudtune.emulator_kit.delays import Delays
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import TrialState
from cloudtune.study.schema import Json
from cloudtune_azure.client import AzureClient
from cloudtune_azure.emulator import tracking
from cloudtune_azure.emulator.app import AzureApp
from cloudtune_azure.emulator.errors import bad_argument
from cloudtune_azure.http import AzureHttp, Connection
from cloudtune_azure.launcher_contract import FAILURE
from cloudtune_azure.settings import workspace_id
from cloudtune_azure.training_client import AzureJobs
from tests.cloudtune_azure.support import SETTINGS
from tests.in_process import KEY, URL, InProcess
from tests.played_service import PlayedService


class Played(PlayedService):
    PROVIDER = "azure"
    SETTINGS = SETTINGS
    POLLING = "cloudtune_azure.runs"
    OPERATIONS: ClassVar = {
        "create": "PutJob",
        "list": "ListJobs",
        "get": "GetJob",
        "metrics": "GetMetricHistory",
        "stop": "CancelJob",
    }
    WORDS: ClassVar = {"completed": "Completed", "failed": "Failed", "cancelled": "Canceled"}
    RIGHT = "jobs/write"
    STOPS_AT_ONCE = True
    CALLS = (
        {"ListJobs": 1, "GetRun": 100, "GetMetricHistory": 200},
        {"ListJobs": 1, "GetRun": 100},
        {"ListJobs": 1, "GetJob": 100, "GetRun": 100},
    )

    def connect(self, in_process: InProcess) -> Any:
        in_process.serve_requests()
        app: Any = AzureApp(self.folder, Delays(1e9), self.faults, URL, KEY)
        http = AzureHttp(Connection(URL, KEY))
        self.client = AzureClient(http, workspace_id(self.plan.facts.data))
        self.patch.setattr("cloudtune_azure.training_client._FEW_JOBS", 0)
        return app

    def training_jobs(self) -> TrainingJobs:
        return AzureJobs(self.client, self.plan, self.context, self.upload)

    def begin(self, run: Any) -> None:
        run.job.enter("Running")

    def jobs(self) -> dict[str, Any]:
        jobs: list[Any] = list(self.operations.jobs.values())
        return {job.name.removeprefix(f"{self.job}-"): job for job in jobs}

    def report(self, name: str, **metrics: float) -> None:
        job = self.jobs()[name]
        now = max([int(time.time() * 1000), *(each["timestamp"] + 1 for each in job.metrics)])
        step = 1 + max((each["step"] for each in job.metrics), default=self.after_step(job))
        entries = [
            {"key": key, "value": value, "timestamp": now, "step": step}
            for key, value in metrics.items()
        ]
        tracking.log_batch(job, {"metrics": entries})

    def after_step(self, job: Any) -> int:
        variables: Json = job.request.get("environmentVariables") or {}
        return int(variables.get("CLOUDTUNE_AZURE_AFTER_STEP") or 0)

    def end(self, name: str, state: TrialState = "completed", reason: str = "") -> None:
        job = self.jobs()[name]
        if reason:
            tracking.log_batch(job, {"tags": [{"key": FAILURE, "value": reason}]})
        self.scripts.end(job, state)

    def lose(self, name: str) -> None:
        self.scripts.end(self.jobs()[name], "failed", "The node of the job failed.")

    def is_stopping(self, name: str) -> bool:
        return bool(self.jobs()[name].stop_requested.is_set())

    def refuse_lists(self) -> None:
        def refuse() -> None:
            raise bad_argument("Invalid filter.")

        self.faults.before["ListJobs"] = refuse

    def hide(self, *names: str) -> None:
        """Let lists lag behind for these jobs."""
        hidden = {f"{self.job}-{name}" for name in names}
        list_jobs = self.client.list_jobs

        def visible(tag: str) -> list[Json]:
            return [each for each in list_jobs(tag) if each["name"] not in hidden]

        self.patch.setattr(self.client, "list_jobs", visible)

    @staticmethod
    def values(request: Json) -> Json:
        words = shlex.split(request["command"])
        return dict(re.findall(r"^--(\w+)=(.*)", word)[0] for word in words if word[:2] == "--")

    @staticmethod
    def checkpoints(request: Json) -> Any:
        return request["outputs"]["trial"]["uri"]
