"""Recorded calls of SageMaker: the emulator answers them likewise, and the clients read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune.emulation.faults import Fault, FaultPlan
from cloudtune_sagemaker import response
from cloudtune_sagemaker.emulator.app import SageMakerApp
from cloudtune_sagemaker.errors import service_error
from tests import recorded, recorded_differences
from tests.cloudtune_sagemaker.replay import Replay
from tests.cloudtune_sagemaker.replayed_jobs import (
    ENDLESS,
    FAILING,
    KINDS,
    Emulator,
    definitions_of,
    kind_of,
    new_name,
    objective_of,
    small_job,
    training,
)
from tests.cloudtune_sagemaker.search_replay import SearchReplay
from tests.recorded import reason_to_skip

FILES = recorded.files("sagemaker")
Start = Callable[..., Emulator]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts emulators in this process."""
    started: list[Emulator] = []

    def begin(**effects: Any) -> Emulator:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Emulator(folder, **effects))
        return started[-1]

    yield begin
    for each in started:
        each.app.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_emulator_answers_as_recorded(
    start: Start, file: Path, record_property: recorded.Record
) -> None:
    emulator, recording = start(), recorded.read(file)
    replay = Replay(emulator, recording)
    found = list(replay.differences())
    found += SearchReplay(emulator, recording, replay.known).differences()
    for reason, operations in replay.uncompared.items():
        record_property(recorded.NOT_COMPARED, f"{file.stem}: {', '.join(operations)}: {reason}")
    recorded.fail_if(found, file)


def texts(file: Path) -> list[tuple[str, Any]]:
    """Return the messages that were recorded without their calls."""
    return [
        (item["request"]["situation"][:40], item)
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation")
    ]


def is_refusal(item: dict[str, Any]) -> bool:
    return item["status"] >= 400 or "error" in item["answer"]


def refusals(file: Path) -> list[tuple[str, Any]]:
    return [(name, item) for name, item in texts(file) if is_refusal(item)]


def failed(file: Path) -> list[tuple[str, Any]]:
    """Return the ends of failed tuning jobs."""
    return [
        (name, item)
        for name, item in texts(file)
        if item["operation"] == "DescribeHyperParameterTuningJob" and not is_refusal(item)
    ]


def steps(file: Path) -> list[tuple[str, Any]]:
    """Return the printed transitions of training jobs."""
    return [
        (time, (time, [(step["status"], step["message"]) for step in known]))
        for _, item in texts(file)
        if (known := item["answer"].get("transitions")) and (time := str(known[0]["time"]))
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_text_is_compared(file: Path) -> None:
    compared = [item for _, item in (*refusals(file), *failed(file))]
    for _, item in texts(file):
        is_known = item in compared or (item["answer"].get("transitions") and steps(file))
        assert is_known, f"no test compares such an answer: {item}"


def channel(uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def start_training(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    """Start a training job by the request of a tuning job; return its name."""
    name = {"TrainingJobName": new_name(), **changes.pop("name", {})}
    script = changes.pop("script", ENDLESS)
    status, created = emulator.ask(
        "CreateTrainingJob", training(small_job(emulator, script, **changes)) | name
    )
    assert status == 200, created
    return name


class NoCapacity(FaultPlan):
    """A plan in which every job waits for its machine."""

    def next_trial(self) -> Fault | None:
        """Return the fault of any trial."""
        return Fault("slow_start", seconds=60)


PROVOKED: dict[str, dict[str, Any]] = {
    "No S3 objects found": {"definition": {"InputDataConfig": [channel("s3://no-bucket/data")]}},
    "A metric is required": {
        "definition": {
            "AlgorithmSpecification": {"TrainingImage": "own:1", "TrainingInputMode": "File"}
        }
    },
    "You don't have enough combinations": {
        "config": {
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1"]}]}
        }
    },
    "1 validation error detected": {
        "definition": {
            "ResourceConfig": {
                "InstanceType": "ml.t2.medium",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            }
        }
    },
}
"""Requests that the emulator refuses with a recorded message."""


def provoked(emulator: Emulator, item: dict[str, Any]) -> tuple[int, Any] | None:
    """Return the refusal of a call like the recorded one; None if none is known."""
    operation, text = item["operation"], item["answer"]["error"]["Message"]
    kind = kind_of(operation)
    quoted = re.search(r"(?:called|with the name,) ([\w-]+)", text)
    name = {KINDS.get(kind, ""): quoted[1] if quoted else new_name()}
    if operation.startswith("Create"):
        for begin, changes in PROVOKED.items():
            if text.startswith(begin):
                request = small_job(emulator, **changes)
                return emulator.ask("CreateHyperParameterTuningJob", request)
    for effect, word in (("throttle", "Rate exceeded"), ("quota", "service limit")):
        if word in text:
            fault = SageMakerApp.FAULTS[effect]().response()
            shown = json.loads(fault.body)
            return fault.status, {"error": {"Code": shown["__type"], "Message": shown["message"]}}
    if not kind:
        return None
    if "already exists" in text or "is in status" in text:
        request = small_job(emulator)
        request = (training(request) if kind == "TrainingJob" else request) | name
        emulator.ask(f"Create{kind}", request)
        if operation.startswith("Create"):
            return emulator.ask(operation, request)
        emulator.ask(f"Stop{kind}", name)
        return emulator.steps.until(
            lambda: emulator.ask(operation, name), lambda got: "Stopped" in str(got[1])
        )
    is_missing = "not found" in text or "can't find" in text
    return emulator.ask(operation, name) if is_missing else None


@pytest.mark.parametrize("item", recorded.cases("sagemaker", refusals))
def test_the_emulator_refuses_in_the_recorded_words(
    start: Start, item: dict[str, Any], record_property: recorded.Record
) -> None:
    error = item["answer"]["error"]
    text = error["Message"]
    if reason := reason_to_skip("sagemaker", text):
        record_property(recorded.NOT_COMPARED, f"{item['operation']} {text!r}: {reason}")
        return
    refusal = provoked(start(), item)
    assert refusal is not None, f"no request is known here that is refused so: {error}"
    status, answer = refusal
    own = answer["error"]["Message"]
    recorded.agree(
        status=(status, item["status"]),
        Code=(answer["error"]["Code"], error["Code"]),
        Message=(text if recorded_differences.is_same_text(text, own) else own, text),
    )


@pytest.mark.parametrize("item", recorded.cases("sagemaker", refusals))
def test_the_client_understands_a_recorded_refusal(item: dict[str, Any]) -> None:
    error = item["answer"]["error"]
    made = service_error(item["operation"], error["Code"], error["Message"], item["status"])
    assert error["Message"] in str(made)
    assert made.retryable == (item["status"] >= 500 or "Throttling" in error["Code"])
    is_quota = "service limit" in error["Message"]
    assert made.quota_exceeded == is_quota


@pytest.mark.parametrize("item", recorded.cases("sagemaker", failed))
def test_a_failed_tuning_job_says_why_as_recorded(
    start: Start, item: dict[str, Any], record_property: recorded.Record
) -> None:
    known = str(item["answer"].get("FailureReason"))
    emulator = start()
    name = {"HyperParameterTuningJobName": new_name()}
    emulator.ask("CreateHyperParameterTuningJob", small_job(emulator, FAILING, **name))
    job = emulator.steps.until(
        lambda: emulator.ask("DescribeHyperParameterTuningJob", name)[1],
        lambda job: job["HyperParameterTuningJobStatus"] == "Failed",
    )
    answer = {key: value for key, value in item["answer"].items() if key != "FailureReason"}
    differences = recorded_differences.differences(answer, recorded.shared(job, answer))
    found = recorded.unaccepted("sagemaker", item["operation"], differences)
    recorded.agree(differences=(found, []), status=(item["status"], 200))
    if reason := reason_to_skip("sagemaker", known):
        record_property(recorded.NOT_COMPARED, f"{known!r}: {reason}")
    else:
        own = job["FailureReason"]
        recorded.agree(
            FailureReason=(known if recorded_differences.is_same_text(known, own) else own, known)
        )
    assert response.job_reason(item["answer"]) == known


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """The steps of training jobs that complete, wait for their machine, and reach their limit."""
    found: set[tuple[str, str]] = set()
    short = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    spot = {"EnableManagedSpotTraining": True, "StoppingCondition": short}
    for plan, script in [(FaultPlan(), ""), (NoCapacity(), ""), (FaultPlan(), ENDLESS)]:
        emulator = Emulator(tmp_path_factory.mktemp("told"), faults=plan)
        name = start_training(emulator, script=script, definition=spot if script else {})

        def read() -> Any:
            job = emulator.ask("DescribeTrainingJob", name)[1]  # noqa: B023
            steps = job["SecondaryStatusTransitions"]
            found.update((step["Status"], step["StatusMessage"]) for step in steps)
            return job

        emulator.steps.until(read, lambda job: job["TrainingJobStatus"] in {"Completed", "Stopped"})
        emulator.app.close()
    return found


@pytest.mark.parametrize("case", recorded.cases("sagemaker", steps))
def test_a_training_job_tells_its_steps_as_recorded(
    told: set[tuple[str, str]], case: Any, record_property: recorded.Record
) -> None:
    time, lines = case
    if time < "2024":
        record_property(recorded.NOT_COMPARED, f"transitions of {time}: the words before 2024")
    else:
        assert [*filter(lambda line: line not in told, lines)] == []


@pytest.fixture(scope="module")
def failed_steps(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """The steps of a training job whose script fails."""
    emulator = Emulator(tmp_path_factory.mktemp("failed"))
    name = start_training(emulator, script=FAILING)
    job = emulator.steps.until(
        lambda: emulator.ask("DescribeTrainingJob", name)[1],
        lambda job: job["TrainingJobStatus"] == "Failed",
    )
    emulator.app.close()
    assert job["FailureReason"]
    return [(step["Status"], step["StatusMessage"]) for step in job["SecondaryStatusTransitions"]]


@pytest.mark.parametrize("case", recorded.cases("sagemaker", steps))
def test_a_script_that_fails_ends_its_job_in_the_recorded_steps(
    failed_steps: list[tuple[str, str]], case: Any
) -> None:
    _, lines = case
    assert lines[-1][0] != "Failed" or failed_steps[-len(lines) :] == lines


def described(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield all recorded descriptions and rows of jobs."""
    for number, item in enumerate(recorded.read(file)["sequence"]):
        rows = [item["answer"], *item["answer"].get("TrainingJobSummaries", ())]
        for job in rows:
            if "CreationTime" in job and "TrainingJobStatus" in job:
                yield f"{number}", times(job)


def times(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with its times as boto3 has them."""
    return {
        name: datetime.fromisoformat(value).replace(tzinfo=UTC) if name.endswith("Time") else value
        for name, value in job.items()
    }


@pytest.mark.parametrize("job", recorded.cases("sagemaker", described))
def test_the_client_reads_a_recorded_training_job(job: dict[str, Any]) -> None:
    state, reason = job["TrainingJobStatus"], job.get("FailureReason", "")
    recorded.agree(
        TrainingJobStatus=(state if response.phase(job) != "unknown" else "unknown", state),
        ended=(response.has_ended(job), state in {"Completed", "Failed", "Stopped"}),
        lost=(response.is_lost(job), "InternalServerError" in reason),
        FailureReason=(bool(response.failure_reason(job)) or not reason, True),
    )


def tuning_jobs(file: Path) -> list[tuple[str, Any]]:
    return [
        (f"{number}", times(item["answer"]))
        for number, item in enumerate(recorded.read(file)["sequence"])
        if "HyperParameterTuningJobConfig" in item["answer"]
    ]


@pytest.mark.parametrize("job", recorded.cases("sagemaker", tuning_jobs))
def test_a_recorded_tuning_job_is_read_and_can_be_attached(job: dict[str, Any]) -> None:
    tuning = response.to_tuning_job(job, [])
    definitions = definitions_of(job)
    assert tuning.objectives == {objective_of(job, each) for each in definitions}
    stopped = "the tuning job was stopped"
    is_stopped = job["HyperParameterTuningJobStatus"] == "Stopped"
    assert response.job_reason(job) == job.get("FailureReason", stopped if is_stopped else "")
    document = json.loads(json.dumps(job, default=str))
    imported = importer.read_description(document, "sagemaker", job["HyperParameterTuningJobArn"])
    for each, definition in zip(imported.studies, definitions, strict=True):
        own = job["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
        ranges = definition.get("HyperParameterRanges", own).values()
        assert set(each.study.parameters) == {one["Name"] for many in ranges for one in many}
        assert each.study.objective is not None
        assert [one.metric for one in each.study.objective] == [objective_of(job, definition)]
