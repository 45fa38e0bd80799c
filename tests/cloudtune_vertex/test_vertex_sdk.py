"""The emulator with unmodified clients that are not part of cloudtune.

Google's high-level `HyperparameterTuningJob` class with `CustomJob.from_local_script`, and a script
that reports through the real `cloudml-hypertune`. Each has its own environment: the Python in
``CLOUDTUNE_VERTEX_SDK_PYTHON`` or ``CLOUDTUNE_HYPERTUNE_PYTHON``, or one that is created once below
pytest's cache, which needs a package index. The calls of the SDK are in ``sdk/client.py``.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_server import address_of
from tests.sdk_clients import run_client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SDK = Path(__file__).parent / "sdk"
PARENT = "projects/team/locations/us-central1"
Use = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator's folder."""
    return tmp_path_factory.mktemp("emulator")


@pytest.fixture(scope="module")
def emulator(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_vertex.emulator", folder)


@pytest.fixture(scope="module")
def use(
    python_with: Callable[[str, str], str],
    emulator: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Use:
    """Runs a function of the client once, and sees to it that it reaches the emulator alone."""
    sdk = python_with("vertex-sdk", "CLOUDTUNE_VERTEX_SDK_PYTHON")

    @functools.cache
    def run(name: str) -> dict[str, Any]:
        home = tmp_path_factory.mktemp(name)
        command = [sdk, str(SDK / "client.py"), name]
        env = {"TEST_URL": emulator["url"], "TEST_KEY": emulator["key"]}
        result: dict[str, Any] = run_client(command, home, emulator, name, env)[0]
        return result

    return run


def test_the_client_reaches_nothing_else(use: Use) -> None:
    assert use("guarded") == {"refused": True}


def test_a_tuning_job_is_created_awaited_and_read(use: Use) -> None:
    told = use("tuned")
    assert told["state"] == "JOB_STATE_SUCCEEDED"
    assert told["error"] == 0
    assert sorted(trial["id"] for trial in told["trials"]) == ["1", "2", "3", "4"]
    for trial in told["trials"]:
        assert trial["state"] == "SUCCEEDED"
        assert trial["job"] == "JOB_STATE_SUCCEEDED"
        tuned = trial["parameters"]
        assert 0.001 <= tuned["rate"] <= 0.1
        assert tuned["layers"] in range(1, 7)
        assert tuned["batch"] in (16, 32, 64)
        assert ("momentum" in tuned) == (tuned["optimizer"] == "sgd")
        score = 2 - tuned["layers"] / 100 - tuned["rate"] - tuned["batch"] / 1000
        assert trial["score"] == [pytest.approx(score - 0.5)]  # the SDK asks for the best
    assert told["listed"] == [told["name"]]
    assert told["again"]["trials"] == told["trials"]


def test_a_grid_is_searched_completely(use: Use) -> None:
    told = use("grid")
    assert told["state"] == "JOB_STATE_SUCCEEDED"
    assert sorted(trial["parameters"]["layers"] for trial in told["trials"]) == [1, 2]


def test_a_failed_job_raises_an_error(use: Use) -> None:
    told = use("failed")
    assert told["state"] == "JOB_STATE_FAILED"
    assert told["error"] == 3
    assert "this cannot go well" in told["raised"]
    assert [trial["job"] for trial in told["trials"]] == ["JOB_STATE_FAILED"]


def test_a_job_is_cancelled(use: Use) -> None:
    told = use("cancelled")
    assert told["state"] == "JOB_STATE_CANCELLED"
    assert told["error"] == 1
    assert all(trial["score"] == [] for trial in told["trials"])


def test_a_job_is_deleted(use: Use) -> None:
    assert use("deleted") == {"listed": []}


def test_an_unsupported_study_is_refused(use: Use) -> None:
    told = use("refused")
    assert told["kind"] in {"BadRequest", "InvalidArgument"}
    assert "GRID_SEARCH does not support DOUBLE" in told["raised"]


def test_training_jobs_run_and_write_to_the_bucket(use: Use) -> None:
    assert use("trained") == {
        "states": ["PIPELINE_STATE_SUCCEEDED", "JOB_STATE_SUCCEEDED"],
        "model": None,
        "served": "gs://staging-bucket/served/model",
        "listed": ["PIPELINE_STATE_SUCCEEDED"] * 2,
        "saved": ["trained", "trained"],
    }


def test_an_experiment_keeps_parameters_and_metrics(use: Use) -> None:
    assert use("experiment") == {"rows": [{"param.rate": 0.1, "metric.loss": 1.5}]}


HYPERTUNE = """
import argparse, hypertune
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=float)
given = parser.parse_args()
reporter = hypertune.HyperTune()
for step in range(1, 121):
    reporter.report_hyperparameter_tuning_metric("val/loss", given.width / step, global_step=step)
"""


def test_a_script_reports_through_the_real_cloudml_hypertune(
    python_with: Callable[[str, str], str], emulator: Mapping[str, Any]
) -> None:
    python = python_with("hypertune", "CLOUDTUNE_HYPERTUNE_PYTHON")
    types: Any = import_module("google.cloud.aiplatform_v1.types")
    service: Any = import_module("google.cloud.aiplatform_v1.services.job_service")
    credentials: Any = import_module("google.oauth2.credentials")
    spec = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "containerSpec": {
            "imageUri": "europe-docker.pkg.dev/team/own/image:1",
            "command": [python, "-c", HYPERTUNE],
        },
    }
    width = {"parameterId": "width", "doubleValueSpec": {"minValue": 120, "maxValue": 240}}
    job = {
        "displayName": "hypertune",
        "maxTrialCount": 2,
        "parallelTrialCount": 2,
        "studySpec": {
            "metrics": [{"metricId": "val/loss", "goal": "MINIMIZE"}],
            "parameters": [width],
        },
        "trialJobSpec": {"workerPoolSpecs": [spec]},
    }
    with service.JobServiceClient(
        transport="rest",
        credentials=credentials.Credentials(token=emulator["key"]),
        client_options={"api_endpoint": emulator["url"]},
    ) as client:
        message = types.HyperparameterTuningJob.from_json(json.dumps(job))
        made = client.create_hyperparameter_tuning_job(
            parent=PARENT, hyperparameter_tuning_job=message
        )
        due = time.monotonic() + 100
        while not made.end_time:
            assert time.monotonic() < due, made
            time.sleep(0.1)
            made = client.get_hyperparameter_tuning_job(name=made.name)
    assert made.state.name == "JOB_STATE_SUCCEEDED"
    for trial in made.trials:
        (value,) = [each.value for each in trial.parameters]
        (metric,) = trial.final_measurement.metrics
        assert metric.metric_id == "val/loss"
        assert metric.value == pytest.approx(value / 120)
        assert trial.final_measurement.step_count == 120
