"""SageMaker's emulator in this process, whose scripts do what the test says."""

from __future__ import annotations

from typing import Any, ClassVar

from cloudtune.emulator_kit.delays import Delays
from cloudtune.provider.models import Emulator
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import TrialState
from cloudtune.study.schema import Json
from cloudtune_sagemaker.client import Aws
from cloudtune_sagemaker.emulator import views
from cloudtune_sagemaker.emulator.app import SageMakerApp
from cloudtune_sagemaker.emulator.errors import ServiceError
from cloudtune_sagemaker.training_client import SageMakerJobs
from tests.cloudtune_sagemaker.support import SETTINGS
from tests.in_process import KEY, URL, InProcess
from tests.played_service import PlayedService

_values = vars(views)["_values"]


class Played(PlayedService):
    PROVIDER = "sagemaker"
    SETTINGS = SETTINGS
    POLLING = "cloudtune_sagemaker.training_client"
    OPERATIONS: ClassVar = {
        "create": "CreateTrainingJob",
        "list": "Search",
        "get": "DescribeTrainingJob",
        "metrics": "BatchGetMetrics",
        "stop": "StopTrainingJob",
    }
    WORDS: ClassVar = {"completed": "Completed", "failed": "Failed", "cancelled": "Stopped"}
    RIGHT = "sagemaker:CreateTrainingJob"
    CALLS = (
        {"Search": 1, "BatchGetMetrics": 2},
        {"Search": 1, "BatchGetMetrics": 2},
        {"Search": 1, "DescribeTrainingJob": 100, "BatchGetMetrics": 2},
    )

    def connect(self, in_process: InProcess) -> Any:
        in_process.serve_boto3()
        app: Any = SageMakerApp(self.folder, Delays(1e9), self.faults, URL, KEY)
        self.store = app._operations.store
        self.aws = Aws("us-east-1", emulator=Emulator(URL, KEY))
        return app

    def training_jobs(self) -> TrainingJobs:
        return SageMakerJobs(self.aws, self.plan, self.context, self.upload)

    def begin(self, run: Any) -> None:
        run.job.started = run.job.created
        run.job.enter_secondary("Training")

    def jobs(self) -> dict[str, Any]:
        jobs = self.store.trainings("us-east-1")
        return {job.name.removeprefix(f"{self.job}-"): job for job in jobs}

    def trial(self, number: int) -> str:
        """Return the name of a trial's job, without that of the tuning job."""
        return next(name for name in self.jobs() if name.startswith(f"{number:03d}-"))

    def report(self, name: str, **metrics: float) -> None:
        self.scripts.print(self.jobs()[name], 1, metrics)

    def end(self, name: str, state: TrialState = "completed", reason: str = "") -> None:
        self.scripts.end(self.jobs()[name], state, reason if state == "failed" else None)

    def lose(self, name: str) -> None:
        self.end(name, "failed", "InternalServerError: We encountered an internal error.")

    def is_stopping(self, name: str) -> bool:
        return bool(self.jobs()[name].state == "Stopping")

    def refuse_lists(self, code: str = "AccessDeniedException") -> None:
        def refuse() -> None:
            raise ServiceError(code, "Search is not available.")

        self.faults.before["Search"] = refuse

    def show_values(self, count: int) -> None:
        """Let BatchGetMetrics have only the first values of each metric."""

        def first(job: Any, query: Json) -> Any:
            return _values(job, query)[:count]

        self.patch.setattr(views, "_values", first)

    def hide(self, *names: str) -> None:
        """Let searches lag behind for these jobs."""
        operations = self.operations
        records = operations._records
        hidden = {f"{self.job}-{name}" for name in names}

        def visible(kind: str, region: str) -> list[Json]:
            return [each for each in records(kind, region) if each["TrainingJobName"] not in hidden]

        self.patch.setattr(operations, "_records", visible)

    def time_out(self, name: str) -> None:
        job = self.jobs()[name]
        self.operations.context.jobs.stop(job, "MaxRuntimeExceeded")
        self.end(name)

    @staticmethod
    def values(request: Json) -> Json:
        values: Json = request["HyperParameters"]
        return values

    @staticmethod
    def checkpoints(request: Json) -> Any:
        return request["CheckpointConfig"], request["OutputDataConfig"]
