"""Files that contain a job, or describe one in another way: the message says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.conversion import importer
from cloudtune.errors import StudyError, UsageError

_CONFIG = {"Strategy": "Random", "ResourceLimits": {"MaxParallelTrainingJobs": 2}}
_JOB = {"HyperParameterTuningJobConfig": _CONFIG}
_VERTEX: dict[str, Any] = {"studySpec": {"parameters": []}, "maxTrialCount": 3}


def read(data: Any, tmp_path: Path, **options: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(json.dumps(data, indent=1), "utf-8")
    importer.read(file, **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"States": {"Tune": {"Type": "Task", "Parameters": _JOB}}},
            "has a SageMaker tuning job at States.Tune.Parameters: save this part alone",
        ),
        ({"jobs": [{"x": 1}, _JOB]}, "has a SageMaker tuning job at jobs.1"),
        ({"trainingTaskInputs": _VERTEX}, "has a Vertex AI tuning job at trainingTaskInputs"),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": _JOB}}}}}}}, "unknown format"),
    ],
)
def test_the_part_with_a_job_is_named(data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        read(data, tmp_path)


@pytest.mark.parametrize(
    "kind",
    [
        {"apiVersion": "sagemaker.services.k8s.aws/v1alpha1", "kind": "HyperParameterTuningJob"},
        {"apiVersion": "sagemaker.aws.amazon.com/v1", "kind": "HyperparameterTuningJob"},
    ],
)
def test_a_kubernetes_object_of_sagemaker(kind: dict[str, str], tmp_path: Path) -> None:
    spec = {"hyperParameterTuningJobConfig": {"strategy": "Bayesian"}}
    with pytest.raises(UsageError, match="Kubernetes object: import what `aws sagemaker describe"):
        read({**kind, "metadata": {"name": "x"}, "spec": spec}, tmp_path)


def test_an_answer_of_wml_accelerator_has_no_search_space(tmp_path: Path) -> None:
    answer: dict[str, Any] = {
        "hpoName": "Admin-hpo-1",
        "state": "FINISHED",
        "experiments": [],
        "best": {},
    }
    with pytest.raises(UsageError, match="import the data that was posted"):
        read(answer, tmp_path)


def test_another_spelling_of_a_key_is_named(tmp_path: Path) -> None:
    objective = {"type": "Minimize", "MetricName": "loss"}
    config = {**_CONFIG, "HyperParameterTuningJobObjective": objective}
    with pytest.raises(StudyError) as caught:
        read({"HyperParameterTuningJobConfig": config}, tmp_path)
    (problem,) = caught.value.problems
    assert "must be Maximize or Minimize, and is absent" in problem.message
    assert problem.hint == "the file has type"
    assert problem.line == 7


def test_a_problem_inside_a_parameter_has_the_line_of_the_parameter(tmp_path: Path) -> None:
    ranges = [{"Name": f"p{n}", "MinValue": "9", "MaxValue": f"{10 - 4 * n}"} for n in range(2)]
    config = {**_CONFIG, "ParameterRanges": {"IntegerParameterRanges": ranges}}
    with pytest.raises(StudyError) as caught:
        read({"HyperParameterTuningJobConfig": config}, tmp_path)
    (problem,) = caught.value.problems
    where = "HyperParameterTuningJobConfig.ParameterRanges.IntegerParameterRanges.1 (min)"
    assert (problem.path, problem.line) == (where, 14)
