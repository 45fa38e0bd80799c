"""What the calls of a verification answer, where an emulated one does not always show it."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.provider import registry
from cloudtune.provider.call_record import Call

TUNING: dict[str, Any] = {
    "name": "projects/1/locations/l/hyperparameterTuningJobs/7",
    "displayName": "study",
    "state": "JOB_STATE_SUCCEEDED",
    "labels": {"team": "a"},
    "studySpec": {
        "parameters": [{"parameterId": "n", "integerValueSpec": {}}, {"parameterId": "x"}],
        "medianAutomatedStoppingSpec": {},
    },
    "trials": [{"id": "1", "state": "SUCCEEDED", "customJob": "customJobs/9"}],
}
CUSTOM: dict[str, Any] = {
    "name": "customJobs/9",
    "displayName": "study-trial-1",
    "state": "JOB_STATE_CANCELLED",
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "e2-standard-4"},
                "diskSpec": {"bootDiskType": "pd-standard", "bootDiskSizeGb": 50},
                "containerSpec": {"args": ["--n=4.0", "--x=0.5", "--other", "n"]},
            }
        ]
    },
}
VERTEX = [
    Call("GetHyperparameterTuningJob", {}, 200, TUNING),
    Call("GetCustomJob", {}, 200, CUSTOM),
]


def training(state: str, metrics: list[Any]) -> dict[str, Any]:
    status = {"state": state, "metrics": metrics}
    place = {"location": {"training": "space/results/t1"}}
    entity = {"name": "one", "status": status, "results_reference": place}
    return {"metadata": {"id": "t1"}, "entity": entity}


WATSON = [
    Call("CreateTraining", {}, 201, training("pending", []), 100.0),
    Call("ListTrainings", {}, 200, {"resources": []}, 101.0),
    Call("ListTrainings", {}, 200, {"resources": [training("running", [])]}, 103.0),
    Call("GetTraining", {}, 200, training("running", [{"iteration": 1}]), 104.0),
    Call("GetTraining", {}, 200, training("completed", []), 105.0),
]
EARLY = {
    "HyperParameterTuningJobArn": "arn",
    "HyperParameterTuningJobStatus": "Completed",
    "HyperParameterTuningJobConfig": {"TrainingJobEarlyStoppingType": "Auto"},
    "TrainingJobStatusCounters": {"Stopped": 1},
}
TRIAL = {"TrainingJobName": "t", "TuningJobArn": "arn", "TrainingJobStatus": "Stopped"}
SAGEMAKER = [
    Call("DescribeHyperParameterTuningJob", {}, 200, EARLY),
    Call("Search", {}, 200, {"Results": [{"TrainingJob": TRIAL}]}),
]


@pytest.mark.parametrize(
    ("provider", "calls", "question", "answer"),
    [
        ("vertex", VERTEX, "Whether a tuning job applies", "the median rule stopped 1 trials"),
        ("vertex", VERTEX, "The format of numbers", "1 of 1 integers have a decimal point"),
        ("vertex", VERTEX, "Whether flags are", "2 of 2 are --name=value"),
        ("vertex", VERTEX, "Whether all machines", "e2-standard-4: pd-standard, 50 GB"),
        ("vertex", VERTEX, "The name of a trial's", "named NAME-trial-ID; 0 of 1 have the labels"),
        (
            "vertex",
            VERTEX,
            "The state of trials",
            "trials stopped early: SUCCEEDED with a job JOB_STATE_CANCELLED (1)",
        ),
        ("watson", WATSON, "Where the results of", "1 of 1 are in a subfolder with their id"),
        ("watson", WATSON, "Whether a training's status", "1 of 1 had metrics while they ran"),
        ("watson", WATSON, "How soon a new training", "1 of 1 were in the list, after 3 s at most"),
        ("sagemaker", SAGEMAKER, "Whether an early-stopped", "1 ended as Stopped, 0 with a metric"),
    ],
)
def test_calls_answer_a_sentence(
    provider: str, calls: list[Call], question: str, answer: str
) -> None:
    (found,) = (
        each for each in registry.get(provider).verify(calls) if each.question.startswith(question)
    )
    assert found.answer == answer


@pytest.mark.parametrize("provider", ["sagemaker", "vertex", "watson"])
def test_no_calls_answer_nothing(provider: str) -> None:
    refused = [
        Call("GetCustomJob", {}, 404, {"error": {}}),
        Call("Search", {}, 400, {"error": {}}),
        Call("ListTrainings", {}, 500, {}),
    ]
    assert {each.answer for each in registry.get(provider).verify(refused)} == {""}
