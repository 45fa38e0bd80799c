"""Replays recorded calls of SageMaker against its emulator, and yields where its answers differ."""

from __future__ import annotations

import copy
import io
import itertools
import json
import re
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from cloudtune.emulation.faults import FaultPlan
from cloudtune_sagemaker.emulator import built_in_metrics, wire
from cloudtune_sagemaker.emulator.app import SageMakerApp
from cloudtune_sagemaker.emulator.operations import OPERATIONS
from tests.cloudtune_sagemaker import answers
from tests.recorded import MALFORMED, Steps, differences, reason_to_skip, unaccepted, unlisted
from tests.recorded_names import Names

CODE = "recorded-code"
KINDS = {
    "TrainingJob": "TrainingJobName",
    "HyperParameterTuningJob": "HyperParameterTuningJobName",
}
ARNS = {"TrainingJob": ":training-job/", "HyperParameterTuningJob": ":hyper-parameter-tuning-job/"}
TRIALS = "ListTrainingJobsForHyperParameterTuningJob"
FAILING = "raise SystemExit(1)"
ENDLESS = "import time; time.sleep(600)"
LIMITS = {
    "MaxRuntimeExceeded": "MaxRuntimeInSeconds",
    "MaxWaitTimeExceeded": "MaxWaitTimeInSeconds",
}
"""The fields of a StoppingCondition that end a job with a secondary status."""
_STOPS = frozenset({"Stopping", "Uploading", "Stopped"})
"""The secondary statuses of a job that is being stopped."""
GATE = "ended-"
"""How the files begin that let trials end; the number of the trial follows."""
MIXED = """
import os, time
number = int(os.environ["TRAINING_JOB_NAME"].split("-")[-2])
while number <= {ended} and not os.path.exists({gate!r} + str(number)):
    time.sleep(0.02)
if {completed} < number <= {ended}:
    raise SystemExit(1)
if number > {ended}:
    time.sleep(600)
{printing}
open({printed!r}, "w").close()
"""
"""Ends the first trials as recorded, once the replay has come to an answer in which they ended."""
SCRIPTS = {"Completed": "print('loss=1', flush=True)", "Failed": FAILING}
"""How the jobs end that have no description."""


class Emulator:
    """An emulator in this process, whose delays pass step by step."""

    def __init__(self, folder: Path, faults: FaultPlan | None = None) -> None:
        self.steps = Steps()
        self.printed = folder / "printed"
        """Created by a script that has printed and does not end by itself."""
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


def definitions_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the definitions of a tuning job; of a training job itself."""
    one = job.get("TrainingJobDefinition", job)
    definitions: list[dict[str, Any]] = job.get("TrainingJobDefinitions", [one])
    return definitions


def objective_of(job: dict[str, Any], definition: dict[str, Any]) -> str:
    config = job.get("HyperParameterTuningJobConfig", {})
    own = config.get("HyperParameterTuningJobObjective", {})
    return str(definition.get("TuningObjective", own).get("MetricName", ""))


def times_out(described: dict[str, Any]) -> bool:
    """Return whether the best trial of a tuning job that completed was stopped: by its limit."""
    is_complete = described.get("HyperParameterTuningJobStatus") == "Completed"
    best = described.get("BestTrainingJob", {})
    return is_complete and best.get("TrainingJobStatus") == "Stopped"


def ended_trials(answer: dict[str, Any]) -> tuple[int, int]:
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


def script_for(described: dict[str, Any], kind: str, printed: Path) -> str:
    """Return a script with which a job ends as it was described.

    It prints its metrics as XGBoost and k-means do. If it does not end by itself, it creates a file
    when it has printed.
    """
    state = described.get(f"{kind}Status", "Completed")
    if described.get("SecondaryStatus") == "Uploading":
        state = "Completed"
    has_best = "BestTrainingJob" in described
    if state == "Failed" or (state != "Completed" and not has_best):
        return FAILING if state == "Failed" else ENDLESS
    metrics = ["train-rmse", "validation-rmse"]
    if kind == "HyperParameterTuningJob":
        metrics = [
            objective_of(described, each).replace(":", "-") for each in definitions_of(described)
        ]
    line = "".join(f"#011{metric}:1.5" for metric in metrics)
    means = "".join(
        f"; print('#quality_metric: host=a, {metric.replace('-', ' ')} <loss>=1.5', flush=True)"
        for metric in metrics
    )
    printing = f"print('[0]{line}', flush=True){means}"
    if kind == "HyperParameterTuningJob" and is_mixed(described):
        completed, failed = ended_trials(described)
        return MIXED.format(
            printing=printing,
            completed=completed,
            ended=completed + failed,
            gate=str(printed.with_name(GATE)),
            printed=str(printed),
        )
    if state == "Completed" and not times_out(described):
        return printing
    return f"{printing}; open({str(printed)!r}, 'w').close(); {ENDLESS}"


def create_request(
    emulator: Emulator, kind: str, described: dict[str, Any], *, has_inputs: bool = True
) -> dict[str, Any]:
    """Return the request of a described job, with a script in place of its algorithm."""
    model = wire.service("sagemaker").operation_model(f"Create{kind}").input_shape
    assert model is not None
    request: dict[str, Any] = copy.deepcopy(
        {name: value for name, value in described.items() if name in model.members}
    )
    request[KINDS[kind]] = new_name()
    program = emulator.code(script_for(described, kind, emulator.printed))
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


@dataclass
class Job:
    """A recorded job at the emulator."""

    kind: str
    name: str
    arn: str
    is_stopped: bool = False
    tags: frozenset[str] = frozenset()


class Replay:
    """Replays one recording.

    A job is created when the recording first has it, from its last description, or as a small job
    of its status if there is none. Stops and tags that were not recorded are made up for.
    """

    def __init__(self, emulator: Emulator, recording: dict[str, Any]) -> None:
        self._emulator = emulator
        self._year = str(recording["date"])[:4]
        sequence = recording["sequence"]
        self._calls = [each for each in sequence if "situation" not in each["request"]]
        self._jobs: dict[tuple[str, str], Job] = {}
        self._names = Names()
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        """The last description of each job, by its kind and name."""

    def _read(self) -> None:
        """Read the descriptions of all jobs."""
        for item in self._calls:
            kind, name = kind_of(item["operation"]), str(self._name(item, item["answer"]))
            for row in rows_of(item["answer"]):
                kind_of_row = next(each for each in KINDS if KINDS[each] in row)
                self.known.setdefault((kind_of_row, row[KINDS[kind_of_row]]), row)
            if item["operation"] == f"Describe{kind}" and item["status"] == 200:
                self.known[kind, name] = item["answer"]

    def differences(self) -> Iterator[str]:
        """Yield where the emulator answers otherwise; nothing after a job that cannot be created.

        Calls that another service answers are not compared, and `SearchReplay` compares those that
        show trials, each in a state of its own.
        """
        try:
            self._read()
        except MALFORMED as error:
            yield f"its answers are malformed: {error!r}"
            return
        for item in self._calls:
            operation = item["operation"]
            if operation in ("Search", "BatchGetMetrics"):
                continue
            tagged = str(item["request"].get("ResourceArn", "")).split(":")[-1].partition("/")[0]
            label = f"{operation} {tagged.title().replace('-', '')}"
            if reason_to_skip("sagemaker", label.strip()) is not None:
                continue
            if operation not in OPERATIONS:
                yield f"{operation}: the emulator has no such operation"
                continue
            try:
                yield from self._compare(item)
            except NotCreatedError as error:
                yield f"{operation}: {error}"
                return
            except MALFORMED as error:
                yield f"{operation}: malformed: {error!r}"
                return

    def _compare(self, item: dict[str, Any]) -> Iterator[str]:
        operation = item["operation"]
        name = self._name(item, item["answer"])
        tuning = self.known.get(("HyperParameterTuningJob", str(name)), {})
        recorded = item["answer"]
        if operation != TRIALS or not is_mixed(tuning):
            recorded = alike(recorded, name)
        if operation.startswith("Create") and item["status"] != 200:
            yield from self._refused(item)
            return
        job = self._job(item)
        if job is not None:
            self._make_up(job, item)
        for number in range(1, sum(ended_trials(recorded)) + 1):
            self._emulator.printed.with_name(f"{GATE}{number}").touch()
        if operation.startswith("Create"):
            status, answer = 200, {f"{kind_of(operation)}Arn": job.arn if job else ""}
        else:
            body = self._request(item, job)
            status, answer = self._until(operation, body, recorded)
        if status != item["status"]:
            yield f"{operation}: {item['status']} was recorded, not {status}: {answer}"
            return
        if not item["is_compared"]:
            return
        named = self._names.differences(without_best(recorded), without_best(answer))
        found = chain(differences(recorded, answer), named)
        yield from unaccepted("sagemaker", f"{operation} {self._year}", found)
        yield from (
            f"{operation} {each}: not listed" for each in unlisted("sagemaker", operation, answer)
        )
        both = [transitions(each) for each in (recorded, answer)]
        if all(both) and both[0] != both[1]:
            yield f"{operation} .SecondaryStatusTransitions: {both[0]}, not {both[1]}"

    def _refused(self, item: dict[str, Any]) -> Iterator[str]:
        """Yield how the refusal of a request differs, if the request was recorded."""
        operation, request = item["operation"], copy.deepcopy(item["request"])
        kind = kind_of(operation)
        if not request.keys() - {KINDS[kind]}:
            yield f"{operation}: no request is known here that is refused so: {item['answer']}"
            return
        if "already exists" in str(item["answer"]) and not self._is_before_creation(item):
            key = (kind, str(request[KINDS[kind]]))
            if key not in self._jobs:
                self._jobs[key] = self._create(kind, self.known.get(key, {}))
            named = {KINDS[kind]: self._jobs[key].name}
        else:
            named = {KINDS[kind]: request.get(KINDS[kind], "")}
        if "AlgorithmSpecification" in str(request):
            has_inputs = "S3" not in str(item["answer"])
            request = create_request(self._emulator, kind, request, has_inputs=has_inputs)
        request |= named
        status, answer = self._emulator.ask(operation, request)
        if status != item["status"]:
            yield f"{operation}: {item['status']} was recorded, not {status}: {answer}"
        else:
            found = differences(item["answer"], answer)
            yield from unaccepted("sagemaker", f"{operation} {self._year}", found)

    def _until(self, operation: str, body: Any, recorded: Any) -> tuple[int, Any]:
        def ask() -> tuple[int, Any]:
            return self._emulator.ask(operation, body)

        if not operation.startswith(("List", "Describe")):
            return ask()
        wanted = states(recorded)
        if recorded.get("SecondaryStatus") in {"Downloading", "Training", "Uploading", *LIMITS}:
            wanted["SecondaryStatus"] = recorded["SecondaryStatus"]
        return self._emulator.steps.until(
            ask,
            lambda got: wanted.items() <= shown(got[1]).items(),
            self._emulator.app.busy,
        )

    def _name(self, item: dict[str, Any], answer: dict[str, Any]) -> str | None:
        """Return the recorded name of the job that a call is about."""
        operation = item["operation"]
        kind = kind_of(operation)
        if operation.startswith("List") and operation != TRIALS and kind:
            rows = [row.get(KINDS[kind]) for row in rows_of(answer)]
            described = [
                name
                for name in rows
                if "AlgorithmSpecification" in str(self.known.get((kind, str(name))))
            ]
            return next(iter([*described, *rows]), None)
        name = answer.get(KINDS.get(kind, "")) or item["request"].get(KINDS.get(kind, ""))
        arn = str(answer.get(f"{kind}Arn", ""))
        return name or arn.rpartition("/")[2] or None

    def _job(self, item: dict[str, Any]) -> Job | None:
        """Return the job that a call is about, at the emulator; None if it is about none."""
        operation = item["operation"]
        kind, name = kind_of(operation), self._name(item, item["answer"])
        arn = str(item["request"].get("ResourceArn", ""))
        for each, part in ARNS.items():
            if part in arn:
                kind, name = each, arn.rpartition("/")[2]
        if item["status"] == 400 and (
            (kind, name) not in {*self._jobs, *self.known} or self._is_before_creation(item)
        ):
            return None
        if name is None and operation.startswith("List") and operation != TRIALS and kind:
            return None  # an empty list
        known = [key for key in (*self.known, *self._jobs) if kind in ("", key[0])]
        if name is None:
            if not known:
                return None
            kind, name = list(self._jobs)[-1] if self._jobs and kind == "" else known[-1]
        else:
            name = next((key[1] for key in known if key[1].lower() == name.lower()), name)
        if not kind:
            return None
        if (kind, name) not in self._jobs:
            self._jobs[kind, name] = self._create(kind, self.known.get((kind, name), {}))
        return self._jobs[kind, name]

    def _is_before_creation(self, item: dict[str, Any]) -> bool:
        """Return whether the job of a call was created later."""
        field = KINDS.get(kind_of(item["operation"]), "")
        name = item["request"].get(field)
        later = itertools.dropwhile(lambda each: each is not item, self._calls)
        return name is not None and any(
            each["operation"].startswith("Create")
            and each["request"].get(field) == name
            and each["status"] == 200
            for each in later
        )

    def _create(self, kind: str, described: dict[str, Any]) -> Job:
        if "TuningJobArn" in described and (trial := self._trial(described)):
            return trial
        if "AlgorithmSpecification" in str(described):
            try:
                request = create_request(self._emulator, kind, described)
            except (KeyError, TypeError, AttributeError) as error:
                raise NotCreatedError(f"its description lacks {error}") from error
        else:
            script = SCRIPTS.get(described.get(f"{kind}Status", ""), ENDLESS)
            name = {KINDS[kind]: new_name()}
            request = small_job(self._emulator, script)
            request = (training(request) if kind == "TrainingJob" else request) | name
        status, created = self._emulator.ask(f"Create{kind}", request)
        if status != 200:
            raise NotCreatedError(f"the emulator refuses to create such a job: {created}")
        return Job(kind, request[KINDS[kind]], created[f"{kind}Arn"])

    def _trial(self, described: dict[str, Any]) -> Job | None:
        """Return a trial of the same status of the tuning job that a training job is of."""
        tuning = described["TuningJobArn"].rpartition("/")[2].lower()
        found = [job for (_, name), job in self._jobs.items() if name.lower() == tuning]
        if not found:
            return None
        body = {KINDS[found[0].kind]: found[0].name}
        _, answer = self._until(TRIALS, body, {"TrainingJobSummaries": [described]})
        rows = rows_of(answer)
        return (
            Job("TrainingJob", rows[0]["TrainingJobName"], rows[0]["TrainingJobArn"])
            if rows
            else None
        )

    def _make_up(self, job: Job, item: dict[str, Any]) -> None:
        """Call what must have been called before an answer, but was not recorded."""
        operation, answer = item["operation"], item["answer"]
        status = str(states(answer).get(f"{job.kind}Status"))
        is_stop = operation == f"Stop{job.kind}"
        is_new = job.kind == "HyperParameterTuningJob" and not job.is_stopped
        last = self.known.get((job.kind, self._name(item, answer) or ""), {})
        limit = last.get("HyperParameterTuningJobConfig", {}).get("ResourceLimits", {})
        counted = sum(last.get("TrainingJobStatusCounters", {}).values())
        running = max(1, min(counted, limit.get("MaxParallelTrainingJobs", 1)))
        if is_new and (is_stop or status.startswith("Stop")):  # one without trials ends at once
            self._emulator.steps.until(
                lambda: self._emulator.ask(f"Describe{job.kind}", {KINDS[job.kind]: job.name})[1],
                lambda got: got["TrainingJobStatusCounters"]["InProgress"] >= running,
                self._emulator.app.busy,
            )
        has_best = "BestTrainingJob" in last and last.get(f"{job.kind}Status") == "Stopped"
        if is_stop and has_best:
            assert self._emulator.steps.until(self._emulator.printed.exists, bool)
        if status.startswith("Stop") and job.kind == "TrainingJob" and not job.is_stopped:
            self._run_until_stop(job, last)
        if status.startswith("Stop") and not (job.is_stopped or is_stop or is_limited(answer)):
            self._emulator.ask(f"Stop{job.kind}", {KINDS[job.kind]: job.name})
            job.is_stopped = True
        job.is_stopped = job.is_stopped or is_stop
        if operation == "ListTags":
            wanted = {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", ())}
            if gone := sorted(job.tags - wanted.keys()):
                self._emulator.ask("DeleteTags", {"ResourceArn": job.arn, "TagKeys": gone})
            tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
            if tags:
                self._emulator.ask("AddTags", {"ResourceArn": job.arn, "Tags": tags})
            job.tags = frozenset(wanted)

    def _run_until_stop(self, job: Job, last: dict[str, Any]) -> None:
        """Let a training job come as far as it was before it was stopped."""
        steps = [status for status, _ in transitions(last) if status not in _STOPS]
        if steps and "TrainingStartTime" in last:
            self._emulator.steps.until(
                lambda: self._emulator.ask("DescribeTrainingJob", {KINDS[job.kind]: job.name})[1],
                lambda got: steps[-1] in {status for status, _ in transitions(got)},
                self._emulator.app.busy,
            )

    def _request(self, item: dict[str, Any], job: Job | None) -> dict[str, Any]:
        """Return the request of a recorded call, of which often only the answer is recorded."""
        operation = item["operation"]
        if operation.endswith("Tags"):
            tags = (
                item["answer"].get("Tags")
                or item["request"].get("Tags")
                or [{"Key": "x", "Value": ""}]
            )
            more = {"AddTags": {"Tags": tags}, "DeleteTags": {"TagKeys": ["x"]}}
            return {"ResourceArn": job.arn if job else "", **more.get(operation, {})}
        if operation.startswith("List") and operation != TRIALS:
            return {"NameContains": job.name if job else "no-such-job"}
        kind = kind_of(operation)
        return {KINDS[kind]: job.name if job else new_name()}


class NotCreatedError(Exception):
    """A recorded job that the emulator does not create."""


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the states in an answer, with the secondary status."""
    return {**states(answer), "SecondaryStatus": answer.get("SecondaryStatus")}


def without_best(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the best trials: all that are replayed have equal values."""
    return {name: value for name, value in answer.items() if "BestTrainingJob" not in name}


def transitions(answer: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return the secondary statuses of a job, with their messages."""
    steps = answer.get("SecondaryStatusTransitions") or ()
    return [(step.get("Status"), step.get("StatusMessage")) for step in steps]


def is_limited(job: dict[str, Any]) -> bool:
    """Return whether a limit of its time has ended a job."""
    return job.get("SecondaryStatus") in LIMITS


def alike(answer: dict[str, Any], first: str | None) -> dict[str, Any]:
    """Return a list with one job first, and of the others those only that have its status."""
    for name in [f"{kind}Summaries" for kind in KINDS if answer.get(f"{kind}Summaries")]:
        rows = sorted(answer[name], key=lambda row: first not in row.values())
        answer = {**answer, name: [row for row in rows if states(row) == states(rows[0])]}
    return answer
