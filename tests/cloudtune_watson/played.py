"""IBM's emulator in this process, whose scripts do what the test says."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

from cloudtune.emulator_kit.delays import Delays
from cloudtune.provider.plan import Plan
from cloudtune.provider.protocols import TrainingJobs
from cloudtune.results.events import TrialState
from cloudtune.study.schema import Json, Mode
from cloudtune_watson.contract import Measurement
from cloudtune_watson.emulator import trainings, views
from cloudtune_watson.emulator.app import WatsonApp
from cloudtune_watson.emulator.platform import VERSION
from cloudtune_watson.http import Connection, HttpClient
from cloudtune_watson.launcher_contract import METRIC_LIST
from cloudtune_watson.wml.client import WmlClient
from cloudtune_watson.wml.training_client import WatsonJobs
from cloudtune_watson.wml.uploads import ensure_definition
from cloudtune_watson.wmla.client import WmlaClient
from tests.cloudtune_watson.support import SETTINGS
from tests.in_process import KEY, URL, InProcess
from tests.played_service import PlayedService


class Played(PlayedService):
    PROVIDER = "watson"
    SETTINGS = SETTINGS["wml"]
    POLLING = "cloudtune_watson.run_jobs"
    OPERATIONS: ClassVar = {
        "create": "CreateTraining",
        "list": "ListTrainings",
        "get": "GetTraining",
        "metrics": "GetFile",
        "stop": "DeleteTraining",
    }
    WORDS: ClassVar = {"completed": "completed", "failed": "failed", "cancelled": "canceled"}
    RIGHT = "Editor"
    CALLS = (
        {"ListTrainings": 1, "GetFile": 100},
        {"ListTrainings": 1, "GetFile": 100},
        {"ListTrainings": 1, "GetTraining": 100, "GetFile": 100},
    )

    def planned(self, mode: Mode, over: Mapping[str, Any] = {}, **settings: Any) -> Plan:
        backend = SETTINGS["wml" if mode == "driven" else "wmla"]
        return super().planned(
            mode, over, **{**dict.fromkeys(self.SETTINGS), **backend, **settings}
        )

    def connect(self, in_process: InProcess) -> Any:
        in_process.serve_requests()
        self.rows: dict[str, list[Json]] = {}
        self.patch.setenv(VERSION, self.plan.facts.data["version"])
        app: Any = WatsonApp(self.folder, Delays(1e9), self.faults, URL, KEY)
        in_process.app = app
        self.trainings: Any = app._operations.trainings
        http = HttpClient(Connection(URL, "me", KEY, emulated=True))
        facts = {**self.plan.facts.data, "sign_in_url": URL}
        self.wml, self.wmla = WmlClient(http, facts), WmlaClient(http, facts)
        if self.plan.mode == "driven":
            self.definition = ensure_definition(self.wml, self.plan, self.context)
        self.faults.calls.clear()
        return app

    def training_jobs(self) -> TrainingJobs:
        return WatsonJobs(self.wml, self.plan, self.context, self.define)

    def define(self) -> str:
        self.upload()
        return self.definition

    def begin(self, run: Any) -> None:
        run.job.enter("running")

    def trainings_by_name(self) -> dict[str, Any]:
        trainings: list[Any] = list(self.trainings._trainings.values())
        return {each.request["name"].removeprefix(f"{self.job}-"): each for each in trainings}

    def jobs(self) -> dict[str, Any]:
        return {name: each.job for name, each in self.trainings_by_name().items()}

    def requests(self) -> list[Json]:
        return [each.request for each in self.trainings_by_name().values()]

    def report(self, name: str, **metrics: float) -> None:
        rows = self.rows.setdefault(name, [])
        rows.append({"steps": len(rows) + 1, **metrics})
        self.write(name, METRIC_LIST, json.dumps(rows).encode())

    def tell(self, name: str, *measured: Measurement) -> None:
        """Let the status of a training have these metrics."""
        self.jobs()[name].measurements[:] = measured

    def write(self, name: str, file: str, content: bytes, *, own: bool = True) -> None:
        """Let a script write a result file, in the training's own folder or above it."""
        training = self.trainings_by_name()[name]
        folder = training.request["results_reference"]["location"]["path"]
        folder = f"{folder}/{training.job.id}" if own else folder
        target = self.trainings._volume.at(f"{folder}/{file}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def end(self, name: str, state: TrialState = "completed", reason: str = "") -> None:
        failed = {"exit_code": 1, "log_tail": reason} if reason else {}
        self.scripts.end(self.jobs()[name], state, **failed)

    def is_stopping(self, name: str) -> bool:
        return bool(self.jobs()[name].stop_requested.is_set())

    def say(self, name: str, state: str, word: str) -> None:
        """Let a training enter a state, for which the service has another word."""
        self.patch.setitem(views.TRAINING_STATES, state, word)
        self.jobs()[name].enter(state, self.jobs()[name].reason)

    def hide(self, *names: str) -> None:
        """Let lists lag behind for these trainings."""
        hidden = {f"{self.job}-{name}" for name in names}
        module: Any = trainings
        matches = module._matches

        def visible(training: Any, call: Any) -> bool:
            return training.request["name"] not in hidden and matches(training, call)

        self.patch.setattr(module, "_matches", visible)

    @staticmethod
    def values(request: Json) -> Json:
        words = shlex.split(request["model_definition"]["command"])[1:]
        return dict(word.removeprefix("--").split("=", 1) for word in words)
