"""The emulator under the `sagemaker` SDK as it is, which neither we nor the emulator know.

Needs the SDK's second major version in an environment of its own: the Python that is named in
``CLOUDTUNE_SAGEMAKER_SDK_PYTHON``, or one that is made once below pytest's cache, which needs a
package index. What the SDK is asked to do stands in ``sdk/client.py``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudtune.planning import planner
from cloudtune.provider.models import Emulator, JobContext
from cloudtune.study.study import Study
from cloudtune_sagemaker import SagemakerProvider
from tests.cloudtune_sagemaker.sdk_client import SDK, Use, runner
from tests.emulator_server import address_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

STATIC = {"epochs": "3", "note": '"two words"', "flag": "true"}
"""The hyperparameters that are not tuned, as the SDK sends them."""


@pytest.fixture(scope="session")
def sdk(python_with: Callable[[str, str], str]) -> str:
    """The Python that has the SDK."""
    return python_with("sagemaker2", "CLOUDTUNE_SAGEMAKER_SDK_PYTHON")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """The address of an emulator."""
    yield from address_of("cloudtune_sagemaker.emulator", tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module")
def use(sdk: str, emulator: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Use:
    """Runs a function of the client once."""
    return runner(sdk, "client.py", emulator, tmp_path_factory)


def score(tuned: Mapping[str, Any], base: float = 0.0, epochs: int = 3) -> float:
    """What the script prints last; see ``sdk/source/train.py``."""
    words = {"sgd": 0.3, "adam": 0.0, "true": 0.1}
    rate, layers = float(tuned["rate"]), int(json.loads(str(tuned["layers"])))
    word = words[json.loads(tuned["optimizer"])]
    return base - (rate - 0.01) ** 2 - layers / 100 - 1 / (10 * epochs) - word


def rows_of(told: Mapping[str, Any], status: str = "Completed") -> list[dict[str, Any]]:
    return [row for row in told["rows"] if row["TrainingJobStatus"] == status]


def best_of(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return max(rows, key=lambda row: float(row["FinalObjectiveValue"]))


def test_a_tuning_job_is_made_waited_for_and_read(use: Use) -> None:
    told = use("bayesian").told
    job, rows = told["job"], told["rows"]
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(rows) == len(told["trials"]) == 5
    assert sum(job["TrainingJobStatusCounters"].values()) == 5
    assert rows_of(told)
    for row in rows_of(told):  # the script ran with these very values, and the data of the channel
        assert row["FinalObjectiveValue"] == pytest.approx(score(row, base=2.0), abs=1e-6)
        assert 0.001 <= row["rate"] <= 0.1
        assert row["layers"] in range(1, 7)
    best = best_of([row for row in rows if row["FinalObjectiveValue"] is not None])
    named = {told["best"], told["attached"]["best"], job["BestTrainingJob"]["TrainingJobName"]}
    assert named == {best["TrainingJobName"]}


def test_all_that_was_asked_for_reaches_the_trials(use: Use) -> None:
    told = use("bayesian").told
    tag = {"Key": "team", "Value": "vision"}
    assert tag in told["tags"]
    for trial, tags in zip(told["trials"], told["trial_tags"], strict=True):
        sent = trial["HyperParameters"]
        assert {name: sent[name] for name in STATIC} == STATIC
        assert sent["_tuning_objective_metric"] == "score"
        assert sent["sagemaker_program"] == '"train.py"'
        assert trial["EnableManagedSpotTraining"] is True
        assert trial["CheckpointConfig"]["S3Uri"] == "s3://training-data/checkpoints"
        assert trial["Environment"] == {"OWN": "kept"}
        assert trial["StoppingCondition"]["MaxWaitTimeInSeconds"] == 900
        assert trial["ResourceConfig"]["InstanceType"] == "ml.m5.large"
        assert 1 <= trial["BillableTimeInSeconds"] <= trial["TrainingTimeInSeconds"]
        assert trial["TuningJobArn"] == told["job"]["HyperParameterTuningJobArn"]
        assert tag in tags
    attached = told["attached"]
    assert attached["estimator"] == "SKLearn"
    assert attached["strategy"] == "Bayesian"
    assert attached["ranges"] == ["layers", "optimizer", "rate"]
    assert attached["hyperparameters"]["note"] == STATIC["note"]
    assert attached["hyperparameters"]["flag"] == "true"
    assert {point["metric_name"] for point in told["curve"]} == {"score", "loss"}
    assert told["model"] == {"files": ["model.json"], "note": "two words"}


def test_a_warm_start_goes_on_from_its_parent(use: Use) -> None:
    told = use("warm_start").told
    first, second = told["first"], told["second"]
    assert second["job"]["HyperParameterTuningJobStatus"] == "Completed"
    assert second["job"]["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": first["job"]["HyperParameterTuningJobName"]}
        ],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    assert [len(first["rows"]), len(second["rows"])] == [3, 2]
    overall = best_of([*first["rows"], *second["rows"]])
    assert second["job"]["OverallBestTrainingJob"]["TrainingJobName"] == overall["TrainingJobName"]
    assert "OverallBestTrainingJob" not in first["job"]


def test_a_tuning_job_is_stopped(use: Use) -> None:
    told = use("stop").told
    assert told["job"]["HyperParameterTuningJobStatus"] == "Stopped"
    assert 2 <= len(told["rows"]) < 20
    assert len(rows_of(told, "Stopped")) == len(told["rows"])
    assert any(row["FinalObjectiveValue"] is not None for row in told["rows"])
    assert {trial["SecondaryStatus"] for trial in told["trials"]} == {"Stopped"}


def test_a_training_job_is_run_and_read_along(use: Use) -> None:
    used = use("training")
    job = used.told["job"]
    assert job["TrainingJobStatus"] == "Completed"
    words = json.loads(re.search(r"argv=(\[.*\]) own=kept", used.printed)[1])  # type: ignore[index]
    assert words[:4] == ["-b", "1", "--epochs", "4"]
    assert words[-4:] == ["--pause", "2", "--rate", "0.01"]
    assert words[words.index("--optimizer") + 1] == "true"
    epochs = re.findall(r"^epoch=(\d+);", used.printed, re.MULTILINE)
    assert epochs == ["1", "2", "3", "4"]
    assert "Training job completed" in used.printed
    assert re.search(r"^Billable seconds: \d+$", used.printed, re.MULTILINE)
    last = score({"rate": 0.01, "layers": 2, "optimizer": '"true"'}, 2.0, 4)
    final = {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]}
    assert final == pytest.approx({"score": last, "loss": -last}, abs=1e-4)
    assert {point["metric_name"] for point in used.told["metrics"]} == {"score", "loss"}
    assert used.told["model"] == job["ModelArtifacts"]["S3ModelArtifacts"]


def test_failures_are_raised_as_the_sdk_knows_them(use: Use) -> None:
    said = use("failures").told
    kind, text = said["training"]
    assert kind == "UnexpectedStatusException"
    assert "Reason: AlgorithmError: ExecuteUserScriptError" in text
    kind, text = said["tuning"]
    assert kind == "UnexpectedStatusException"
    assert "No training job succeeded after 5 attempts" in text
    assert said["taken"][0] == "ResourceInUse"
    assert said["unknown"][0] == "ResourceNotFound"
    assert said["refused"][0] == "ClientError"
    assert "ValidationException" in said["refused"][1]
    assert "Best training job not available" in said["no best"][1]


def test_all_strategies_and_several_definitions(use: Use) -> None:
    told = use("others").told
    status = {name: one["job"]["HyperParameterTuningJobStatus"] for name, one in told.items()}
    assert status == dict.fromkeys(("grid", "band", "met", "several"), "Completed")
    pairs = [(row["optimizer"], row["layers"]) for row in told["grid"]["rows"]]
    words = ('"sgd"', '"adam"')
    assert sorted(pairs) == sorted((word, layer) for word in words for layer in ('"1"', '"2"'))
    assert len(told["band"]["rows"]) == 4
    assert told["band"]["job"]["BestTrainingJob"]
    assert len(told["met"]["rows"]) < 30
    definitions = [row["TrainingJobDefinitionName"] for row in told["several"]["rows"]]
    assert sorted(definitions) == ["one", "one", "two", "two"]
    for row in rows_of(told["several"]):
        layers = {"one": 1, "two": 2}[row["TrainingJobDefinitionName"]]
        expected = score({**row, "layers": layers})
        assert row["FinalObjectiveValue"] == pytest.approx(expected, abs=1e-6)
    assert sorted(told["several"]["ranges"]) == ["one", "two"]


OURS: Mapping[str, Any] = {
    "name": "ours",
    "objective": {"metric": "score", "goal": "maximize"},
    "parameters": {
        "rate": {"type": "float", "min": 0.001, "max": 0.1, "scale": "log"},
        "layers": {"type": "int", "min": 1, "max": 6},
    },
    "constants": {"optimizer": "true"},
    "limits": {"max_trials": 3, "parallel_trials": 3, "trial_timeout": "10m"},
    "strategy": "random",
    "trial": {"script": "train.py", "metrics": {"score": r"score=(\S+);"}},
}


def test_a_job_that_cloudtune_made_is_read(
    use: Use, emulator: Mapping[str, Any], tmp_path: Path
) -> None:
    study = Study.model_validate(OURS)
    made = planner.plan(study, "sagemaker", base=SDK / "source", emulated=True)
    assert made.mode == "managed"
    shutil.copytree(SDK / "source", tmp_path / "source")
    context = JobContext(tmp_path, Emulator(emulator["url"], emulator["key"]))
    SagemakerProvider().client(made, context).submit(made.request)
    told = use("attached", made.facts.job_name).told
    assert told["job"]["HyperParameterTuningJobStatus"] == "Completed"
    assert len(told["rows"]) == 3
    for row in told["rows"]:
        expected = score({**row, "optimizer": '"true"'})
        assert row["FinalObjectiveValue"] == pytest.approx(expected, abs=1e-6)
    assert told["best"] == best_of(told["rows"])["TrainingJobName"]
    assert told["objective"] == ["score", "Maximize"]
    assert told["strategy"] == "Random"
    assert told["ranges"]["layers"]["MaxValue"] == "6"


def test_the_guard_of_these_tests_lets_nothing_out(use: Use) -> None:
    said = use("guarded").told
    assert said["connect"] == ["PermissionError", "socket.connect is refused by the test"]
    assert said["look up"] == ["PermissionError", "socket.getaddrinfo is refused by the test"]
    assert said["account"][0] == "EndpointConnectionError"  # the SDK's own address of STS
