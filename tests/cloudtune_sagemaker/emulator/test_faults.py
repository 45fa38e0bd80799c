"""What the fault plan makes go wrong, as clients and trials meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cloudtune_sagemaker.emulator.conftest import Emulator

Start = Callable[..., "Emulator"]
SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 3600},
}


def test_calls_are_throttled_and_fail(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: ListTrainingJobs, call: 1, effect: throttle}
        - {operation: ListTrainingJobs, call: 2, effect: error}
        - {operation: ListTrainingJobs, call: 3, effect: quota}
        - {operation: ListTrainingJobs, call: 4, effect: late_error}
        """
    )
    for code, status in (
        ("ThrottlingException", 400),
        ("InternalFailure", 500),
        ("ResourceLimitExceeded", 400),
        ("InternalFailure", 500),
    ):
        with pytest.raises(created.sagemaker.exceptions.ClientError) as caught:
            created.sagemaker.list_training_jobs()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert created.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_lost_response_leaves_the_job(start_emulator: Start) -> None:
    from botocore.exceptions import ConnectionClosedError

    created = start_emulator(
        faults="""
        faults:
        - {operation: CreateHyperParameterTuningJob, call: [1, 2], effect: lose_response}
        """
    )
    request = created.tuning()
    with pytest.raises(ConnectionClosedError):
        created.sagemaker.create_hyper_parameter_tuning_job(**request)
    assert created.tuned(request["HyperParameterTuningJobName"])

    # A client that tries again by itself meets its own job.
    retrying = created.client("sagemaker", attempts=3)
    request["HyperParameterTuningJobName"] = created.name()
    with pytest.raises(retrying.exceptions.ResourceInUse):
        retrying.create_hyper_parameter_tuning_job(**request)
    assert created.tuned(request["HyperParameterTuningJobName"])


def test_a_spot_machine_is_taken_away(start_emulator: Start) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: 1, effect: interrupt, after: 2}]"
    )
    code = """
        import json, os, pathlib, time
        config = os.path.join(os.environ["SM_INPUT_CONFIG_DIR"], "checkpointconfig.json")
        saved = pathlib.Path(json.load(open(config))["LocalPath"]) / "step"
        begin = int(saved.read_text()) if saved.exists() else 0
        print(f"begin at {begin}", flush=True)
        for step in range(begin + 1, 5):
            saved.write_text(str(step))
            print(f"loss={step};", flush=True)
            time.sleep(100 if step == 2 and not begin else 0)
    """
    where = {"CheckpointConfig": {"S3Uri": "s3://team-bucket/points/one"}}
    name = created.train(code, **SPOT, **where)
    job = created.trained(name)
    assert job["TrainingJobStatus"] == "Completed"
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps[2:5] == ["Training", "Interrupted", "Restarting"]
    assert steps.count("Training") == 2
    said = created.log(name)
    assert "begin at 0" in said
    assert "begin at 2" in said
    assert job["FinalMetricDataList"][0]["Value"] == 4.0


def test_a_machine_on_demand_is_not_taken_away(start_emulator: Start) -> None:
    created = start_emulator(faults="faults: [{operation: trial, call: 1, effect: interrupt}]")
    job = created.trained(created.train())
    assert "Interrupted" not in [step["Status"] for step in job["SecondaryStatusTransitions"]]


def test_trials_meet_their_faults(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: trial, call: 1, effect: fail}
        - {operation: trial, call: 2, effect: no_metric}
        - {operation: trial, call: 3, effect: stop_early, after: 2}
        """
    )
    limits = {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 1}
    code = """
        import os, time
        third = os.environ["TRAINING_JOB_NAME"].split("-")[-2] == "003"
        for step in range(4):
            print("loss=1;", flush=True)
            time.sleep(100 if third and step == 1 else 0)
    """
    name = created.tune(code, config={"ResourceLimits": limits})
    job = created.tuned(name)
    trials = created.trials(name)
    assert [trial["TrainingJobStatus"] for trial in trials] == [
        "Failed",
        "Completed",
        "Stopped",
        "Completed",
    ]
    assert trials[0]["FailureReason"].startswith("InternalServerError")
    assert [trial["ObjectiveStatus"] for trial in trials] == [
        "Failed",
        "Failed",
        "Succeeded",
        "Succeeded",
    ]
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_the_service_tries_again_what_it_failed_to_run(start_emulator: Start) -> None:
    created = start_emulator(faults="faults: [{operation: trial, call: 1, effect: fail}]")
    job = created.trained(created.train(RetryStrategy={"MaximumRetryAttempts": 1}))
    assert job["TrainingJobStatus"] == "Completed"
    assert "Restarting" in [step["Status"] for step in job["SecondaryStatusTransitions"]]


def test_a_start_may_take_too_long(start_emulator: Start) -> None:
    created = start_emulator(
        faults="faults: [{operation: trial, call: 1, effect: slow_start, seconds: 5000}]"
    )
    job = created.trained(created.train(**SPOT))
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxWaitTimeExceeded"


def test_rights_are_missing_and_credentials_expire(start_emulator: Start) -> None:
    created = start_emulator(
        faults="""
        faults:
        - {operation: ListTrainingJobs, call: 1, effect: deny}
        - {operation: ListTrainingJobs, call: 2, effect: expire}
        - {operation: HeadBucket, call: 1, effect: deny}
        - {operation: HeadBucket, call: 2, effect: expire}
        - {operation: GetRole, call: 1, effect: expire}
        - {operation: DescribeLogStreams, call: 1, effect: deny}
        - {operation: GetCallerIdentity, call: 1, effect: lose_response}
        """
    )
    s3, iam, logs = (created.client(name) for name in ("s3", "iam", "logs"))
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    for call, members, code in (
        (created.sagemaker.list_training_jobs, {}, "AccessDeniedException"),
        (created.sagemaker.list_training_jobs, {}, "ExpiredTokenException"),
        (s3.head_bucket, {"Bucket": "team-bucket"}, "403"),
        (s3.head_bucket, {"Bucket": "team-bucket"}, "400"),
        (iam.get_role, {"RoleName": "x"}, "ExpiredToken"),
        (logs.describe_log_streams, group, "AccessDeniedException"),
    ):
        with pytest.raises(created.sagemaker.exceptions.ClientError) as caught:
            call(**members)
        assert caught.value.response["Error"]["Code"] == code
    from botocore.exceptions import ConnectionClosedError

    with pytest.raises(ConnectionClosedError):
        created.client("sts").get_caller_identity()
    assert s3.head_bucket(Bucket="team-bucket")
    assert created.client("sts").get_caller_identity()["Arn"].endswith("user/emulator")
