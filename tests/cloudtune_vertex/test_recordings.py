"""Recorded calls of Vertex AI: the emulator answers them likewise, and the clients read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune_vertex import response
from cloudtune_vertex.emulator.errors import exhausted
from cloudtune_vertex.errors import service_error
from tests import recorded, recorded_differences
from tests.cloudtune_vertex.replay import is_served
from tests.cloudtune_vertex.replayed_jobs import Emulator, rows_of, runnable, small_job
from tests.cloudtune_vertex.tuning_replay import replayed
from tests.recorded import reason_to_skip, unaccepted, unlisted
from tests.recorded_differences import differences

FILES = recorded.files("vertex")
CREATIONS = ("CreateCustomJob", "CreateHyperparameterTuningJob")
"""The operations whose refusals are provoked."""
PARENT = "/v1/projects/team/locations/us-central1"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path)
    yield made
    made.app.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_emulator_answers_as_recorded(
    tmp_path: Path, file: Path, record_property: recorded.Record
) -> None:
    def tell(text: str) -> None:
        record_property(recorded.NOT_COMPARED, f"{file.stem}: {text}")

    recorded.fail_if(replayed(tmp_path, recorded.read(file), tell), file)


def test_a_trial_is_followed_also_if_no_answer_before_has_its_job(tmp_path: Path) -> None:
    """So it is on a busy machine, where the emulator may be ahead of the recorded answers."""
    (tmp_path / "recorded").mkdir()
    emulator = Emulator(tmp_path / "recorded", seed=2)
    job = runnable(small_job("hyperparameterTuningJobs"), {"state": "JOB_STATE_SUCCEEDED"})
    calls: list[dict[str, Any]] = []

    def has_ended(job: dict[str, Any]) -> bool:
        return "endTime" in job

    def call(
        operation: str, method: str, path: str, is_good: Callable[[Any], bool], body: Any = None
    ) -> Any:
        status, answer = emulator.steps.until(
            lambda: emulator.ask(method, path, body), lambda got: is_good(got[1])
        )
        request = {"method": method, "path": path, "body_rebuilt_from_answer": body}
        call = {"operation": operation, "request": request, "status": status, "answer": answer}
        calls.append({**call, "is_compared": True})
        return answer

    path = f"{PARENT}/hyperparameterTuningJobs"
    created = call("CreateHyperparameterTuningJob", "POST", path, bool, job)
    path = f"/v1/{created['name']}"
    tuning = call("GetHyperparameterTuningJob", "GET", path, has_ended)
    path = f"/v1/{tuning['trials'][0]['customJob']}"
    call("GetCustomJob", "GET", path, has_ended)
    emulator.app.close()
    recording = {"service": "vertex", "sequence": [calls[0], calls[2], calls[1]]}
    assert replayed(tmp_path, recording) == []


def texts(file: Path) -> list[tuple[str, Any]]:
    """Return the refusals that were recorded without their calls."""
    return [
        (item["request"]["situation"][:40], item)
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation") and is_served(item) and item["answer"]["error"]
    ]


@pytest.mark.parametrize("item", recorded.cases("vertex", texts))
def test_a_recorded_refusal_is_understood(item: dict[str, Any]) -> None:
    text = item["answer"]["error"]["message"]
    error = service_error(item["operation"], item["status"], text)
    assert text.rstrip() in str(error)
    assert error.quota_exceeded == ("quota" in text)
    assert not error.retryable


@pytest.mark.parametrize("item", recorded.cases("vertex", texts))
def test_the_emulator_refuses_in_the_recorded_form(
    emulator: Emulator, item: dict[str, Any], record_property: recorded.Record
) -> None:
    operation, error = item["operation"], item["answer"]["error"]
    text = error["message"]
    if reason := reason_to_skip("vertex", text):
        record_property(recorded.NOT_COMPARED, f"{operation} {text!r}: {reason}")
        return
    if "quota" in text:
        refusal = exhausted()
        recorded.agree(
            code=(refusal.code, item["status"]), status=(refusal.status, error["status"])
        )
        begin = re.escape(refusal.message.partition("custom_")[0])
        quotas = r"(aiplatform\.googleapis\.com/)?custom_model_training_[a-z0-9_]+"
        assert re.fullmatch(rf"{begin}{quotas}([,\s]+{quotas})*", text)
        return
    assert text.startswith("List of found"), f"no request is known here that is refused so: {error}"
    machine = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4"}
    pools = [{"machineSpec": machine, "containerSpec": {"imageUri": "own:1"}}]
    wrong = {"labels": {"A": "b"}, "jobSpec": {"workerPoolSpecs": pools}}
    status, answer = emulator.ask("POST", f"{PARENT}/customJobs", wrong)
    shown = answer["error"]
    recorded.agree(code=(status, item["status"]), status=(shown["status"], error["status"]))
    form = re.compile(r"List of found errors:\t1\.Field: [\w.]+; Message: .+\t2\.Field: .+")
    assert form.match(shown["message"])
    assert form.match(text) or "\t2." not in text
    if details := error.get("details"):
        assert not [*differences(details, shown["details"])]
    messages = re.findall(r"Message: (.*?)\s*(?=\t|$)", shown["message"])
    for message in re.findall(r"Message: (.*?)\s*(?=\t|$)", text):
        if not any(recorded_differences.is_same_text(message, each) for each in messages):
            assert operation not in CREATIONS, f"no request is refused so here: {message}"
            why = f"{operation} has rules of its own; the form is compared"
            record_property(recorded.NOT_COMPARED, f"{operation} {message!r}: {why}")


def trials_in(file: Path) -> list[tuple[str, Any]]:
    """Return the trials with a final measurement, with their operations."""
    return [
        ("", (file.stem, item["operation"], trial))
        for item in recorded.read(file)["sequence"]
        for trial in item["answer"].get("trials", [item["answer"]])
        if "finalMeasurement" in trial
    ]


@pytest.mark.parametrize(("year", "seed"), [("2021", 1), ("2026", 2)])
def test_trials_have_the_form_of_their_year(tmp_path: Path, year: str, seed: int) -> None:
    emulator = Emulator(tmp_path, seed)
    trials = [each.values[0] for each in recorded.cases("vertex", trials_in)]
    assert trials or recorded.FOLDER != recorded.OWN
    job = runnable(small_job("hyperparameterTuningJobs"), {"state": "JOB_STATE_SUCCEEDED"})
    status, created = emulator.ask("POST", f"{PARENT}/hyperparameterTuningJobs", job)
    assert status == 200, created
    ended = emulator.steps.until(
        lambda: emulator.ask("GET", f"/v1/{created['name']}")[1], lambda job: "endTime" in job
    )
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    trial = ended["trials"][0]
    assert ("customJob" in trial) == (year == "2026")
    assert not unlisted("vertex", "GetHyperparameterTuningJob", {"trials": [trial]})
    found: list[str] = []
    for name, operation, known in filter(None, trials):
        shown = {key: value for key, value in known.items() if value not in ("", [])}
        if ("customJob" in shown) == ("customJob" in trial):
            lines = unaccepted("vertex", f"{operation} {year}", differences(shown, trial))
            found += [f"{name}: {line}" for line in lines]
    emulator.app.close()
    assert not found, "\n".join(found)


def answers(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield all jobs in all answers."""
    for number, item in enumerate(recorded.read(file)["sequence"]):
        answer = item["answer"]
        for job in (*rows_of(answer), answer):
            if job.get("state", "") in response.JOB_STATES and is_served(item):
                yield f"{number}", job


@pytest.mark.parametrize("job", recorded.cases("vertex", answers))
def test_the_client_reads_a_recorded_job(job: dict[str, Any]) -> None:
    final = {"JOB_STATE_CANCELLED", "JOB_STATE_FAILED", "JOB_STATE_SUCCEEDED", "JOB_STATE_EXPIRED"}
    times = [response.to_seconds(job.get(name)) or 0 for name in ("createTime", "updateTime")]
    recorded.agree(
        state=(response.service_state(job), job["state"]),
        ended=(response.has_ended(job), job["state"] in final),
        endTime=("endTime" in job, job["state"] in final),
        cancelled=(response.is_stopped(job), job["state"].startswith("JOB_STATE_CANCEL")),
        createTime=("createTime" in job, True),
        updateTime=(times[0] <= times[1], True),
        error=("error" not in job or bool(response.failure_reason(job)), True),
    )


def tuning_jobs(file: Path) -> list[tuple[str, Any]]:
    """Return the last full answer about a recorded tuning job."""
    found: dict[str, Any] = {}
    for item in recorded.read(file)["sequence"]:
        if "studySpec" in item["answer"]:
            found = item["answer"]
        elif "trials" in item["answer"] and found:
            found |= item["answer"]
    return [("", found)] if found else []


@pytest.mark.parametrize("job", recorded.cases("vertex", tuning_jobs))
def test_a_recorded_tuning_job_can_be_attached(job: dict[str, Any]) -> None:
    ids = {each["parameterId"] for each in job["studySpec"]["parameters"]}
    imported = importer.read_description(job, "vertex", job["name"])
    study = imported.studies[0].study
    recorded.agree(
        parameters=(set(study.parameters), ids),
        objective=(study.objective is not None, True),
        maxTrialCount=(study.limits.max_trials, job["maxTrialCount"]),
    )
