"""The jobs of a replay of SageMaker: their emulator, their requests and their scripts."""

from __future__ import annotations

import copy
import io
import json
import re
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan
from cloudtune_sagemaker.emulator import built_in_metrics, wire
from cloudtune_sagemaker.emulator.app import SageMakerApp
from cloudtune_sagemaker.emulator.errors import denied
from tests.cloudtune_sagemaker import answers
from tests.recorded import renamed
from tests.recorded_steps import Steps

CODE = "recorded-code"
KINDS = {
    "TrainingJob": "TrainingJobName",
    "HyperParameterTuningJob": "HyperParameterTuningJobName",
}
FAILING = "raise SystemExit(1)"
ENDLESS = "import time; time.sleep(600)"
LIMITS = {
    "MaxRuntimeExceeded": "MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "MaxWaitTimeInSeconds",
}
"""The fields of a StoppingCondition that end a job with a secondary status."""
ENDED = frozenset({"Completed", "Failed", "Stopped"})
SCRIPT = """
import os, time
names = os.environ["TRAINING_JOB_NAME"].split("-")
number = int(names[-2]) if {is_tuning} else 1
way = "completes" if number <= {completed} else "fails" if number <= {ended} else "runs"
gates = [{gate!r} + str(number), {gate!r} + "all"]
while way != "runs" and not any(map(os.path.exists, gates)):
    time.sleep(0.02)
if way == "fails":
    raise SystemExit(1)
if way == "completes" or {prints}:
    {printing}
    open({printed!r}, "w").close()
if way == "runs": {endless}
"""
"""Ends a trial as recorded, once the replay has come to an answer in which it has ended."""
ALL = 10**9
LOSS = "print('loss=1', flush=True)"


class Marks:
    """The files with which the replay and the scripts of one job wait for each other."""

    def __init__(self, folder: Path) -> None:
        """Create their folder, which no other job has."""
        folder.mkdir()
        self.printed = folder / "printed"
        """Created by a script that has printed its metrics."""
        self.gate = str(folder / "ended-")
        """How the files begin that let trials end; the number of the trial follows, or ``all``."""

    def let_end(self, answer: Mapping[str, Any], kind: str) -> None:
        """Let the trials end that have ended in an answer."""
        is_uploading = answer.get("SecondaryStatus") == "Uploading"
        if answer.get(f"{kind}Status") in ENDED or is_uploading:
            self.let_one_end("all")
        for number in range(1, sum(ended_trials(answer)) + 1):
            self.let_one_end(number)

    def let_one_end(self, number: int | str) -> None:
        """Let a trial end, or all."""
        Path(f"{self.gate}{number}").touch()


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, faults: FaultPlan | None = None) -> None:
        self.steps = Steps()
        self._folder = folder
        self.regexes: dict[str, str] = {}
        """The recorded expressions of metrics, by those with which the scripts' are read."""
        self.app = SageMakerApp(folder, self.steps, faults or FaultPlan(), "http://here", "key")
        self.client = Client(self.app)

    def new_marks(self) -> Marks:
        """Return the files of another job."""
        return Marks(self._folder / new_name())

    def ask(self, operation: str, request: Any) -> tuple[int, Any]:
        """Return the status and the answer of a call."""
        headers = {**self._signed("sagemaker"), "X-Amz-Target": f"SageMaker.{operation}"}
        response = self.client.post("/", headers=headers, data=json.dumps(request))
        answer = json.loads(response.get_data() or b"{}")
        if response.status_code == 200:
            assert answers.problems(operation, answer) == []
        else:
            answer = {"error": {"Code": answer["__type"], "Message": answer["message"]}}
        return response.status_code, renamed(answer, self.regexes) if self.regexes else answer

    def fault(self, operation: str, answer: Any) -> tuple[int, Any] | None:
        """Return the refusal of any call by the code that was recorded, if the emulator has one."""
        is_of_job = "on resource: arn:" in str(answer)
        denial = denied(f"sagemaker:{operation}", "arn:aws:any" if is_of_job else "*")
        faults = [*(make() for make in self.app.FAULTS.values()), denial]
        for each in faults:
            refusal = each.response()
            known = json.loads(refusal.body)
            if known["__type"] == answer.get("error", {}).get("Code"):
                error = {"Code": known["__type"], "Message": known["message"]}
                return refusal.status, {"error": error}
        return None

    def put(self, uri: str, content: bytes) -> None:
        """Store an object, and create its bucket."""
        bucket, _, key = re.sub("/+", "/", uri).removeprefix("s3:/").partition("/")
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


def new_name() -> str:
    """Return a name that no other test has: what stands in for CloudWatch is one for all."""
    return f"recorded-{uuid.uuid4().hex[:8]}"


def kind_of(operation: str) -> str:
    return next((kind for kind in sorted(KINDS, key=len, reverse=True) if kind in operation), "")


def rows_of(answer: Any) -> list[Any]:
    """Return the rows of a list of jobs."""
    return [row for kind in KINDS for row in answer.get(f"{kind}Summaries") or ()]


def states(answer: Any) -> Any:
    """Return the states in an answer about one job, or about the first of a list."""
    answer = (rows_of(answer) or [answer])[0]
    counters = answer.get("TrainingJobStatusCounters", {})
    counted = {name for name, count in counters.items() if count}
    # Trials that differ in how they ended, or that were stopped, are not replayed one by one.
    is_alike = len(counted) == 1 and "Stopped" not in counted
    trials = {"trials": str(counters)} if is_alike else {}
    if "BestTrainingJob" in answer:
        trials["has a best"] = "yes"
    return {name: answer[name] for kind in KINDS if (name := f"{kind}Status") in answer} | trials


def definitions_of(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the definitions of a tuning job; of a training job itself."""
    one = job.get("TrainingJobDefinition", job)
    definitions: list[dict[str, Any]] = job.get("TrainingJobDefinitions", [one])
    return definitions


def objective_of(job: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
    config = job.get("HyperParameterTuningJobConfig", {})
    own = config.get("HyperParameterTuningJobObjective", {})
    return str(definition.get("TuningObjective", own).get("MetricName", ""))


def times_out(described: Mapping[str, Any]) -> bool:
    """Return whether the best trial of a tuning job that completed was stopped: by its limit."""
    is_complete = described.get("HyperParameterTuningJobStatus") == "Completed"
    best = described.get("BestTrainingJob", {})
    return is_complete and best.get("TrainingJobStatus") == "Stopped"


def ended_trials(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many trials of a tuning job have completed, and how many have failed.

    Those that a tuning job stopped early, since it completed, count as completed.
    """
    counters = answer.get("TrainingJobStatusCounters", {})
    if rows := answer.get("TrainingJobSummaries"):
        ended = [row.get("TrainingJobStatus") for row in rows]
        return ended.count("Completed"), ended.count("Failed")
    is_complete = answer.get("HyperParameterTuningJobStatus") == "Completed"
    early = counters.get("Stopped", 0) if is_complete else 0
    return counters.get("Completed", 0) + early, counters.get("NonRetryableError", 0)


def is_mixed(described: dict[str, Any]) -> bool:
    """Return whether the trials of a tuning job ended in several ways."""
    completed, failed = ended_trials(described)
    is_stopped = described.get("HyperParameterTuningJobStatus") != "Completed"
    stopped = is_stopped and described.get("TrainingJobStatusCounters", {}).get("Stopped", 0)
    return bool(completed and (failed or stopped)) and not times_out(described)


def script_for(described: Mapping[str, Any], kind: str, marks: Marks) -> str:
    """Return a script with which a job ends as it was described.

    It prints its metrics as XGBoost and k-means do, or a ``loss`` if it is not described.
    """
    state = described.get(f"{kind}Status", "Completed")
    if described.get("SecondaryStatus") == "Uploading":
        state = "Completed"
    is_tuning = kind == "HyperParameterTuningJob"
    completed, failed = ended_trials(described)
    if is_tuning and times_out(described):
        completed, failed = 0, 0
    elif state == "Completed" and not failed:
        completed = ALL
    elif state in ("Completed", "Failed"):
        failed = ALL
    metrics = ["train-rmse", "validation-rmse"]
    if is_tuning:
        metrics = [
            objective_of(described, each).replace(":", "-") for each in definitions_of(described)
        ]
    line = "".join(f"#011{metric}:1.5" for metric in metrics)
    means = "".join(
        f"; print('#quality_metric: host=a, {metric.replace('-', ' ')} <loss>=1.5', flush=True)"
        for metric in metrics
    )
    is_described = "AlgorithmSpecification" in str(described)
    return SCRIPT.format(
        is_tuning=is_tuning,
        completed=completed,
        ended=completed + failed,
        gate=marks.gate,
        prints="BestTrainingJob" in described and not completed,
        printing=f"print('[0]{line}', flush=True){means}" if is_described else LOSS,
        printed=str(marks.printed),
        endless=ENDLESS,
    )


def create_request(
    emulator: Emulator,
    kind: str,
    described: dict[str, Any],
    marks: Marks,
    *,
    has_inputs: bool = True,
) -> dict[str, Any]:
    """Return the request of a described job, with a script in place of its algorithm."""
    model = wire.service("sagemaker").operation_model(f"Create{kind}").input_shape
    assert model is not None
    request: dict[str, Any] = copy.deepcopy(
        {name: value for name, value in described.items() if name in model.members}
    )
    request[KINDS[kind]] = new_name()
    program = emulator.code(script_for(described, kind, marks))
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
            own = f"#011{re.escape(metric['Name'].replace(':', '-'))}:([0-9.]+)"
            emulator.regexes[own] = metric["Regex"]
            metric["Regex"] = own
        resources = job.get("ResourceConfig", {})
        groups = resources["InstanceGroups"] = resources.get("InstanceGroups", [])[:1]
        for each in (resources, *groups):
            if "InstanceCount" in each:
                each["InstanceCount"] = 1
        if not groups:
            del resources["InstanceGroups"]
        if times_out(described):
            job["StoppingCondition"]["MaxRuntimeInSeconds"] = 5
        if limit := LIMITS.get(described.get("SecondaryStatus", "")):
            job["StoppingCondition"][limit] = 1
        if "CheckpointConfig" in job:
            emulator.put(f"{job['CheckpointConfig']['S3Uri']}/x", b"")
        emulator.put(f"{job['OutputDataConfig']['S3OutputPath']}/x", b"")
        for channel in (job.get("InputDataConfig") or ()) if has_inputs else ():
            if source := channel["DataSource"].get("S3DataSource"):
                emulator.put(f"{source['S3Uri']}/x", b"1")
    return request


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


def training(job: dict[str, Any]) -> dict[str, Any]:
    """Return the request of a training job by the definition of a tuning job, without a name."""
    definition = dict(job["TrainingJobDefinition"])
    return {"HyperParameters": definition.pop("StaticHyperParameters"), **definition}
