"""The jobs of a replay of Vertex AI: their emulator, their requests and their scripts."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan, Rule
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.operations import DISK
from cloudtune_vertex.emulator.state import CustomJob, TuningJob
from tests.recorded_steps import Steps

COLLECTIONS = ("customJobs", "hyperparameterTuningJobs")
ORDER = ("QUEUED", "PENDING", "RUNNING", "CANCELLING", "PAUSED", "UPDATING")
"""The states of a job that has not ended, without their prefix."""
FAILING = "raise SystemExit(1)"
ENDLESS = "import time; time.sleep(600)"
REPORTING = """
import json, os, time
file = os.environ.get("CLOUD_ML_HP_METRIC_FILE")
if file:
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "a") as opened:
        report = {"timestamp": time.time(), "trial": "0", "global_step": "1"}
        opened.write(json.dumps(report | {name: "0.5" for name in METRICS}) + chr(10))
"""


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, seed: int = 0, rules: Sequence[Rule] = ()) -> None:
        self.steps = Steps()
        plan = FaultPlan(rules, seed)
        self.app = VertexApp(folder, self.steps, plan, "http://127.0.0.1:9", "key")
        operations: Any = self.app._operations  # pyright: ignore[reportPrivateUsage]
        self._store = operations.store
        self.steps.common.add(operations.context.jobs.closing)
        self.client = Client(self.app)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the answer of a call."""
        headers = {"Authorization": "Bearer key"}
        answer = self.client.open(path, method=method, headers=headers, json=body)
        return answer.status_code, json.loads(answer.get_data() or b"{}")

    def stop_of(self, name: str) -> Event:
        """Return the event that stops a job."""
        kind = CustomJob if "/customJobs/" in name else TuningJob
        stop: Event = self._store.get(kind, name).stop_requested
        return stop

    def fault(self, operation: str, status: int) -> Any:
        """Return the refusal with which any call can fail, by its status; None if there is none."""
        faults = [make() for name, make in self.app.FAULTS.items() if name != "quota"]
        for each in [*faults, self.app.denied(operation)]:
            response = each.response()
            if response.status == status:
                return json.loads(response.body)
        return None


def rows_of(answer: Any) -> list[Any]:
    """Return the rows of a list of jobs."""
    return [row for name in COLLECTIONS for row in answer.get(name) or ()]


def state_in(answer: Any) -> Any:
    """Return the state of the job in an answer, or of the first in a list."""
    return (rows_of(answer) or [answer])[0].get("state")


def age(job: dict[str, Any]) -> int:
    """Return how far a job is: the number of its state in their order."""
    state = job["state"].removeprefix("JOB_STATE_")
    if state == "PENDING" and "startTime" not in job:
        return -1  # it is not yet queued
    return ORDER.index(state) if state in ORDER else len(ORDER)


def paired(old: str, new: str) -> dict[str, str]:
    """Return the parts of a recorded name that differ from the emulator's."""
    both = zip(old.split("/"), new.split("/"), strict=False)
    return {was: now for was, now in both if was != now and was}


def specs_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the worker pools of a job."""
    specs: list[dict[str, Any]] = [job.get("jobSpec", {}), job.get("trialJobSpec", {})]
    return [pool for spec in specs for pool in spec.get("workerPoolSpecs", ())]


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request without what the service has added to it."""
    body = copy.deepcopy(body)
    for pool in specs_of(body):
        if pool.get("diskSpec") == DISK:
            del pool["diskSpec"]
    return body


def runnable(body: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """Return a request with a script that ends as the job was last seen, if it ran at all."""
    metrics = [each.get("metricId") for each in body.get("studySpec", {}).get("metrics", ())]
    scripts = {
        "JOB_STATE_RUNNING": ENDLESS,
        "JOB_STATE_FAILED": FAILING,
        "JOB_STATE_SUCCEEDED": f"METRICS = {metrics!r}\n{REPORTING}",
    }
    script = scripts.get(last.get("state", ""))
    for pool in specs_of(body) if script else ():
        pool.pop("pythonPackageSpec", None)
        container = pool.setdefault("containerSpec", {})
        container |= {"imageUri": "gcr.io/team/x", "command": ["python3", "-c", script]}
    return body


def small_job(collection: str) -> dict[str, Any]:
    """Return a job of which nothing is known."""
    container = {"imageUri": "gcr.io/team/x", "command": ["python3", "-c", ENDLESS]}
    machine = {"machineType": "n1-standard-4"}
    pools = [{"machineSpec": machine, "replicaCount": "1", "containerSpec": container}]
    if collection == "customJobs":
        return {"displayName": "job", "jobSpec": {"workerPoolSpecs": pools}}
    return {
        "displayName": "job",
        "studySpec": {
            "metrics": [{"metricId": "val_loss", "goal": "MINIMIZE"}],
            "parameters": [
                {"parameterId": "units", "integerValueSpec": {"minValue": "8", "maxValue": "9"}}
            ],
        },
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "trialJobSpec": {"workerPoolSpecs": pools},
    }
