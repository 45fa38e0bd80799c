"""A file of any form gets a clear verdict of the replay: recordings of others, and altered ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import recorded
from tests.cloudtune_vertex import recorded_variants
from tests.test_recordings import REPLAYED

OWN = recorded.OWN


def call(operation: str, answer: Any, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "request": {}, "status": 200, "answer": answer, **more}


def recording(service: str, *sequence: Any) -> dict[str, Any]:
    return {"service": service, "date": "2026-01-01", "sequence": list(sequence)}


STOPPED = "sagemaker/custodian_test_sagemaker_hyperparameter_tuning_job_stop.json"
CANCELLED = "vertex/custodian_vertexai_custom_job_cancel_and_delete.json"


def middle(name: str, service: str) -> dict[str, Any]:
    """Return the last calls of a recording, without the creation of its job."""
    return recording(service, *json.loads((OWN / name).read_text("utf-8"))["sequence"][-2:])


def tuning() -> dict[str, Any]:
    """Return a recording of a tuning job of Vertex AI whose only trial has a field of its own."""
    name = "vertex/custodian_vertexai_hp_tuning_job_field_filters.json"
    calls = json.loads((OWN / name).read_text("utf-8"))["sequence"]
    creation = next(each for each in calls if each["operation"].startswith("Create"))
    read = next(each for each in calls if each["operation"].startswith("Get"))
    job = {key: value for key, value in read["answer"].items() if key != "error"}
    trial = {"id": "1", "state": "INFEASIBLE", "startTime": job["createTime"], "milk": "1"}
    ended = {"state": "JOB_STATE_SUCCEEDED", "endTime": job["createTime"], "trials": [trial]}
    return recording("vertex", creation, {**read, "answer": {**job, **ended}})


def altered(name: str, old: str, new: str) -> dict[str, Any]:
    """Return a recording with another text in its answers."""
    text = (OWN / name).read_text("utf-8")
    assert old in text
    changed: dict[str, Any] = json.loads(text.replace(old, new))
    return changed


def refused(code: str, message: str) -> dict[str, Any]:
    """Return the recording of a call about a job that does not exist."""
    answer = {"error": {"Code": code, "Message": message}}
    request = {"TrainingJobName": "none"}
    return recording("sagemaker", call("DescribeTrainingJob", answer, status=400, request=request))


def found(more: dict[str, Any]) -> dict[str, Any]:
    """Return the recording of a search that finds a training job."""
    described: dict[str, Any] = json.loads((OWN / COMPLETED).read_text("utf-8"))["sequence"][0]
    job: dict[str, Any] = {"TrainingJobStatus": "Completed", **described["answer"], **more}
    return recording("sagemaker", call("Search", {"Results": [{"TrainingJob": job}]}))


def measured(status: str) -> dict[str, Any]:
    """Return the recording of a series of metrics."""
    result = {"Status": status, "XAxisValues": [1], "MetricValues": [0.5]}
    query = {
        "MetricName": "x",
        "ResourceArn": "arn:aws:sagemaker:us-east-1:111122223333:training-job/none",
        "MetricStat": "Last",
        "Period": "IterationNumber",
        "XAxisType": "IterationNumber",
    }
    request = {"MetricQueries": [query]}
    answer = {"MetricQueryResults": [result]}
    return recording("sagemaker", call("BatchGetMetrics", answer, request=request))


PRINTED = "ibm/notebook_cloud_Use_PMML_and_Batch_Deployment_to_predict_iris_species.json"
TRAINED = (
    "ibm/notebook_cloud_Use_watsonx_to_tune_Google_flan_t5_xl_model_with_Consumer_Financial_Protec"
    ".json"
)
UJ11 = "vertex/notebook_uj11_trials_2021-02.json"
TRIAL = "-001-0123abcd"
BATCH = '"mini_batch_size": '
SWEEP = "azure/sweep_submit_minimal.json"
LABELS = "azure/command_job_dependency_label_resolution.json"


def calls_of(name: str, *numbers: int) -> dict[str, Any]:
    """Return some of the calls of a recording."""
    known: dict[str, Any] = json.loads((OWN / name).read_text("utf-8"))
    return {**known, "sequence": [known["sequence"][number] for number in numbers]}


def got(*states: str, **more: Any) -> dict[str, Any]:
    """Return the descriptions of a command job of Azure in some states, with more properties."""
    jobs = calls_of("azure/command_ray_command_job.json", *[2] * len(states))
    known: dict[str, Any] = json.loads(json.dumps(jobs))  # each call is one of its own
    for seconds, (each, state) in enumerate(zip(known["sequence"], states, strict=True)):
        assert each["operation"] == "GET jobs/{id}"
        each["answer"]["properties"] |= {"status": state, **more}
        each["seconds_after_first"] = float(seconds)
    return known


def interleaved() -> dict[str, Any]:
    """Return the calls about two custom jobs, of which one waits while the other one ends."""
    text = (OWN / CANCELLED).read_text("utf-8")
    known: dict[str, Any] = json.loads(text)
    other = json.loads(re.sub(r"(\d{12,})\d{3}", r"\g<1>777", text))["sequence"]
    for each in other[1:5]:
        each["seconds_after_first"] = 12.0
    first = known["sequence"]
    return {
        **known,
        "sequence": [first[0], other[0], *first[1:5], *other[1:5], *first[5:7], other[6]],
    }


def without_paths(cancelled: dict[str, Any]) -> dict[str, Any]:
    """Return a recording of a cancellation, with its answer and without the paths of calls."""
    known: dict[str, Any] = json.loads((OWN / CANCELLED).read_text("utf-8"))
    for item in known["sequence"]:
        del item["request"]["path"]
    next(each for each in known["sequence"] if not each["answer"])["answer"] = cancelled
    return known


def swept(more: dict[str, Any]) -> dict[str, Any]:
    """Return the recording of a sweep that was created before, with more properties."""
    known = calls_of(SWEEP, -1)
    known["sequence"][0]["answer"]["properties"] |= more
    return known


def stateless(trials: list[dict[str, Any]]) -> None:
    """Repeat a trial, and take the states of all."""
    trials.append(trials[0])
    for each in trials:
        each.pop("state", None)


def unmeasured(trials: list[dict[str, Any]]) -> None:
    """Take the measurement from a trial, and give it milk."""
    del trials[2]["finalMeasurement"]
    trials[2] |= {"state": "INFEASIBLE", "milk": "1"}


def trials_of(change: Callable[[list[dict[str, Any]]], object]) -> dict[str, Any]:
    """Return a recording of a tuning job of Vertex AI whose trials were changed."""
    known: dict[str, Any] = json.loads((OWN / UJ11).read_text("utf-8"))
    change(known["sequence"][1]["answer"]["trials"])
    return known


def without_objective() -> dict[str, Any]:
    """Return a recording of a tuning job of a built-in algorithm, without the metric it adds."""
    known: dict[str, Any] = json.loads((OWN / FAILED).read_text("utf-8"))
    for job in known["sequence"][2]["answer"]["TrainingJobDefinitions"]:
        metrics = job["AlgorithmSpecification"]["MetricDefinitions"]
        metrics[:] = [each for each in metrics if each["Name"] != "ObjectiveMetric"]
    return known


def swept_values(values: str) -> dict[str, Any]:
    """Return the recording of a sweep in whose tags a trial has other values."""
    known: dict[str, Any] = json.loads((OWN / SWEEP).read_text("utf-8"))
    tags = known["sequence"][-1]["answer"]["properties"]["tags"]
    tags[next(each for each in tags if each.endswith("_0"))] = values
    return known


CALLS = "sagemaker/texts_calls_refused.json"
REASONS = "sagemaker/texts_tuning_failed.json"
LINES = "sagemaker/texts_secondary_status_lines.json"
TRANSFORMED = "sagemaker/custodian_test_sagemaker_transform_job_query.json"
REFUSED = "vertex/texts_create_refused.json"
TUNED = "vertex/custodian_vertexai_hp_tuning_job_query.json"
COMPLETED = "sagemaker/cli_describe_training_job_completed_2025-05.json"
FAILED = "sagemaker/custodian_test_sagemaker_hyperparameter_tuning_job_query.json"
MISSING = "Requested resource not found."


IS_COMPLETED = "The request was rejected because the training job is in status Completed."
LIST = {"method": "GET", "path": "/v1/projects/PROJECT/locations/us-central1/customJobs"}
EXHAUSTED = {"error": {"code": 429, "message": "Slower", "status": "RESOURCE_EXHAUSTED"}}


PAGE: dict[str, Any] = {
    "limit": 100,
    "first": {"href": "/ml/v4/deployments?limit=100"},
    "total_count": 0,
    "resources": [],
}


def ibm_job(state: str) -> dict[str, Any]:
    """Return what IBM says of a deployment job, without what states have in common."""
    answer = {"metadata": {"id": "j"}, "entity": {"scoring": {"status": {"state": state}}}}
    return call("GetDeploymentJob", answer)


ARN = "arn:aws:sagemaker:us-east-1:111122223333:"
TUNING = "HyperParameterTuningJobName"
DENIED = (
    "User: arn:aws:iam::111122223333:user/USER is not authorized to perform: "
    "sagemaker:DescribeTrainingJob on resource: arn:aws:sagemaker:us-east-1:111122223333:"
    "training-job/none because no identity-based policy allows the sagemaker:DescribeTrainingJob "
    "action"
)


def stopped_twice() -> dict[str, Any]:
    """Return the recording of two tuning jobs that are stopped, each once its first trial ended."""
    calls = json.loads((OWN / STOPPED).read_text("utf-8"))["sequence"]
    running = next(each["answer"] for each in calls if each["operation"].startswith("Describe"))
    trial = {
        "TrainingJobName": "c7n-test-4-001-0123abcd",
        "TrainingJobStatus": "Completed",
        "TrainingJobArn": f"{ARN}training-job/c7n-test-4-001-0123abcd",
        "CreationTime": "2024-04-10T10:40:00",
        "TrainingStartTime": "2024-04-10T10:41:00",
        "TrainingEndTime": "2024-04-10T10:42:00",
        "TunedHyperParameters": {"alpha": "1"},
        "FinalHyperParameterTuningJobObjectiveMetric": {
            "Type": "Maximize",
            "MetricName": "validation:auc",
            "Value": 0.9,
        },
        "ObjectiveStatus": "Succeeded",
        "TrainingJobDefinitionName": "c7n-test-def",
    }
    end = "2024-04-10T11:10:43.811"
    counters = dict.fromkeys(("RetryableError", "NonRetryableError", "InProgress"), 0)
    stopped = {
        **running,
        "HyperParameterTuningJobStatus": "Stopped",
        "HyperParameterTuningEndTime": end,
        "LastModifiedTime": end,
        "BestTrainingJob": trial,
        "TrainingJobStatusCounters": {**counters, "Completed": 1, "Stopped": 2},
        "ObjectiveStatusCounters": {"Succeeded": 1, "Pending": 0, "Failed": 2},
    }
    sequence: list[Any] = []
    for number in "45":
        name = {TUNING: f"c7n-test-{number}"}
        calls = [
            call("DescribeHyperParameterTuningJob", running, request=name),
            call("StopHyperParameterTuningJob", {}, request=name),
            call("DescribeHyperParameterTuningJob", stopped, request=name),
        ]
        sequence += json.loads(json.dumps(calls).replace("c7n-test-4", f"c7n-test-{number}"))
    return recording("sagemaker", *sequence)


def rows(status: str, **filters: str) -> dict[str, Any]:
    """Return the call of a list with one training job that was first seen in another state."""
    times = {f"{each}Time": f"2026-01-01T00:0{n}:00" for n, each in enumerate(("Creation",))}
    ended = {"TrainingEndTime": "2026-01-01T00:05:00"} if status == "Completed" else {}
    row = {
        "TrainingJobName": "t",
        "TrainingJobArn": f"{ARN}training-job/t",
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        **times,
        **ended,
        "LastModifiedTime": "2026-01-01T00:05:00",
    }
    if status == "InProgress":
        row["SecondaryStatus"] = "Training"
    return call("ListTrainingJobs", {"TrainingJobSummaries": [row]}, request=filters)


def listed(state: str, objective: str) -> dict[str, Any]:
    """Return a recording of a tuning job whose trials failed, with the states of the first one."""
    known: dict[str, Any] = json.loads((OWN / FAILED).read_text("utf-8"))
    row: dict[str, Any] = {
        "TrainingJobName": "c7n-test-001-0123abcd",
        "TrainingJobArn": f"{ARN}training-job/c7n-test-001-0123abcd",
        "CreationTime": "2024-04-06T14:22:10",
        "TrainingStartTime": "2024-04-06T14:22:11",
        "TrainingEndTime": "2024-04-06T14:22:20",
        "TrainingJobStatus": "Failed",
        "TunedHyperParameters": {"mini_batch_size": "2", "init_method": "random"},
        "ObjectiveStatus": "Failed",
        "TrainingJobDefinitionName": "c7n-test-definition",
        "FailureReason": "AlgorithmError: x",
    }
    second = json.loads(json.dumps(row).replace("001-0123abcd", "002-4567ef89"))
    row |= {"TrainingJobStatus": state, "ObjectiveStatus": objective}
    name = {TUNING: "c7n-test"}
    answer = {"TrainingJobSummaries": [row, second]}
    trials = call("ListTrainingJobsForHyperParameterTuningJob", answer, request=name)
    known["sequence"].append(trials)
    return known


BILLED = '"BillableTimeInSeconds": 125'
STARTED, ENDED = '"TrainingStartTime": "2025', '"TrainingEndTime": "2025'


def last_altered(name: str, old: str, new: str) -> dict[str, Any]:
    """Return a recording with another text in the last answer that has it."""
    begin, found, end = (OWN / name).read_text("utf-8").rpartition(old)
    assert found
    changed: dict[str, Any] = json.loads(f"{begin}{new}{end}")
    return changed


VERDICTS: dict[str, tuple[Any, str]] = {
    **recorded_variants.VERDICTS,
    "no-json": ("{", "not JSON"),
    "a-list": ([], "not an object"),
    "empty": (recording("vertex"), "sequence is missing, empty or no list"),
    "no-date": ({**recording("vertex", call("x", {})), "date": None}, "date is missing"),
    "no-answer": (recording("ibm", {"operation": "x"}), "call 1: answer is missing"),
    "named-no-content": (
        recording("sagemaker", call("ListTrainingJobs", None)),
        "named-no-content: ListTrainingJobs: their answers were not recorded",
    ),
    "a-text-answer": (
        recording("vertex", call("ListCustomJobs", "<html>502", request=LIST)),
        "call 1: its answer is no object: '<html>502'",
    ),
    "a-list-answer": (
        recording("ibm", call("GetDeploymentJob", [1, 2])),
        "call 1: its answer is no object: '[1, 2]'",
    ),
    "no-operation": (recording("ibm", {"answer": {}}), "call 1: operation is missing"),
    "other-service": (recording("mars", call("x", {})), "mars"),
    "sagemaker-operation": (
        recording("sagemaker", call("MakeCoffee", {})),
        "MakeCoffee: the emulator has no such operation",
    ),
    "vertex-operation": (
        recording("vertex", call("MakeCoffee", {}, request={"path": "/v1/coffee"})),
        "MakeCoffee: the emulator has no such operation",
    ),
    "ibm-operation": (recording("ibm", call("x", {"entity": {"coffee": 1}})), "answer with coffee"),
    "ibm-unknown": (
        recording("ibm", call("MakeCoffee", {})),
        "MakeCoffee: the emulator has no such operation",
    ),
    "ibm-status": (
        recording("ibm", call("CreateDeployment", {}, status=500)),
        "CreateDeployment: status 500, not 202 or 400",
    ),
    "ibm-list": (
        recording("ibm", call("ListDeploymentJobs", {**PAGE, "milk": 1})),
        "ListDeploymentJobs .milk: missing",
    ),
    "ibm-order": (
        recording("ibm", ibm_job("completed"), ibm_job("queued")),
        "GetDeploymentJob: j is queued after completed",
    ),
    "ibm-state-renamed": (
        altered(PRINTED, '"state": "completed"', '"stage": "completed"'),
        "the emulator has no deployment job in state ''",
    ),
    "ibm-scoring-renamed": (
        altered(PRINTED, '"scoring":', '"work":'),
        "the emulator has no deployment job in state ''",
    ),
    "ibm-printed": (
        altered(PRINTED, '"queued"', '"exploding"'),
        "is printed as exploding, which is no known state",
    ),
    "ibm-training-renamed": (
        altered(TRAINED, '"state": "completed"', '"stage": "completed"'),
        "a training without a state",
    ),
    "ibm-calls": (
        recording(
            "ibm", call("ListDeployments", PAGE), call("DeleteDeploymentJob", {}, status=204)
        ),
        "",
    ),
    "sagemaker-field": (
        recording("sagemaker", call("ListTrainingJobs", {"TrainingJobSummaries": [], "Milk": 1})),
        "ListTrainingJobs 2026 .Milk: missing",
    ),
    "bare-description": (
        recording("sagemaker", call("DescribeTrainingJob", {"AlgorithmSpecification": {}})),
        "DescribeTrainingJob",
    ),
    "sagemaker-refusal": (refused("ValidationException", MISSING), ""),
    "sagemaker-code": (
        refused("Foo", MISSING),
        "DescribeTrainingJob 2026 .error.Code: 'Foo', not 'ValidationException'",
    ),
    "sagemaker-message": (
        refused("ValidationException", "bar"),
        f"DescribeTrainingJob 2026 .error.Message: 'bar', not '{MISSING}'",
    ),
    "sagemaker-two-jobs": (stopped_twice(), ""),
    "sagemaker-rows": (
        recording("sagemaker", rows("InProgress"), rows("Completed", StatusEquals="Completed")),
        "",
    ),
    "sagemaker-row-without-name": (
        recording("sagemaker", call("ListTrainingJobs", {"TrainingJobSummaries": [{"Milk": 1}]})),
        "ListTrainingJobs 2026 .TrainingJobSummaries[]: missing",
    ),
    "sagemaker-denied": (refused("AccessDeniedException", DENIED), ""),
    "sagemaker-throttled": (
        refused("ThrottlingException", "Slower"),
        "DescribeTrainingJob 2026 .error.Message: 'Slower', not 'Rate exceeded'",
    ),
    "sagemaker-ended": (
        recording(
            "sagemaker",
            call(
                "StopTrainingJob",
                {"error": {"Code": "ValidationException", "Message": IS_COMPLETED}},
                status=400,
                request={"TrainingJobName": "t"},
            ),
        ),
        "",
    ),
    "sagemaker-tags": (
        recording(
            "sagemaker",
            call("ListTags", {"Tags": []}, request={"ResourceArn": f"{ARN}endpoint/e"}),
        ),
        "ListTags Endpoint: the emulator has no such operation",
    ),
    "sagemaker-suggestions": (
        recording(
            "sagemaker",
            call("GetSearchSuggestions", {"Milk": []}, request={"Resource": "TrainingJob"}),
        ),
        "GetSearchSuggestions 2026 .Milk: missing",
    ),
    "sagemaker-deleted": (
        recording("sagemaker", call("DeleteHyperParameterTuningJob", {}, request={TUNING: "gone"})),
        "",
    ),
    "vertex-throttled": (
        recording("vertex", call("ListCustomJobs", EXHAUSTED, status=429, request=LIST)),
        "ListCustomJobs .error.message: 'Slower', not \"Quota exceeded for quota metric",
    ),
    "vertex-page": (
        recording(
            "vertex",
            call(
                "ListCustomJobs", {}, request={**LIST, "path": f"{LIST['path']}?pageToken=of-then"}
            ),
        ),
        "",
    ),
    "vertex-operation-before": (
        recording(
            "vertex",
            call(
                "GetOperation",
                {"name": "projects/1/locations/us-central1/operations/123456", "done": True},
                request={**LIST, "path": LIST["path"].replace("customJobs", "operations/123456")},
            ),
        ),
        "GetOperation .metadata: added",
    ),
    "ibm-throttled": (
        recording("ibm", call("ListDeployments", {"milk": 1}, status=429)),
        "ListDeployments .milk: missing",
    ),
    "named-ibm-space": (
        recording("ibm", call("GetSpace", {"metadata": {"id": "s"}})),
        "GetSpace: the emulator has the operation; its answers are not compared",
    ),
    "sagemaker-search": (
        recording("sagemaker", call("Search", {"Results": [], "Milk": 1})),
        "Search 2026 .Milk: missing",
    ),
    "sagemaker-masked": (
        json.loads(json.dumps(found({"Oats": 1})).replace("job completed", "job #")),
        "Search 2026 .Results[].TrainingJob.Oats: missing",
    ),
    "sagemaker-result": (found({"Milk": 1}), "Search 2026 .Results[].TrainingJob.Milk: missing"),
    "sagemaker-metrics": (measured("Complete"), ""),
    "sagemaker-series-status": (
        measured("Cold"),
        "BatchGetMetrics 2026 .MetricQueryResults[].Status: 'Cold', not 'ValidationError'",
    ),
    "sagemaker-transition": (
        altered(COMPLETED, "Uploading generated training model", "Uploading a cake"),
        "'Uploading a cake'} is not there, or not in this order",
    ),
    "sagemaker-reason": (
        altered(FAILED, "All training jobs failed.", "All cakes burnt."),
        ".FailureReason: 'All cakes burnt.",
    ),
    "sagemaker-billed": (
        altered(COMPLETED, BILLED, '"BillableTimeInSeconds": 999999'),
        ".BillableTimeInSeconds 999999 is not within .TrainingTimeInSeconds 125",
    ),
    "sagemaker-start": (
        altered(COMPLETED, STARTED, '"TrainingStartTime": "2026'),
        " is after .TrainingEndTime 2025-05-16 11:13:37.265000+00:00",
    ),
    "sagemaker-counters": (
        last_altered(FAILED, '"NonRetryableError": 2', '"NonRetryableError": 77'),
        "77 trials, which may be 2",
    ),
    "sagemaker-listed-states": (
        listed("Completed", "Failed"),
        "2 trials with {'Completed': 1, 'Stopped': 0, 'Failed': 1, 'InProgress': 0}",
    ),
    "sagemaker-listed-objectives": (
        listed("Failed", "Succeeded"),
        "2 trials with {'Succeeded': 1, 'Pending': 0, 'Failed': 1}",
    ),
    "sagemaker-trials": (listed("Failed", "Failed"), ""),
    "sagemaker-trial-name": (
        json.loads(json.dumps(listed("Failed", "Failed")).replace("-002-4567ef89", "-2")),
        "the trial 'c7n-test-2' has the form *-0, not *-000-00000000",
    ),
    "sagemaker-trial-twice": (
        json.loads(json.dumps(listed("Failed", "Failed")).replace("-002-4567ef89", TRIAL)),
        "c7n-test-001-0123abcd is listed twice",
    ),
    "sagemaker-trial-value": (
        json.loads(json.dumps(listed("Failed", "Failed")).replace(f'{BATCH}"2"', f'{BATCH}"7777"')),
        "has mini_batch_size '7777', not within [{",
    ),
    "vertex-trial-twice": (
        trials_of(lambda trials: trials.append(trials[0])),
        "trial 1 is listed twice",
    ),
    "vertex-parameter-twice": (
        trials_of(lambda trials: trials[0]["parameters"].append(trials[0]["parameters"][0])),
        "parameterId lr is listed twice",
    ),
    "vertex-trial-twice-stateless": (trials_of(stateless), "trial 1 is listed twice"),
    "vertex-trial-value": (
        trials_of(lambda trials: trials[0]["parameters"][0].update(value=7.5)),
        "trial 1 has lr 7.5, not within [{",
    ),
    "azure-trial-value": (
        swept_values('{"conv_size": 777, "dropout_rate": 0.3, "lr": 0.1}'),
        "test_111122223333_0 has conv_size 777, not within",
    ),
    "sagemaker-objective": (
        without_objective(),
        "MetricDefinitions[]: added: 'ObjectiveMetric'",
    ),
    "sagemaker-regex": (
        last_altered(FAILED, '"Regex": "', '"Regex": "cake '),
        "MetricDefinitions[].Regex: 'cake ",
    ),
    "named-volume": (
        altered(COMPLETED, '"VolumeSizeInGB": 30', '"VolumeSizeInGB": 77'),
        "named-volume: DescribeTrainingJob .ProfilerConfig.ProfilingIntervalInMilliseconds, Descr",
    ),
    "sagemaker-refused-code": (
        altered(CALLS, '"Code": "ResourceInUse"', '"Code": "Foo"'),
        ".Code: 'ResourceInUse', not 'Foo'",
    ),
    "sagemaker-refused-status": (
        altered(CALLS, '"status": 400', '"status": 200'),
        ".status: 400, not 200",
    ),
    "sagemaker-reasons-status": (
        altered(REASONS, '"HyperParameterTuningJobStatus"', '"JobStatus"'),
        "DescribeHyperParameterTuningJob .JobStatus: missing",
    ),
    "sagemaker-reasons-state": (
        altered(REASONS, '"Failed"', '"Completed"'),
        ".HyperParameterTuningJobStatus: 'Completed', not 'Failed'",
    ),
    "sagemaker-reasons-renamed": (
        altered(REASONS, '"FailureReason"', '"Reason"'),
        "DescribeHyperParameterTuningJob .Reason: missing",
    ),
    "sagemaker-lines-renamed": (
        altered(LINES, '"transitions"', '"steps"'),
        "no test compares such an answer",
    ),
    "named-sagemaker-tags": (
        altered(TRANSFORMED, '"status": 200', '"status": 207'),
        "DescribeTransformJob, ListTags TransformJob: a neighbouring kind of job",
    ),
    "sagemaker-refused-text": (
        altered(CALLS, "Choose a different name.", "Choose a cake."),
        "already exists. Choose a cake.",
    ),
    "sagemaker-refused-unknown": (
        altered(CALLS, "Requested resource not found.", "No cake."),
        "no request is known here that is refused so: {'Code': 'ValidationException', 'Message': ",
    ),
    "vertex-refused-text": (
        altered(REFUSED, "should be specified or none.", "should be cakes."),
        "no request is refused so here: Both `accelerator_type` and `accelerator_count` should",
    ),
    "vertex-refused-status": (
        altered(REFUSED, "RESOURCE_EXHAUSTED", "CAKE"),
        ".status: 'RESOURCE_EXHAUSTED', not 'CAKE'",
    ),
    "vertex-count": (
        last_altered(TUNED, '"maxTrialCount": 1', '"maxTrialCount": 7777'),
        "GetHyperparameterTuningJob .maxTrialCount: 7777, and 1 in its request",
    ),
    "vertex-message": (
        altered(CANCELLED, "The CustomJob does not exist.", "No cake."),
        "CancelCustomJob .error.message: 'No cake.', not 'The CustomJob does not exist.'",
    ),
    "vertex-bare-operation": (
        recording("vertex", call("BrewCoffee", {})),
        "BrewCoffee: the emulator has no such operation",
    ),
    "vertex-no-paths": (without_paths({}), ""),
    "vertex-without-paths": (without_paths({"milk": 1}), "CancelCustomJob .milk: missing"),
    "named-vertex-cancel": (
        recording("vertex", call("CancelCustomJob", {})),
        "CancelCustomJob: neither its path nor the name of its job was recorded",
    ),
    "vertex-two-jobs": (interleaved(), ""),
    "vertex-unmeasured": (
        trials_of(unmeasured),
        "GetHyperparameterTuningJob .trials[].milk: missing",
    ),
    "vertex-code": (
        altered(CANCELLED, '"code": 404', '"code": 405'),
        "vertex-code: call 8: CancelCustomJob .error.code: 405, not 404",
    ),
    "sagemaker-middle": (middle(STOPPED, "sagemaker"), ""),
    "vertex-middle": (middle(CANCELLED, "vertex"), ""),
    "vertex-trial": (tuning(), "GetHyperparameterTuningJob .trials[].milk: missing"),
    "vertex-trials-are-no-list": (
        recording("vertex", call("CreateHyperparameterTuningJob", {}), call("x", {"trials": 5})),
        "its answers are malformed",
    ),
    "azure": (recording("azure", call("x", {})), "azure: malformed: KeyError('url')"),
    "azure-middle": (calls_of(SWEEP, -1), ""),
    "azure-milk": (swept({"milk": 1}), "GET jobs/{id} Sweep .properties.milk: missing"),
    "azure-word": (
        last_altered(SWEEP, '"goal": "', '"goal": "Oats'),
        ".properties.objective.goal: 'Oats",
    ),
    "azure-type": (
        last_altered(SWEEP, '"Microsoft.MachineLearningServices/workspaces/jobs"', '"oats/jobs"'),
        ".type: 'oats/jobs', not 'Microsoft.MachineLearningServices/workspaces/jobs'",
    ),
    "azure-kind": (
        last_altered(SWEEP, '"jobType": "Sweep"', '"jobType": "Spark"'),
        "GET jobs/{id} .properties.jobType: 'Spark', and 'Sweep' in",
    ),
    "azure-tag": (
        swept_values('{"foo": 1}'),
        ".foo: missing",
    ),
    "azure-gets-cancelled": (got("Queued", "CancelRequested", "Canceled"), ""),
    "azure-gets-failed": (got("Preparing", "Running", "Finalizing", "Failed"), ""),
    "azure-gets-order": (
        got("Running", "Queued"),
        "azure-gets-order: call 2: GET jobs/{id} Command .properties.status: 'Queued', not 'Run",
    ),
    "azure-gets-type": (
        got("Queued", isArchived="false"),
        "GET jobs/{id} Command .properties.isArchived: str, not bool",
    ),
    "azure-gets-kind": (
        json.loads(json.dumps(got("Queued")).replace('"jobType": "Command"', '"milk": 1')),
        "GET jobs/{id} .properties.jobType: added",
    ),
    "azure-gets-name": (
        json.loads(json.dumps(got("Queued")).replace('"name": "test', '"name": "oats')),
        "GET jobs/{id} Command .name: 'oats_92541083814', and the call is about 'test_92541083814'",
    ),
    "azure-order": (calls_of(SWEEP, 3, 2), "PUT jobs/{id} Sweep: status 200, not 201"),
    "azure-time": (calls_of(SWEEP, 2, 1), "call 2 is earlier than a call before it"),
    "named-azure-cancel": (
        calls_of(LABELS, -3),
        "named-azure-cancel: POST jobs/{id}/cancel: the recording describes nothing of this name",
    ),
    "named-azure-local": (
        calls_of("azure/command_job_local.json", -2),
        "GET jobs/{id} Command: a kind of compute that the emulator does not have",
    ),
}
"""Files, each with what the replay says of it; nothing if it finds no difference.

Those whose names begin with ``named-`` pass, and what was not compared is named.
"""


@pytest.mark.slow
def test_a_file_of_any_form_gets_a_clear_verdict(tmp_path: Path) -> None:
    for name, (content, _) in VERDICTS.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / f"{name}.json").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    files = ["tests/test_recordings.py", *REPLAYED.values()]
    ended = subprocess.run(
        [*command, *files],
        env={**os.environ, "CLOUDTUNE_RECORDINGS": str(tmp_path), "COLUMNS": "400"},
        cwd=OWN.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    out = ended.stdout
    assert ended.returncode == 1, out + ended.stderr
    for name, (_, verdict) in VERDICTS.items():
        fails = bool(verdict) and not name.startswith("named-")
        assert (f"[{name}" in out) == fails, f"{name}: {out}"
        assert verdict in out, f"{name}: {out}"
    assert "ERROR" not in out
