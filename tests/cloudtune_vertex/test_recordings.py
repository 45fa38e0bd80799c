"""Recorded calls of Vertex AI: the emulator answers them likewise, and the clients read them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from cloudtune.conversion import importer
from cloudtune.emulation.faults import FaultPlan
from cloudtune_vertex import response
from cloudtune_vertex.emulator.app import VertexApp
from cloudtune_vertex.emulator.errors import exhausted
from cloudtune_vertex.emulator.operations import DISK
from cloudtune_vertex.errors import service_error
from tests import recorded
from tests.recorded import Steps, differences, reason_to_skip, unaccepted, unlisted

FILES = recorded.files("vertex")
PARENT = "/v1/projects/team/locations/us-central1"
SCRIPT = """
import json, os, time
file = os.environ["CLOUD_ML_HP_METRIC_FILE"]
os.makedirs(os.path.dirname(file), exist_ok=True)
with open(file, "a") as opened:
    report = {"timestamp": time.time(), "trial": "0", "val_loss": "0.5", "global_step": "1"}
    opened.write(json.dumps(report) + chr(10))
"""


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.steps = Steps()
        plan = FaultPlan(seed=seed)
        self.app = VertexApp(folder, self.steps, plan, "http://127.0.0.1:9", "key")
        self.client = Client(self.app)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the answer of a call."""
        headers = {"Authorization": "Bearer key"}
        answer = self.client.open(path, method=method, headers=headers, json=body)
        return answer.status_code, json.loads(answer.get_data() or b"{}")


@pytest.fixture
def emulator(tmp_path: Path) -> Any:
    made = Emulator(tmp_path)
    yield made
    made.app.close()


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request without what the service has added to it."""
    body = copy.deepcopy(body)
    specs: list[dict[str, Any]] = [body.get("jobSpec", {}), body.get("trialJobSpec", {})]
    for spec in specs:
        for pool in spec.get("workerPoolSpecs", ()):
            if pool.get("diskSpec") == DISK:
                del pool["diskSpec"]
    return body


def state_in(answer: Any) -> Any:
    """Return the state of the job in an answer, or of the first in a list."""
    rows = [*answer.get("hyperparameterTuningJobs", ()), *answer.get("customJobs", ())]
    job: dict[str, Any] = rows[0] if rows else answer
    return job.get("state")


def is_served(item: dict[str, Any]) -> bool:
    return reason_to_skip("vertex", item["operation"]) is None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_emulator_answers_as_recorded(emulator: Emulator, file: Path) -> None:
    recording = recorded.read(file)
    names: dict[str, str] = {}
    found: list[str] = []
    calls = [item for item in recording["sequence"] if item["request"].get("path")]
    for item in filter(is_served, calls):
        request, operation = item["request"], item["operation"]
        path = recorded.renamed(request["path"], {**names, "PROJECT": "team"})
        body = request.get("body_rebuilt_from_answer")
        wanted = (item["status"], state_in(item["answer"]))

        def call() -> tuple[int, Any]:
            return emulator.ask(request["method"], path, sent(body) if body else None)  # noqa: B023

        if request["method"] == "GET":
            status, answer = emulator.steps.until(
                call,
                lambda got: (got[0], state_in(got[1])) == wanted,  # noqa: B023
            )
        else:
            status, answer = call()
        if status != item["status"]:
            found.append(f"{operation}: {item['status']}, not {status}: {answer}")
        found += unaccepted("vertex", operation, differences(item["answer"], answer))
        found += unlisted("vertex", operation, answer)
        if operation.startswith("Create") and status == 200:
            old, new = (each["name"].split("/") for each in (item["answer"], answer))
            names |= {was: now for was, now in zip(old, new, strict=True) if was != now}
    assert not found


def texts() -> list[Any]:
    """Return the refusals that were recorded without their calls."""
    return [
        pytest.param(item, id=item["request"].get("situation", item["operation"])[:40])
        for file in FILES
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation") and is_served(item)
    ]


@pytest.mark.parametrize("item", texts())
def test_a_recorded_refusal_is_understood(item: dict[str, Any]) -> None:
    text = item["answer"]["error"]["message"]
    error = service_error(item["operation"], item["status"], text)
    assert text.rstrip() in str(error)
    assert error.quota_exceeded == ("quota" in text)
    assert not error.retryable


@pytest.mark.parametrize("item", texts())
def test_the_emulator_refuses_in_the_recorded_form(
    emulator: Emulator, item: dict[str, Any]
) -> None:
    text = item["answer"]["error"]["message"]
    if text.startswith("List of found errors"):
        machine = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4"}
        pools = [{"machineSpec": machine, "containerSpec": {"imageUri": "own:1"}}]
        wrong = {"labels": {"A": "b"}, "jobSpec": {"workerPoolSpecs": pools}}
        _, answer = emulator.ask("POST", f"{PARENT}/customJobs", wrong)
        message = answer["error"]["message"]
        if item["operation"] == "CreateCustomJob":
            assert text.partition("1.")[2] in message
        if details := item["answer"]["error"].get("details"):
            shown = answer["error"]["details"]
            assert not [*differences(details, shown)]
            (known,) = details[0]["fieldViolations"]
            known["field"] = known["field"].rpartition(".")[2]
            assert known in shown[0]["fieldViolations"]
        form = re.compile(r"List of found errors:\t1\.Field: [\w.]+; Message: .+\t2\.Field: .+")
        assert form.match(message)
        assert form.match(text) or "\t2." not in text
    elif "quota" in text:
        error = exhausted()
        assert (error.code, error.status) == (item["status"], item["answer"]["error"]["status"])
        assert error.message.partition("custom_")[0] == text.partition("custom_")[0]
    elif not reason_to_skip("vertex", text):
        assert recorded.FOLDER != recorded.OWN, f"not compared: {text}"
        pytest.skip("no request is known here that is refused so")


@pytest.mark.parametrize(("year", "seed"), [("2021", 1), ("2026", 2)])
def test_trials_have_the_form_of_their_year(tmp_path: Path, year: str, seed: int) -> None:
    emulator = Emulator(tmp_path, seed)
    trials = [
        (item, trial)
        for file in FILES
        for item in recorded.read(file)["sequence"]
        for trial in item["answer"].get("trials", [item["answer"]])
        if "finalMeasurement" in trial
    ]
    assert trials or recorded.FOLDER != recorded.OWN
    container = {
        "imageUri": "gcr.io/team/x",
        "command": ["python3", "-c", SCRIPT],
    }
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": container,
    }
    job = {
        "displayName": "job",
        "studySpec": {
            "metrics": [{"metricId": "val_loss", "goal": "MINIMIZE"}],
            "parameters": [
                {"parameterId": "units", "integerValueSpec": {"minValue": "8", "maxValue": "9"}}
            ],
        },
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "trialJobSpec": {"workerPoolSpecs": [pool]},
    }
    status, created = emulator.ask("POST", f"{PARENT}/hyperparameterTuningJobs", job)
    assert status == 200, created
    ended = emulator.steps.until(
        lambda: emulator.ask("GET", f"/v1/{created['name']}")[1], lambda job: "endTime" in job
    )
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    trial = ended["trials"][0]
    assert ("customJob" in trial) == (year == "2026")
    assert not unlisted("vertex", "GetHyperparameterTuningJob", {"trials": [trial]})
    for item, known in trials:
        shown = {key: value for key, value in known.items() if value not in ("", [])}
        if ("customJob" in shown) == ("customJob" in trial):
            operation = f"{item['operation']} {year}"
            assert not unaccepted("vertex", operation, differences(shown, trial))
    emulator.app.close()


def answers() -> list[Any]:
    """Return all jobs in all answers."""
    found: list[Any] = []
    for file in FILES:
        for number, item in enumerate(recorded.read(file)["sequence"]):
            answer = item["answer"]
            rows = [*answer.get("hyperparameterTuningJobs", ()), *answer.get("customJobs", ())]
            for job in (*rows, answer):
                if job.get("state", "") in response.JOB_STATES and is_served(item):
                    found.append(pytest.param(job, id=f"{file.stem}-{number}"))
    return found


@pytest.mark.parametrize("job", answers())
def test_the_client_reads_a_recorded_job(job: dict[str, Any]) -> None:
    final = {"JOB_STATE_CANCELLED", "JOB_STATE_FAILED", "JOB_STATE_SUCCEEDED", "JOB_STATE_EXPIRED"}
    assert response.service_state(job) == job["state"]
    assert response.has_ended(job) == (job["state"] in final) == ("endTime" in job)
    assert response.is_stopped(job) == job["state"].startswith("JOB_STATE_CANCEL")
    assert not response.is_lost(job)
    created, updated = (response.to_seconds(job[name]) for name in ("createTime", "updateTime"))
    assert created is not None
    assert updated is not None
    assert created <= updated
    if "error" in job:
        assert response.failure_reason(job)


def tuning_jobs() -> list[Any]:
    """Return the last full answer about each recorded tuning job."""
    found: dict[str, Any] = {}
    for file in FILES:
        for item in recorded.read(file)["sequence"]:
            if "studySpec" in item["answer"]:
                found[file.stem] = item["answer"]
            elif "trials" in item["answer"] and file.stem in found:
                found[file.stem] |= item["answer"]
    return [pytest.param(job, id=name) for name, job in found.items()]


@pytest.mark.parametrize("job", tuning_jobs())
def test_a_recorded_tuning_job_can_be_attached(job: dict[str, Any]) -> None:
    ids = {each["parameterId"] for each in job["studySpec"]["parameters"]}
    imported = importer.read_description(job, "vertex", job["name"])
    study = imported.studies[0].study
    assert set(study.parameters) == ids
    assert study.objective is not None
    assert study.limits.max_trials == job["maxTrialCount"]
