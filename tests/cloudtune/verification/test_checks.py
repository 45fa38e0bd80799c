"""What the calls of a verification answer, where an emulated one does not always show it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider import registry
from cloudtune.provider.call_record import READ_LOG, Call
from tests.providers import VERIFIABLE

STOPPED = {"state": "JOB_STATE_CANCELLED", "error": {"message": "CANCELED"}, "endTime": "t"}
TUNING: dict[str, Any] = {
    "name": "projects/1/locations/l/hyperparameterTuningJobs/7",
    "displayName": "verify-early-a",
    "state": "JOB_STATE_SUCCEEDED",
    "labels": {"team": "a"},
    "studySpec": {
        "parameters": [{"parameterId": "n", "integerValueSpec": {}}, {"parameterId": "x"}],
        "medianAutomatedStoppingSpec": {},
    },
    "trials": [
        {
            "id": "1",
            "state": "SUCCEEDED",
            "customJob": "customJobs/9",
            "finalMeasurement": {"stepCount": "3"},
        }
    ],
}
CUSTOM: dict[str, Any] = {
    **STOPPED,
    "name": "customJobs/9",
    "displayName": "verify-early-a-trial-1",
    "jobSpec": {
        "workerPoolSpecs": [{"containerSpec": {"args": ["--n=4.0", "--x=0.5", "--other", "n"]}}]
    },
}


def tuning_job(step: str, state: str, trial: str, custom: dict[str, Any]) -> list[Call]:
    """Return the last answers about a tuning job with one trial."""
    name = f"customJobs/{step}"
    answer = {
        "name": f"hyperparameterTuningJobs/{step}",
        "displayName": f"verify-{step}-a",
        "state": f"JOB_STATE_{state}",
        "trials": [{"id": "1", "state": trial, "customJob": name}],
    }
    ran = [{**each, "state": "JOB_STATE_RUNNING"} for each in (answer, {"name": name})]
    return [
        Call("GetHyperparameterTuningJob", {}, 200, ran[0]),
        Call("GetCustomJob", {}, 200, ran[1]),
        Call("GetHyperparameterTuningJob", {}, 200, answer),
        Call("GetCustomJob", {}, 200, {"name": name, **custom}),
    ]


NEVER_RAN = tuning_job("stop", "CANCELLED", "INFEASIBLE", STOPPED)[2:]
WAITING = {"name": "customJobs/9", "state": "JOB_STATE_PENDING", "startTime": "10:00:00.15Z"}
VERTEX = [
    Call("GetHyperparameterTuningJob", {}, 200, TUNING),
    Call("GetCustomJob", {}, 200, WAITING),
    Call("GetCustomJob", {}, 200, {**WAITING, "state": "JOB_STATE_RUNNING", "startTime": "10:02"}),
    Call("GetCustomJob", {}, 200, CUSTOM),
    *tuning_job("fail", "FAILED", "INFEASIBLE", {"state": "JOB_STATE_FAILED", "endTime": "t"}),
    *tuning_job(
        "timeout", "FAILED", "INFEASIBLE", {**STOPPED, "error": {"message": "ran too long"}}
    ),
    *tuning_job("stop", "CANCELLED", "STOPPING", STOPPED),
    Call(READ_LOG, {}, 200, {"has_output": False}),
]


def training(state: str, metrics: list[Any]) -> dict[str, Any]:
    status = {"state": state, "metrics": metrics}
    place = {"location": {"training": "space/results/t1"}}
    entity = {"name": "one", "status": status, "results_reference": place}
    return {"metadata": {"id": "t1"}, "entity": entity}


METRICS = [{"iteration": 1}]
WATSON = [
    Call("CreateTraining", {}, 201, training("pending", []), 100.0),
    Call("ListTrainings", {}, 200, {"resources": []}, 101.0),
    Call("ListTrainings", {}, 200, {"resources": [training("running", [])]}, 103.0),
    Call("GetTraining", {}, 200, training("running", METRICS), 104.0),
    Call("GetTraining", {}, 200, training("completed", METRICS), 105.0),
]


def deployment_job(name: str, state: str, *, has_files: bool) -> dict[str, Any]:
    output = {"location": {"href": "/v2/assets/1"} if has_files else {}}
    scoring = {"status": {"state": state}, "output_data_reference": output}
    return {"metadata": {"id": name, "name": name}, "entity": {"scoring": scoring}}


JOBS = [
    Call("CreateDeploymentJob", {}, 202, deployment_job("a", "queued", has_files=False)),
    Call("GetDeploymentJob", {}, 200, deployment_job("a", "running", has_files=True)),
    Call("GetDeploymentJob", {}, 200, deployment_job("b", "running", has_files=False)),
    Call("GetDeploymentJob", {}, 200, deployment_job("a", "canceled", has_files=True)),
    Call("GetDeploymentJob", {}, 200, deployment_job("b", "canceled", has_files=False)),
    Call(READ_LOG, {}, 200, {"has_output": True}),
]
JOBS_NEVER_RAN = [
    Call("CreateDeploymentJob", {}, 202, deployment_job("a", "queued", has_files=False)),
    Call("GetDeploymentJob", {}, 200, deployment_job("a", "queued", has_files=False)),
    Call("GetDeploymentJob", {}, 200, deployment_job("a", "canceled", has_files=False)),
]
EARLY = {
    "HyperParameterTuningJobArn": "arn",
    "HyperParameterTuningJobStatus": "Completed",
    "HyperParameterTuningJobConfig": {"TrainingJobEarlyStoppingType": "Auto"},
    "TrainingJobStatusCounters": {"Stopped": 1, "InProgress": 1},
}
CUT: dict[str, Any] = {
    **EARLY,
    "HyperParameterTuningJobArn": "cut",
    "HyperParameterTuningJobStatus": "Stopped",
    "TrainingJobStatusCounters": {"Stopped": 1},
}
OVER = [
    {"Status": status, "StatusMessage": f"the message of {status}"}
    for status in ("Training", "MaxRuntimeExceeded")
]


def searched(*names: str) -> dict[str, Any]:
    trial = {"TrainingJobStatus": "Stopped", "SecondaryStatusTransitions": OVER}
    return {
        "Results": [
            {"TrainingJob": {**trial, "TrainingJobName": name, "TuningJobArn": name.split("-")[0]}}
            for name in names
        ]
    }


SAGEMAKER = [
    Call("Search", {}, 200, searched(), 100.0),
    Call("DescribeHyperParameterTuningJob", {}, 200, EARLY, 101.0),
    Call("DescribeHyperParameterTuningJob", {}, 200, CUT, 101.0),
    Call("Search", {}, 200, searched("arn-1"), 102.0),
    Call("Search", {}, 200, searched("arn-1", "cut-1"), 108.0),
]
ENDS = (
    "at its timeout: JOB_STATE_CANCELLED (ran too long); cancelled: JOB_STATE_CANCELLED (CANCELED)"
)


@pytest.mark.parametrize(
    ("provider", "calls", "question", "answer"),
    [
        ("vertex", VERTEX, "Whether a tuning job applies", "the median rule stopped 1 trials"),
        ("vertex", VERTEX, "The format of numbers", "1 of 1 integers have a decimal point"),
        ("vertex", VERTEX, "Whether flags are", "2 of 2 are --name=value"),
        ("vertex", VERTEX, "Whether `startTime`", "1 of 1 jobs that had one before got another"),
        ("vertex", VERTEX, "How a job ends", ENDS),
        ("vertex", VERTEX, "The state of trials", "STOPPING (1)"),
        (
            "vertex",
            VERTEX[:4],
            "The name of a trial's",
            "named NAME-trial-ID; 0 of 1 have the labels",
        ),
        (
            "vertex",
            VERTEX,
            "Whether a trial that was stopped early",
            "SUCCEEDED with a job JOB_STATE_CANCELLED (1), 1 with a final measurement, of step 3",
        ),
        (
            "vertex",
            VERTEX,
            "Whether a trial whose script fails",
            "it was INFEASIBLE (1); its job, which allows no more failures, JOB_STATE_FAILED (1)",
        ),
        ("vertex", VERTEX, "Whether Cloud Logging", "0 of 1 logs had what their scripts printed"),
        ("watson", WATSON, "Where the results of", "1 of 1 are in a subfolder with their id"),
        (
            "watson",
            WATSON,
            "Whether a training's status",
            "1 of 1 had metrics while they ran, 1 in the end",
        ),
        ("watson", WATSON, "How soon a new training", "1 of 1 were in the list, after 3 s at most"),
        (
            "watson",
            JOBS,
            "Whether files are kept",
            "1 of 2 cancelled jobs have files; 1 of 2 had files while they ran",
        ),
        ("watson", JOBS_NEVER_RAN, "Whether files are kept", ""),
        ("vertex", NEVER_RAN, "How a job ends", ""),
        ("vertex", NEVER_RAN, "The state of trials", ""),
        ("watson", JOBS, "Whether the log of a run", "1 of 1 logs had what their scripts printed"),
        ("sagemaker", SAGEMAKER, "Whether an early-stopped", "1 ended as Stopped, 0 with a metric"),
        (
            "sagemaker",
            SAGEMAKER,
            "Whether `Search` by",
            "2 of 3 trials, each at most 7 s after its job counted it",
        ),
        ("sagemaker", SAGEMAKER, "The message of the", "the message of MaxRuntimeExceeded"),
    ],
)
def test_calls_answer_a_sentence(
    provider: str, calls: list[Call], question: str, answer: str
) -> None:
    (found,) = (
        each for each in registry.get(provider).verify(calls) if each.question.startswith(question)
    )
    assert found.answer == answer


@pytest.mark.parametrize(
    ("provider", "call"),
    [
        ("sagemaker", Call("DescribeHyperParameterTuningJob", {}, 200, {"another": "form"})),
        ("vertex", Call("GetHyperparameterTuningJob", {}, 200, {"name": "7", "trials": [None]})),
        ("vertex", Call("GetCustomJob", {}, 200, ["a list"])),
        ("watson", Call(READ_LOG, {}, 200, ["a list"])),
    ],
)
def test_an_unknown_form_of_an_answer_ends_no_verification(provider: str, call: Call) -> None:
    found = [*registry.get(provider).verify([call])]
    assert any("another form than cloudtune knows" in each.missing for each in found)
    assert [each.question for each in found] == [
        each.question for each in registry.get(provider).verify(())
    ]


@pytest.mark.parametrize("provider", VERIFIABLE)
def test_no_calls_answer_nothing(provider: str) -> None:
    refused = [
        Call("GetCustomJob", {}, 404, {"error": {}}),
        Call("Search", {}, 400, {"error": {}}),
        Call("ListTrainings", {}, 500, {}),
    ]
    assert {each.answer for each in registry.get(provider).verify(refused)} == {""}
