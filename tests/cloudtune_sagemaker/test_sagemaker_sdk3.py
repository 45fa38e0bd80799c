"""The emulator under version 3 of the `sagemaker` SDK: `ModelTrainer` and `HyperparameterTuner`.

Needs that version in an environment of its own: the Python that ``CLOUDTUNE_SAGEMAKER_SDK3_PYTHON``
names, or one that is created once below pytest's cache, which needs a package index. Version 2,
whose support ends in July 2027, has `test_sagemaker_sdk.py`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning import planner
from cloudtune.provider.models import Emulator, JobContext
from cloudtune.study.study import Study
from cloudtune_sagemaker import SagemakerProvider
from tests.cloudtune_sagemaker.sdk_client import SDK, Use, runner
from tests.cloudtune_sagemaker.test_sagemaker_sdk import OURS, rows_of
from tests.emulator_server import address_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="session")
def sdk3(python_with: Callable[[str, str], str]) -> str:
    """The Python that has version 3 of the SDK."""
    return python_with("sagemaker3", "CLOUDTUNE_SAGEMAKER_SDK3_PYTHON")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_sagemaker.emulator", tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module")
def use(sdk3: str, emulator: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Use:
    """Runs a function of the client once."""
    return runner(sdk3, "client3.py", emulator, tmp_path_factory)


def score(tuned: Mapping[str, Any], base: float = 0.0, epochs: int = 3) -> float:
    """Return what the script prints last; see ``sdk/source/train.py``."""
    word = {"sgd": 0.3, "adam": 0.0}[tuned["optimizer"]]
    rate = float(tuned["rate"])
    return base - (rate - 0.01) ** 2 - int(tuned["layers"]) / 100 - 1 / (10 * epochs) - word


def value_of(row: Mapping[str, Any]) -> float:
    return float(row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def test_a_training_job_runs_through_the_drivers_of_the_sdk(use: Use) -> None:
    used = use("training")
    assert used.told["status"] == "Completed"
    last = score({"rate": 0.01, "layers": 2, "optimizer": "adam"}, base=2.0, epochs=4)
    assert used.told["metrics"] == pytest.approx({"score": last, "loss": -last}, abs=1e-4)
    assert used.told["model"].endswith(f"/{used.told['name']}/output/model.tar.gz")
    assert used.told["found"] == [used.told["name"]]


def test_commands_shell_scripts_and_requirements_run(use: Use) -> None:
    told = use("command").told
    assert {name: one["status"] for name, one in told.items()} == dict.fromkeys(
        ("words", "shell", "file"), "Completed"
    )
    by_default = score({"rate": 0.01, "layers": 2, "optimizer": "adam"})
    by_command = score({"rate": 0.02, "layers": 1, "optimizer": "adam"})
    scores = {name: one["metrics"]["score"] for name, one in told.items()}
    expected = {"words": by_command, "shell": by_default, "file": by_default}
    assert scores == pytest.approx(expected, abs=1e-6)


def test_failures_are_raised_as_the_sdk_knows_them(use: Use) -> None:
    told = use("failures").told
    kind, text = told["training"]
    assert kind == "FailedStatusError"
    assert re.search(
        r"AlgorithmError: .*returned non-zero exit status 1\..*exit code: 1", text, re.S
    )
    kind, text = told["tuning"]
    assert kind == "FailedStatusError"
    assert "No training job succeeded after 5 attempts" in text
    assert told["refused"][0] == "ClientError"
    assert "ValidationException" in told["refused"][1]
    assert told["unknown"][0] == "ResourceNotFound"
    assert "Best training job not available" in told["no best"][1]


def test_jobs_are_stopped(use: Use) -> None:
    told = use("stop").told
    assert told["training"] == "Stopped"
    assert not told["running"]  # the service has no ModelArtifacts while a job runs
    assert told["tuning"]["status"] == "Stopped"
    assert 1 <= len(told["tuning"]["rows"]) < 20
    assert {trial["TrainingJobStatus"] for trial in told["tuning"]["trials"]} == {"Stopped"}


def test_a_tuning_job_is_created_awaited_and_read(use: Use) -> None:
    told = use("bayesian").told
    assert told["status"] == "Completed"
    assert len(told["rows"]) == len(told["listed"]) == 5
    assert {"Key": "team", "Value": "vision"} in told["tags"]
    for row in rows_of(told):
        assert value_of(row) == pytest.approx(score(row["TunedHyperParameters"], 2.0), abs=1e-6)
    for trial in told["trials"]:
        assert trial["EnableManagedSpotTraining"] is True
        assert trial["CheckpointConfig"]["S3Uri"] == "s3://training-data/checkpoints-3/"
        assert trial["Environment"] == {"OWN": "kept"}
        assert trial["HyperParameters"]["note"] == "two words"
        channels = {channel["ChannelName"] for channel in trial["InputDataConfig"]}
        assert channels == {"train", "sm_drivers"}
    scored = [row for row in told["rows"] if "FinalHyperParameterTuningJobObjectiveMetric" in row]
    assert told["best"] == max(scored, key=value_of)["TrainingJobName"]


def test_all_strategies_and_a_warm_start(use: Use) -> None:
    told = use("others").told
    assert {name: one["status"] for name, one in told.items()} == dict.fromkeys(
        ("grid", "band", "target", "again"), "Completed"
    )
    pairs = [row["TunedHyperParameters"] for row in told["grid"]["rows"]]
    assert sorted((pair["optimizer"], pair["layers"]) for pair in pairs) == [
        (word, layer) for word in ("adam", "sgd") for layer in ("1", "2")
    ]
    assert len(told["band"]["rows"]) == 4
    assert len(told["target"]["rows"]) < 30
    assert len(told["again"]["rows"]) == 2


def test_a_job_that_cloudtune_created_is_read(
    use: Use, emulator: Mapping[str, Any], tmp_path: Path
) -> None:
    study = Study.model_validate(OURS)
    plan = planner.plan(study, "sagemaker", base=SDK / "source", emulated=True)
    shutil.copytree(SDK / "source", tmp_path / "source")
    context = JobContext(tmp_path, Emulator(emulator["url"], emulator["key"]))
    SagemakerProvider().client(plan, context).submit(plan.request)
    told = use("attached", plan.facts.job_name).told
    assert told["status"] == "Completed"
    assert len(told["listed"]) == 3
    assert told["best"] in told["listed"]
