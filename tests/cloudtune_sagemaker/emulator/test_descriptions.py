"""What the service tells of a job beyond what was asked for, on which its clients rely."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

WORDS = [{"Name": "kind", "Values": ["plain", "fancy"]}, {"Name": "depth", "Values": ["1", "2"]}]
LARGE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}


def test_a_tuning_job_is_told_with_what_was_left_out(emulator: Emulator) -> None:
    config = {
        "Strategy": "Grid",
        "RandomSeed": None,
        "ResourceLimits": {"MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"CategoricalParameterRanges": WORDS},
    }
    machine = {"ResourceConfig": None, "HyperParameterTuningResourceConfig": LARGE}
    told = emulator.tuned(emulator.tune(config=config, definition=machine))
    config = told["HyperParameterTuningJobConfig"]
    assert "TrainingJobEarlyStoppingType" not in config
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2}
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [],
        "ContinuousParameterRanges": [],
        "CategoricalParameterRanges": WORDS,
    }
    definition = told["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
    assert definition["ResourceConfig"] == LARGE
    assert "HyperParameterTuningResourceConfig" not in definition


def test_each_of_several_definitions_is_told_so(emulator: Emulator) -> None:
    objective = {"Type": "Minimize", "MetricName": "loss"}
    ranges = {"ContinuousParameterRanges": [{"Name": "width", "MinValue": "0", "MaxValue": "1"}]}
    definitions = [
        {
            **emulator.definition(ResourceConfig=None, HyperParameterTuningResourceConfig=LARGE),
            "DefinitionName": name,
            "TuningObjective": objective,
            "HyperParameterRanges": ranges,
        }
        for name in ("one", "two")
    ]
    request: dict[str, Any] = emulator.tuning(
        config={"HyperParameterTuningJobObjective": None, "ParameterRanges": None},
        TrainingJobDefinition=None,
        TrainingJobDefinitions=definitions,
    )
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    told = emulator.tuned(request["HyperParameterTuningJobName"])
    assert "ParameterRanges" not in told["HyperParameterTuningJobConfig"]
    for definition in told["TrainingJobDefinitions"]:
        assert definition["ResourceConfig"] == LARGE
        assert definition["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
        assert definition["HyperParameterRanges"]["CategoricalParameterRanges"] == []


def test_a_training_job_tells_its_switches_and_that_it_has_no_key(emulator: Emulator) -> None:
    told = emulator.trained(emulator.train())
    assert told["OutputDataConfig"]["KmsKeyId"] == ""
    for switch in (
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ):
        assert told[switch] is False


def test_metrics_are_in_cloudwatch(emulator: Emulator) -> None:
    name = emulator.train()
    told = emulator.trained(name)
    found = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": name}],
        StartTime=told["TrainingStartTime"],
        EndTime=told["TrainingEndTime"] + datetime.timedelta(minutes=1),
        Period=60,
        Statistics=["Average", "SampleCount", "Minimum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 3
    assert min(point["Minimum"] for point in found) == 0.8


def test_the_names_of_properties_are_suggested(start_emulator: Callable[..., Emulator]) -> None:
    emulator = start_emulator()
    tags = [{"Key": "team", "Value": "vision"}]
    emulator.trained(emulator.train(static={"width": "2"}, Tags=tags))

    def suggested(**changes: Any) -> list[str]:
        answer = emulator.sagemaker.get_search_suggestions(Resource="TrainingJob", **changes)
        return [each["PropertyName"] for each in answer["PropertyNameSuggestions"]]

    assert set(suggested()) >= {"HyperParameters.width", "Tags.team", "Metrics.loss"}
    hint = {"PropertyNameQuery": {"PropertyNameHint": "HyperParameters.w"}}
    assert suggested(SuggestionQuery=hint) == ["HyperParameters.width"]


def test_a_running_job_has_no_model_yet(emulator: Emulator) -> None:
    name = emulator.train("import time\ntime.sleep(100)")
    describe = emulator.sagemaker.describe_training_job
    job = emulator.until(
        lambda: describe(TrainingJobName=name), lambda job: job["SecondaryStatus"] == "Training"
    )
    assert "ModelArtifacts" not in job
    emulator.sagemaker.stop_training_job(TrainingJobName=name)
    assert "ModelArtifacts" in emulator.trained(name)


def test_all_that_a_description_can_have_comes_back(emulator: Emulator) -> None:
    more: dict[str, Any] = {
        "ExperimentConfig": {"ExperimentName": "e"},
        "ProfilerConfig": {"DisableProfiler": True},
        "RemoteDebugConfig": {"EnableRemoteDebug": True},
        "InfraCheckConfig": {"EnableInfraCheck": True},
        "DebugHookConfig": {"S3OutputPath": "s3://a-bucket/debug"},
        "TensorBoardOutputConfig": {"S3OutputPath": "s3://a-bucket/board"},
    }
    told = emulator.trained(emulator.train(**more))
    assert {name: told[name] for name in more} == more
