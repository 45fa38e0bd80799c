"""Tuning jobs, as AWS's own SDK sees them; the scripts know nothing of cloudtune."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

SLOW = """
    import time
    print("loss=1;", flush=True)
    time.sleep(600)
"""
FAILS = """
    import sys
    sys.exit("no data")
"""


def test_a_job_runs_to_its_end(emulator: Emulator) -> None:
    request = emulator.tuning(Tags=[{"Key": "team", "Value": "blue"}])
    created = emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/{name}"
    assert created["HyperParameterTuningJobArn"] == arn

    job = emulator.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 0}
    asked = request["HyperParameterTuningJobConfig"]
    for member in ("Strategy", "RandomSeed", "HyperParameterTuningJobObjective", "ResourceLimits"):
        assert job["HyperParameterTuningJobConfig"][member] == asked[member]
    assert job["ConsumedResources"]["RuntimeInSeconds"] >= 0
    assert job["CreationTime"] <= job["HyperParameterTuningEndTime"]
    static = job["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["_tuning_objective_metric"] == "loss"

    (told,) = emulator.sagemaker.search(
        Resource="HyperParameterTuningJob",
        SearchExpression={
            "Filters": [
                {"Name": "Tags.team", "Value": "blue"},
                {"Name": "HyperParameterTuningJobName", "Value": name},
            ]
        },
    )["Results"]
    assert told["HyperParameterTuningJob"]["BestTrainingJob"] == job["BestTrainingJob"]

    trials = emulator.trials(name)
    assert len(trials) == 2
    for number, trial in enumerate(trials, start=1):
        assert trial["TrainingJobName"].startswith(f"{name}-{number:03d}-")
        width = trial["TunedHyperParameters"]["width"]
        value = trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        exact = (float(width) - 1) ** 2 + 1 - 2 / 10
        assert value == struct.unpack("f", struct.pack("f", exact))[0]
        assert trial["ObjectiveStatus"] == "Succeeded"
        told = emulator.sagemaker.describe_training_job(TrainingJobName=trial["TrainingJobName"])
        assert told["TuningJobArn"] == arn
        assert told["HyperParameters"]["width"] == width
        assert told["HyperParameters"]["_tuning_objective_metric"] == "loss"
        tags = emulator.sagemaker.list_tags(ResourceArn=trial["TrainingJobArn"])["Tags"]
        assert tags == [{"Key": "team", "Value": "blue"}]
    best = min(trials, key=lambda t: t["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["BestTrainingJob"] == best


def test_all_kinds_of_ranges_reach_the_script(emulator: Emulator) -> None:
    kinds = ["007", '"true"', "a b"]
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "width", "MinValue": "1e-3", "MaxValue": "1", "ScalingType": "Logarithmic"},
            {"Name": "decay", "MinValue": "0", "MaxValue": ".99", "ScalingType": "Linear"},
        ],
        "IntegerParameterRanges": [{"Name": "depth", "MinValue": "-3", "MaxValue": "3"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": kinds}],
    }
    code = """
        import sys
        print("loss=1;", sys.argv[1:])
    """
    name = emulator.tune(code, config={"ParameterRanges": ranges})
    assert emulator.tuned(name)["HyperParameterTuningJobStatus"] == "Completed"
    for trial in emulator.trials(name):
        tuned = trial["TunedHyperParameters"]
        assert set(tuned) == {"width", "decay", "depth", "kind"}
        assert 1e-3 <= float(tuned["width"]) <= 1
        assert int(tuned["depth"]) in range(-3, 4)
        assert tuned["kind"] in kinds
        said = emulator.log(trial["TrainingJobName"])
        kind = {'"true"': "true"}.get(tuned["kind"], tuned["kind"])
        assert repr(kind) in said
        assert repr(tuned["width"]) in said


def test_the_same_seed_chooses_the_same_trials(emulator: Emulator) -> None:
    def chosen(seed: int) -> list[Any]:
        name = emulator.tune(config={"RandomSeed": seed})
        emulator.tuned(name)
        return [trial["TunedHyperParameters"] for trial in emulator.trials(name)]

    first = chosen(1)
    assert first == chosen(1)
    assert first != chosen(2)


def test_a_grid_is_run_whole_without_a_count(emulator: Emulator) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "depth", "Values": ["1", "2"]},
            {"Name": "kind", "Values": ["a", "b"]},
        ]
    }
    config = {
        "Strategy": "Grid",
        "ParameterRanges": ranges,
        "ResourceLimits": {"MaxParallelTrainingJobs": 2},
        "RandomSeed": None,
    }
    name = emulator.tune(config=config)
    emulator.tuned(name)
    tuned = [trial["TunedHyperParameters"] for trial in emulator.trials(name)]
    pairs = sorted((each["depth"], each["kind"]) for each in tuned)
    assert pairs == [("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")]


@pytest.mark.parametrize("strategy", ["Bayesian", "Hyperband"])
def test_other_strategies_run(emulator: Emulator, strategy: str) -> None:
    own = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    limits = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}
    config = {
        "Strategy": strategy,
        "StrategyConfig": own if strategy == "Hyperband" else None,
        "ResourceLimits": limits,
    }
    name = emulator.tune(config=config)
    assert emulator.tuned(name)["HyperParameterTuningJobStatus"] == "Completed"
    assert len(emulator.trials(name)) == 3


def test_hyperband_stops_what_reaches_the_largest_resource(emulator: Emulator) -> None:
    code = """
        import time
        for step in range(1000):
            print(f"loss={step};", flush=True)
            time.sleep(0.02)
    """
    config = {
        "Strategy": "Hyperband",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
    }
    name = emulator.tune(code, config=config, definition={"static": {"epochs": "5"}})
    emulator.tuned(name)
    (trial,) = emulator.trials(name)
    assert trial["TrainingJobStatus"] == "Stopped"
    assert 4 <= trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] < 500


def test_several_definitions_take_turns(emulator: Emulator) -> None:
    def definition(name: str, low: str, high: str) -> dict[str, Any]:
        return emulator.definition(
            DefinitionName=name,
            TuningObjective={"Type": "Minimize", "MetricName": "loss"},
            HyperParameterRanges={
                "ContinuousParameterRanges": [{"Name": "width", "MinValue": low, "MaxValue": high}]
            },
        )

    limits = {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 4}
    name = emulator.tune(
        config={
            "HyperParameterTuningJobObjective": None,
            "ParameterRanges": None,
            "ResourceLimits": limits,
        },
        TrainingJobDefinition=None,
        TrainingJobDefinitions=[definition("near", "0", "2"), definition("far", "10", "20")],
    )
    job = emulator.tuned(name)
    trials = emulator.trials(name)
    assert [t["TrainingJobDefinitionName"] for t in trials] == ["near", "far", "near", "far"]
    for trial in trials:
        far = float(trial["TunedHyperParameters"]["width"]) >= 10
        assert far == (trial["TrainingJobDefinitionName"] == "far")
        assert trial["FinalHyperParameterTuningJobObjectiveMetric"]["Type"] == "Minimize"
    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "near"


def test_it_fails_after_five_failures_in_a_row_from_the_start(emulator: Emulator) -> None:
    limits = {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 5}
    name = emulator.tune(FAILS, config={"ResourceLimits": limits})
    job = emulator.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert len(emulator.trials(name)) < 20
    assert "BestTrainingJob" not in job


def test_the_target_ends_it(emulator: Emulator) -> None:
    config = {
        "TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 100.0},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 1},
    }
    name = emulator.tune(config=config)
    assert emulator.tuned(name)["HyperParameterTuningJobStatus"] == "Completed"
    assert len(emulator.trials(name)) == 1


def test_it_ends_when_nothing_improves(emulator: Emulator) -> None:
    config = {
        "TuningJobCompletionCriteria": {
            "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}
        },
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 1},
    }
    # The second is better by less than one percent, which does not count.
    code = """
        import os
        number = int(os.environ["TRAINING_JOB_NAME"].split("-")[-2])
        print(f"loss={100 - number / 100};")
    """
    name = emulator.tune(code, config=config)
    job = emulator.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(emulator.trials(name)) == 4
    details = job["TuningJobCompletionDetails"]
    assert details["NumberOfTrainingJobsObjectiveNotImproving"] == 3


def test_a_user_stops_it(emulator: Emulator, tmp_path: Path) -> None:
    # It ends only after the second stop.
    go = tmp_path / "go"
    name = emulator.tune(f"""
        import os, signal, sys, time
        def end(*_):
            while not os.path.exists({str(go)!r}):
                time.sleep(0.05)
            sys.exit(1)
        signal.signal(signal.SIGTERM, end)
        print("loss=1;", flush=True)
        time.sleep(600)
    """)
    emulator.until(
        lambda: emulator.trials(name),
        lambda trials: (
            len(trials) == 2
            and all("loss=1" in emulator.log(trial["TrainingJobName"]) for trial in trials)
        ),
    )
    emulator.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    emulator.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    go.touch()
    job = emulator.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    trials = emulator.trials(name)
    assert [trial["TrainingJobStatus"] for trial in trials] == ["Stopped", "Stopped"]
    # What it had measured before counts.
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 1.0
    with pytest.raises(emulator.sagemaker.exceptions.ClientError) as caught:
        emulator.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_early_stopping_ends_the_bad_ones(emulator: Emulator) -> None:
    # Six good ones, then bad ones that would go on for a minute.
    code = """
        import os, time
        number = int(os.environ["TRAINING_JOB_NAME"].split("-")[-2])
        for step in range(3 if number <= 6 else 600):
            print(f"loss={1 if number <= 6 else 9};", flush=True)
            time.sleep(0 if number <= 6 else 0.1)
    """
    config = {
        "TrainingJobEarlyStoppingType": "Auto",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 7, "MaxParallelTrainingJobs": 1},
    }
    name = emulator.tune(code, config=config)
    assert emulator.tuned(name)["HyperParameterTuningJobStatus"] == "Completed"
    states = [trial["TrainingJobStatus"] for trial in emulator.trials(name)]
    assert states == ["Completed"] * 6 + ["Stopped"]


def test_a_warm_start_knows_its_parents(emulator: Emulator) -> None:
    request = emulator.tuning()
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    parent = request["HyperParameterTuningJobName"]
    first = emulator.tuned(parent)
    request["HyperParameterTuningJobName"] = name = emulator.name()
    request["WarmStartConfig"] = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    job = emulator.tuned(name)
    both = [first["BestTrainingJob"], job["BestTrainingJob"]]
    best = min(both, key=lambda t: t["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["OverallBestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]


def test_a_metric_that_is_never_found(emulator: Emulator) -> None:
    name = emulator.tune("print('nothing')")
    job = emulator.tuned(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 2}
    assert "BestTrainingJob" not in job
    for trial in emulator.trials(name):
        assert trial["TrainingJobStatus"] == "Completed"
        assert trial["ObjectiveStatus"] == "Failed"
        assert "FinalHyperParameterTuningJobObjectiveMetric" not in trial


def test_lists_come_in_pages_and_hide_what_has_no_objective(emulator: Emulator) -> None:
    code = """
        import os
        if int(os.environ["TRAINING_JOB_NAME"].split("-")[-2]) % 2:
            print("loss=1;")
    """
    limits = {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 4}
    name = emulator.tune(code, config={"ResourceLimits": limits})
    emulator.tuned(name)
    call = emulator.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job
    page = call(HyperParameterTuningJobName=name)
    assert len(page["TrainingJobSummaries"]) == 10
    rest = call(HyperParameterTuningJobName=name, NextToken=page["NextToken"])
    assert len(rest["TrainingJobSummaries"]) == 2
    assert "NextToken" not in rest
    assert len(emulator.trials(name, SortBy="FinalObjectiveMetricValue")) == 6
    assert len(emulator.trials(name, StatusEquals="Failed")) == 0
    found = emulator.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)
    assert name in [
        job["HyperParameterTuningJobName"] for job in found["HyperParameterTuningJobSummaries"]
    ]


def test_a_deleted_job_frees_its_name_and_leaves_its_trials(emulator: Emulator) -> None:
    request = emulator.tuning()
    name = request["HyperParameterTuningJobName"]
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    emulator.tuned(name)
    trial = emulator.trials(name)[0]["TrainingJobName"]
    emulator.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(emulator.sagemaker.exceptions.ResourceNotFound):
        emulator.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert emulator.sagemaker.describe_training_job(TrainingJobName=trial)
    emulator.sagemaker.create_hyper_parameter_tuning_job(**request)
    emulator.tuned(name)
