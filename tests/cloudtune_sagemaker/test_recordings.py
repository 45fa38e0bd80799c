"""Recorded calls of SageMaker: the emulator answers them likewise, and the clients read them."""

from __future__ import annotations

import copy
import io
import json
import re
import tarfile
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from cloudtune.conversion import importer
from cloudtune.emulation.faults import Fault, FaultPlan
from cloudtune_sagemaker import response
from cloudtune_sagemaker.emulator import built_in_metrics, wire
from cloudtune_sagemaker.emulator.app import QUOTA, SageMakerApp
from cloudtune_sagemaker.emulator.operations import OPERATIONS
from cloudtune_sagemaker.errors import service_error
from tests import recorded
from tests.cloudtune_sagemaker import answers
from tests.recorded import Steps, differences, masked, reason_to_skip, unaccepted, unlisted

FILES = recorded.files("sagemaker")
CODE = "recorded-code"
KINDS = {
    "TrainingJob": "TrainingJobName",
    "HyperParameterTuningJob": "HyperParameterTuningJobName",
}
FAILING = "raise SystemExit(1)"
ENDLESS = "import time; time.sleep(600)"


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, faults: FaultPlan | None = None) -> None:
        self.steps = Steps()
        self.app = SageMakerApp(folder, self.steps, faults or FaultPlan(), "http://here", "key")
        self.client = Client(self.app)

    def ask(self, operation: str, request: Any) -> tuple[int, Any]:
        """Return the status and the answer of a call."""
        headers = {**self._signed("sagemaker"), "X-Amz-Target": f"SageMaker.{operation}"}
        response = self.client.post("/", headers=headers, data=json.dumps(request))
        answer = json.loads(response.get_data() or b"{}")
        if response.status_code == 200:
            assert answers.problems(operation, answer) == []
        else:
            answer = {"error": {"Code": answer["__type"], "Message": answer["message"]}}
        return response.status_code, answer

    def put(self, uri: str, content: bytes) -> None:
        """Store an object, and create its bucket."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for path, body in ((f"/{bucket}", b""), (f"/{bucket}/{key or 'x'}", content)):
            self.client.put(path, headers=self._signed("s3"), data=body)

    def code(self, script: str) -> dict[str, str]:
        """Store a script; return the hyperparameters with which it runs."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("train.py")
            member.size = len(script)
            archive.addfile(member, io.BytesIO(script.encode()))
        uri = f"s3://{CODE}/{abs(hash(script))}/sourcedir.tar.gz"
        self.put(uri, packed.getvalue())
        return {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}

    @staticmethod
    def _signed(service: str) -> dict[str, str]:
        scope = f"Credential=key/20260101/us-east-1/{service}/aws4_request"
        return {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}


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


def new_name() -> str:
    """Return a name that no other test has: what stands in for CloudWatch is one for all."""
    return f"recorded-{uuid.uuid4().hex[:8]}"


def kind_of(operation: str) -> str:
    return next((kind for kind in sorted(KINDS, key=len, reverse=True) if kind in operation), "")


def states(answer: Any) -> Any:
    """Return the states in an answer about one job, or about the first of a list."""
    for name in ("TrainingJobSummaries", "HyperParameterTuningJobSummaries"):
        answer = (answer.get(name) or [answer])[0]
    counters = answer.get("TrainingJobStatusCounters", {})
    counted = {name for name, count in counters.items() if count}
    # Trials that differ in how they ended, or that were stopped, are not replayed one by one.
    is_alike = len(counted) == 1 and "Stopped" not in counted
    trials = {"trials": str(counters)} if is_alike else {}
    if "BestTrainingJob" in answer:
        trials["has a best"] = "yes"
    return {name: answer[name] for kind in KINDS if (name := f"{kind}Status") in answer} | trials


def year(recording: dict[str, Any]) -> str:
    return str(recording["date"])[:4]


def definitions_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the definitions of a tuning job; of a training job itself."""
    one = job.get("TrainingJobDefinition", job)
    definitions: list[dict[str, Any]] = job.get("TrainingJobDefinitions", [one])
    return definitions


def objective_of(job: dict[str, Any], definition: dict[str, Any]) -> str:
    config = job["HyperParameterTuningJobConfig"]
    own = config.get("HyperParameterTuningJobObjective", {})
    return str(definition.get("TuningObjective", own)["MetricName"])


def script_for(described: dict[str, Any], kind: str) -> str:
    """Return a script with which a job ends as it was described; XGBoost prints these metrics."""
    state = described[f"{kind}Status"]
    has_best = "BestTrainingJob" in described
    if state == "Failed" or (state != "Completed" and not has_best):
        return FAILING if state == "Failed" else ENDLESS
    metrics = ["train-rmse", "validation-rmse"]
    if kind == "HyperParameterTuningJob":
        metrics = [
            objective_of(described, each).replace(":", "-") for each in definitions_of(described)
        ]
    line = "".join(f"#011{metric}:1.5" for metric in metrics)
    printing = f"print('[0]{line}', flush=True)"
    return printing if state == "Completed" else f"{printing}; {ENDLESS}"


def create_request(emulator: Emulator, kind: str, described: dict[str, Any]) -> dict[str, Any]:
    """Return the request of a described job, with a script in place of its algorithm."""
    model = wire.service("sagemaker").operation_model(f"Create{kind}").input_shape
    assert model is not None
    request: dict[str, Any] = copy.deepcopy(
        {name: value for name, value in described.items() if name in model.members}
    )
    request[KINDS[kind]] = new_name()
    program = emulator.code(script_for(described, kind))
    values = "HyperParameters" if kind == "TrainingJob" else "StaticHyperParameters"
    for job in definitions_of(request):
        given = {k: v for k, v in job.get(values, {}).items() if not k.startswith("_tuning")}
        job[values] = given | program
        algorithm = job["AlgorithmSpecification"]
        algorithm.pop("EnableSageMakerMetricsTimeSeries", None)
        without = {k: v for k, v in algorithm.items() if k != "MetricDefinitions"}
        if "MetricDefinitions" in built_in_metrics.described(without):
            job["AlgorithmSpecification"] = without
        for metric in job["AlgorithmSpecification"].get("MetricDefinitions", ()):
            metric["Regex"] = f"#011{re.escape(metric['Name'].replace(':', '-'))}:([0-9.]+)"
        if "InstanceCount" in job.get("ResourceConfig", ()):
            job["ResourceConfig"]["InstanceCount"] = 1
        emulator.put(f"{job['OutputDataConfig']['S3OutputPath']}/x", b"")
        for channel in job.get("InputDataConfig", ()):
            if source := channel["DataSource"].get("S3DataSource"):
                emulator.put(f"{source['S3Uri']}/x", b"1")
    return request


def requests(item: dict[str, Any], name: str, arn: str, kind: str) -> dict[str, Any]:
    """Return the request of a recorded call, whose answer only is recorded."""
    operation = item["operation"]
    if operation.endswith("Tags"):
        tags = {"AddTags": {"Tags": item["answer"].get("Tags")}, "DeleteTags": {"TagKeys": ["x"]}}
        return {"ResourceArn": arn, **tags.get(operation, {})}
    if operation.startswith("List"):
        found = any(item["answer"].get(f"{kind}Summaries", ()))
        return {"NameContains": name if found else "no-such-job"}
    return {KINDS[kind]: name}


def is_served(item: dict[str, Any]) -> bool:
    """Return whether a call is replayed; lists of trials show each in a state of its own."""
    is_of_trials = item["operation"] in ("Search", "BatchGetMetrics")
    return not is_of_trials and reason_to_skip("sagemaker", item["operation"]) is None


def since_its_creation(sequence: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the calls after a recorded creation of the job; all if none was recorded."""
    created = [
        number
        for number, item in enumerate(sequence)
        if item["operation"].startswith("Create") and item["status"] == 200
    ]
    return sequence[created[0] + 1 :] if created else sequence


def jobs() -> list[Any]:
    """Return each recording with a described job."""
    found: list[Any] = []
    for file in FILES:
        sequence = recorded.read(file)["sequence"]
        described = [
            item
            for item in sequence
            if item["operation"] in [f"Describe{kind}" for kind in KINDS]
            and "AlgorithmSpecification" in str(item["answer"])
        ]
        if described:
            found.append(pytest.param(file, id=file.stem))
    return found


@pytest.mark.parametrize("file", jobs())
def test_the_emulator_answers_as_recorded(start: Start, file: Path) -> None:
    emulator = start()
    recording = recorded.read(file)
    sequence = [each for each in since_its_creation(recording["sequence"]) if is_served(each)]
    described = [item for item in sequence if "AlgorithmSpecification" in str(item["answer"])]
    kind = kind_of(described[-1]["operation"])
    request = create_request(emulator, kind, described[-1]["answer"])
    name = request[KINDS[kind]]
    status, created = emulator.ask(f"Create{kind}", request)
    assert status == 200, created
    found: list[str] = []
    is_stopped = False
    for item in sequence:
        operation = item["operation"]
        assert operation in OPERATIONS, operation
        is_stopped = is_stopped or operation == f"Stop{kind}"
        if str(states(item["answer"]).get(f"{kind}Status")).startswith("Stop") and not is_stopped:
            is_stopped = True  # by a call that was not recorded
            emulator.ask(f"Stop{kind}", {KINDS[kind]: name})
        body = requests(item, name, created[f"{kind}Arn"], kind)
        if operation.startswith(("List", "Describe")):
            status, answer = emulator.steps.until(
                lambda: emulator.ask(operation, body),  # noqa: B023
                lambda got: states(item["answer"]).items() <= states(got[1]).items(),  # noqa: B023
            )
        else:
            status, answer = emulator.ask(operation, body)
        assert status == item["status"], answer
        label = f"{operation} {year(recording)}"
        found += unaccepted("sagemaker", label, differences(item["answer"], answer))
        found += unlisted("sagemaker", operation, answer)
        steps = item["answer"].get("SecondaryStatusTransitions")
        if steps:
            shown = [
                [(each["Status"], each["StatusMessage"]) for each in steps]
                for steps in (steps, answer["SecondaryStatusTransitions"])
            ]
            assert shown[0] == shown[1]
    assert not found


def texts(*, operation: str = "") -> list[Any]:
    """Return the messages that were recorded without their calls."""
    return [
        pytest.param(item, id=item["request"]["situation"][:40])
        for file in FILES
        for item in recorded.read(file)["sequence"]
        if item["request"].get("situation") and item["operation"].startswith(operation)
    ]


def refusals() -> list[Any]:
    return [each for each in texts() if "error" in each.values[0]["answer"]]


def small_job(emulator: Emulator, script: str = ENDLESS, **changes: Any) -> dict[str, Any]:
    """Return the request of a tuning job."""
    definition = {
        "StaticHyperParameters": emulator.code(script),
        "AlgorithmSpecification": {
            "TrainingImage": "own:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
        "OutputDataConfig": {"S3OutputPath": f"s3://{CODE}/output"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes.pop("definition", {}),
    }
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {
            "CategoricalParameterRanges": [
                {"Name": "a", "Values": [str(number) for number in range(20)]}
            ]
        },
        **changes.pop("config", {}),
    }
    return {
        "HyperParameterTuningJobName": "job",
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        **changes,
    }


def channel(uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}}


def start_training(emulator: Emulator, name: dict[str, Any], definition: dict[str, Any]) -> None:
    """Start a training job by the definition of a tuning job."""
    values = {"HyperParameters": definition.pop("StaticHyperParameters")}
    status, created = emulator.ask("CreateTrainingJob", {**name, **definition, **values})
    assert status == 200, created


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
        if not text.endswith("already exists. Choose a different name."):
            return None
        request = small_job(emulator) | name
        emulator.ask(operation, request)
        return emulator.ask(operation, request)
    if kind and "is in status" in text:
        definition = small_job(emulator)["TrainingJobDefinition"]
        start_training(emulator, name, definition)
        emulator.ask(operation, name)
        return emulator.steps.until(
            lambda: emulator.ask(operation, name), lambda got: "Stopped" in str(got[1])
        )
    return emulator.ask(operation, name) if kind and item["status"] < 500 else None


@pytest.mark.parametrize("item", refusals())
def test_the_emulator_refuses_in_the_recorded_words(start: Start, item: dict[str, Any]) -> None:
    error = item["answer"]["error"]
    text = error["Message"]
    refusal = None if reason_to_skip("sagemaker", text) else provoked(start(), item)
    if refusal is not None:
        status, answer = refusal
        assert (status, answer["error"]["Code"]) == (item["status"], error["Code"])
        message = masked(answer["error"]["Message"])
        assert message.startswith(masked(text).partition("set: [")[0])
    elif masked(text) == masked(QUOTA):
        assert error["Code"] == "ResourceLimitExceeded"
    elif not reason_to_skip("sagemaker", text):
        assert recorded.FOLDER != recorded.OWN, f"not compared: {text}"
        pytest.skip("no request is known here that is refused so")


@pytest.mark.parametrize("item", refusals())
def test_the_client_understands_a_recorded_refusal(item: dict[str, Any]) -> None:
    error = item["answer"]["error"]
    made = service_error(item["operation"], error["Code"], error["Message"], item["status"])
    assert error["Message"] in str(made)
    assert made.retryable == (item["status"] >= 500 or "Throttling" in error["Code"])
    is_quota = "service limit" in error["Message"]
    assert made.quota_exceeded == is_quota


@pytest.mark.parametrize("item", texts(operation="DescribeHyperParameterTuningJob"))
def test_a_failed_tuning_job_says_why_as_recorded(start: Start, item: dict[str, Any]) -> None:
    known = item["answer"].get("FailureReason")
    reason = "an error" if known is None else reason_to_skip("sagemaker", known)
    if reason:
        pytest.skip(reason)
    emulator = start()
    name = {"HyperParameterTuningJobName": new_name()}
    emulator.ask("CreateHyperParameterTuningJob", small_job(emulator, FAILING, **name))
    job = emulator.steps.until(
        lambda: emulator.ask("DescribeHyperParameterTuningJob", name)[1],
        lambda job: job["HyperParameterTuningJobStatus"] == "Failed",
    )
    assert masked(job["FailureReason"]).startswith(masked(known))
    assert response.job_reason(item["answer"]) == known


def test_a_training_job_tells_its_steps_as_recorded(start: Start) -> None:
    lines = [
        (step["status"], step["message"])
        for item in texts()
        for step in item.values[0]["answer"].get("transitions", ())
        if item.values[0]["answer"]["transitions"][0]["time"] >= "2024"
    ]
    told: set[tuple[str, str]] = set()
    short = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    spot = {"EnableManagedSpotTraining": True, "StoppingCondition": short}
    cases = [(FaultPlan(), ""), (NoCapacity(), ""), (FaultPlan(), ENDLESS)]
    for plan, script in cases:
        emulator = start(faults=plan)
        changes = spot if script else {}
        request = small_job(emulator, script, definition=changes)["TrainingJobDefinition"]
        name = {"TrainingJobName": new_name()}
        start_training(emulator, name, request)

        def read() -> Any:
            job = emulator.ask("DescribeTrainingJob", name)[1]  # noqa: B023
            step = job["SecondaryStatusTransitions"][-1]
            told.add((step["Status"], step["StatusMessage"]))
            return job

        emulator.steps.until(read, lambda job: job["TrainingJobStatus"] in {"Completed", "Stopped"})
    assert set(lines) <= told


def test_a_script_that_fails_ends_its_job_in_the_recorded_steps(start: Start) -> None:
    recorded_steps = [
        [(step["status"], step["message"]) for step in item.values[0]["answer"]["transitions"]]
        for item in texts()
        if "Failed" in str(item.values[0]["answer"].get("transitions"))
    ]
    emulator = start()
    name = {"TrainingJobName": new_name()}
    start_training(emulator, name, small_job(emulator, FAILING)["TrainingJobDefinition"])
    job = emulator.steps.until(
        lambda: emulator.ask("DescribeTrainingJob", name)[1],
        lambda job: job["TrainingJobStatus"] == "Failed",
    )
    assert job["FailureReason"]
    steps = [(step["Status"], step["StatusMessage"]) for step in job["SecondaryStatusTransitions"]]
    for known in recorded_steps:
        assert steps[-len(known) :] == known


def described() -> list[Any]:
    """Return all recorded descriptions and rows of jobs."""
    found: list[Any] = []
    for file in FILES:
        for number, item in enumerate(recorded.read(file)["sequence"]):
            rows = [item["answer"], *item["answer"].get("TrainingJobSummaries", ())]
            for job in rows:
                if "CreationTime" in job and "TrainingJobStatus" in job:
                    found.append(pytest.param(times(job), id=f"{file.stem}-{number}"))
    return found


def times(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with its times as boto3 has them."""
    return {
        name: datetime.fromisoformat(value).replace(tzinfo=UTC) if name.endswith("Time") else value
        for name, value in job.items()
    }


@pytest.mark.parametrize("job", described())
def test_the_client_reads_a_recorded_training_job(job: dict[str, Any]) -> None:
    assert response.phase(job) != "unknown"
    final = {"Completed", "Failed", "Stopped"}
    assert response.has_ended(job) == (job["TrainingJobStatus"] in final)
    assert not response.is_lost(job)
    if "FailureReason" in job:
        assert response.failure_reason(job)


def tuning_jobs() -> list[Any]:
    return [
        pytest.param(times(item["answer"]), id=f"{file.stem}-{number}")
        for file in FILES
        for number, item in enumerate(recorded.read(file)["sequence"])
        if "HyperParameterTuningJobConfig" in item["answer"]
    ]


@pytest.mark.parametrize("job", tuning_jobs())
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
