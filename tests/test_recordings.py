"""All recordings: their form, and that a file of any form gets a clear verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import recorded

REPLAYED = {
    "sagemaker": "tests/cloudtune_sagemaker/test_recordings.py",
    "vertex": "tests/cloudtune_vertex/test_recordings.py",
    "ibm": "tests/cloudtune_watson/emulator/test_recordings.py",
}
LATER = {"azure": "the recordings of Azure are for a later provider"}


def test_there_are_recordings() -> None:
    assert recorded.all_files(), f"{recorded.FOLDER} has no recordings"


@pytest.mark.parametrize("file", recorded.all_files(), ids=lambda file: file.stem)
def test_each_file_is_a_recording_of_a_service_that_is_replayed(file: Path) -> None:
    found = recorded.problems(file)
    assert not found, f"{file.name}: {'; '.join(found)}"
    assert recorded.read(file)["service"] in {*REPLAYED, *LATER}


def call(operation: str, answer: Any, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "request": {}, "status": 200, "answer": answer, **more}


def recording(service: str, *sequence: Any) -> dict[str, Any]:
    return {"service": service, "date": "2026-01-01", "sequence": list(sequence)}


OWN = recorded.OWN
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


VERDICTS: dict[str, tuple[Any, str]] = {
    "no-json": ("{", "not JSON"),
    "a-list": ([], "not an object"),
    "empty": (recording("vertex"), "sequence is missing, empty or no list"),
    "no-date": ({**recording("vertex", call("x", {})), "date": None}, "date is missing"),
    "no-answer": (recording("ibm", {"operation": "x"}), "call 1: answer is missing"),
    "no-content": (recording("sagemaker", call("ListTrainingJobs", None)), ""),
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
    "sagemaker-field": (
        recording("sagemaker", call("ListTrainingJobs", {"TrainingJobSummaries": [], "Milk": 1})),
        "ListTrainingJobs 2026 .Milk: missing",
    ),
    "bare-description": (
        recording("sagemaker", call("DescribeTrainingJob", {"AlgorithmSpecification": {}})),
        "DescribeTrainingJob",
    ),
    "sagemaker-middle": (middle(STOPPED, "sagemaker"), ""),
    "vertex-middle": (middle(CANCELLED, "vertex"), ""),
    "vertex-trial": (tuning(), "GetHyperparameterTuningJob .trials[].milk: missing"),
    "vertex-trials-are-no-list": (
        recording("vertex", call("CreateHyperparameterTuningJob", {}), call("x", {"trials": 5})),
        "its answers are malformed",
    ),
    "azure": (recording("azure", call("x", {})), ""),
}
"""Files, each with what the replay says of it; nothing if it finds no difference."""


@pytest.mark.slow
def test_a_file_of_any_form_gets_a_clear_verdict(tmp_path: Path) -> None:
    for name, (content, _) in VERDICTS.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / f"{name}.json").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    files = [__file__, *REPLAYED.values()]
    ended = subprocess.run(
        [*command, "-k", "not any_form", *files],
        env={**os.environ, "CLOUDTUNE_RECORDINGS": str(tmp_path), "COLUMNS": "400"},
        cwd=OWN.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    out = ended.stdout
    assert ended.returncode == 1, out + ended.stderr
    for name, (_, verdict) in VERDICTS.items():
        assert (f"[{name}" in out) == bool(verdict), f"{name}: {out}"
        assert verdict in out, f"{name}: {out}"
    assert "ERROR" not in out
