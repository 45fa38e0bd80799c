"""What SageMaker's words become."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudtune.provider.models import RawTrial
from cloudtune.results.model import Measurement
from cloudtune_sagemaker import response

STOPPING_AT = 1_000.0


def enum(shape: str) -> set[str]:
    from botocore.session import Session

    model = Session().get_service_model("sagemaker")
    return set(model.shape_for(shape).metadata["enum"])


@pytest.mark.parametrize(
    ("shape", "table"),
    [
        ("HyperParameterTuningJobStatus", response.JOB_STATES),
        ("TrainingJobStatus", response.PHASES),
        ("SecondaryStatus", response.SECONDARY_PHASES),
    ],
)
def test_every_state_of_the_service_is_known(shape: str, table: Any) -> None:
    assert set(table) == enum(shape)


def job(status: str, second: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "t-001-0a",
        "TrainingJobArn": "arn",
        "TrainingJobStatus": status,
        "SecondaryStatus": second or status,
        "CreationTime": datetime.fromtimestamp(900, UTC),
        "SecondaryStatusTransitions": [
            {"Status": "Training", "StartTime": datetime.fromtimestamp(950, UTC)},
            {"Status": "Stopping", "StartTime": datetime.fromtimestamp(STOPPING_AT, UTC)},
        ],
        **more,
    }


def tuning(
    status: str = "InProgress", *, later: bool = False, asked: Sequence[str] = (), **config: Any
) -> response.TuningJob:
    described = {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobStatus": status,
        "HyperParameterTuningJobConfig": {
            "HyperParameterTuningJobObjective": {"MetricName": "acc", "Type": "Maximize"},
            **config,
        },
    }
    return response.to_tuning_job(described, [900.0, 2_000.0 if later else 910.0], asked)


def trial(told: dict[str, Any], of: response.TuningJob, values: int = 1) -> RawTrial:
    measured = [Measurement(step, {"acc": 0.5}) for step in range(1, values + 1)]
    return response.to_trial(told, 1, of, measured, log="the log")


EARLY: dict[str, Any] = {"TrainingJobEarlyStoppingType": "Auto"}
HYPERBAND: dict[str, Any] = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}},
}
LIMITED: dict[str, Any] = {"ResourceLimits": {"MaxRuntimeInSeconds": 600}}


@pytest.mark.parametrize(
    ("told", "of", "values", "state", "reason"),
    [
        (job("InProgress", "Starting"), tuning(), 0, "waiting", ""),
        (job("InProgress", "Pending"), tuning(), 0, "waiting", ""),
        (job("InProgress", "Training"), tuning(), 1, "running", ""),
        (job("InProgress", "Uploading"), tuning(), 1, "running", ""),
        (job("InProgress", "Interrupted"), tuning(), 1, "waiting", ""),
        (job("Stopping"), tuning(), 1, "running", ""),
        (job("Completed"), tuning(), 1, "completed", ""),
        (job("Completed"), tuning(), 0, "failed", "found no acc"),
        (job("Failed", FailureReason="boom"), tuning(), 1, "failed", "boom"),
        (job("Failed"), tuning(), 1, "failed", "no reason"),
        (job("Stopped", "MaxRuntimeExceeded"), tuning(), 1, "failed", "trial_timeout"),
        (job("Stopped", "MaxWaitTimeExceeded"), tuning(**EARLY), 1, "failed", "max_wait"),
        (job("Stopped"), tuning(), 1, "cancelled", "stopped at SageMaker"),
        (job("Stopped"), tuning("Stopped"), 1, "cancelled", "with the tuning job"),
        (job("Stopped"), tuning("Completed"), 1, "cancelled", "with the tuning job"),
        (job("Stopped"), tuning(**EARLY), 1, "stopped_early", "SageMaker stopped it early"),
        (job("Stopped"), tuning("Stopped", **EARLY), 1, "unknown", "does not report"),
        (job("Stopped"), tuning("Stopped", later=True, **EARLY), 1, "stopped_early", "early"),
        (job("Stopped"), tuning("Stopped", asked=["t-001-0a"], **EARLY), 1, "cancelled", "stopped"),
        (job("Stopped"), tuning("Completed", **EARLY), 1, "stopped_early", "early"),
        (job("Stopped"), tuning("Completed", **EARLY, **LIMITED), 1, "unknown", "does not report"),
        (job("Stopped"), tuning(**HYPERBAND), 3, "stopped_early", "early"),
        (job("Stopped"), tuning("Completed", **HYPERBAND), 9, "completed", ""),
        (job("Deleting"), tuning(), 1, "unknown", ""),
        (job("Resting"), tuning(), 1, "unknown", ""),
    ],
)
def test_trial_state(
    told: dict[str, Any], of: response.TuningJob, values: int, state: str, reason: str
) -> None:
    created = trial(told, of, values)
    assert created.state == state
    assert reason in created.reason
    assert bool(reason) == bool(created.reason)


def test_unknown_states_are_kept() -> None:
    created = trial(job("InProgress", "Levitating"), tuning())
    assert (created.state, created.word) == ("running", "InProgress: Levitating")
    unknown = trial(job("Resting"), tuning())
    assert (unknown.state, unknown.word, unknown.ended) == ("unknown", "Resting", None)


def test_a_stopped_trial_of_unknown_kind_is_over() -> None:
    ended = datetime.fromtimestamp(1_100, UTC)
    created = trial(job("Stopped", TrainingEndTime=ended), tuning("Stopped", **EARLY))
    assert (created.state, created.ended) == ("unknown", 1_100.0)


def test_restarts_are_shown() -> None:
    words = ["Training", "Interrupted", "Restarting", "Training", "Interrupted", "Restarting"]
    transitions = [{"Status": word} for word in words]
    created = trial(job("Completed", SecondaryStatusTransitions=transitions), tuning())
    assert (created.state, created.reason) == ("completed", "")
    assert created.word == "Completed (Interrupted 2 times)"
    again = job("InProgress", "Training", SecondaryStatusTransitions=transitions[2:4])
    assert trial(again, tuning()).word == "InProgress: Training (Restarting once)"


def named(*names: str) -> list[dict[str, Any]]:
    return [
        {"TrainingJobName": name, "CreationTime": float(index)} for index, name in enumerate(names)
    ]


def test_trial_numbers_come_from_the_names() -> None:
    found = response.trial_numbers("my-job", named("my-job-002-ab12cd34", "my-job-001-ffffffff"))
    assert found == {"my-job-002-ab12cd34": 2, "my-job-001-ffffffff": 1}


@pytest.mark.parametrize(
    "names",
    [
        ("my-job-b", "my-job-a"),
        ("my-job-002-ab", "elsewhere-001-ab"),
        ("my-job-001-ab", "my-job-001-cd"),
        ("my-job-000-ab", "my-job-001-cd"),
    ],
)
def test_trial_numbers_follow_creation_if_names_have_none(
    names: tuple[str, str],
) -> None:
    assert list(response.trial_numbers("my-job", named(*names)).values()) == [1, 2]


def test_a_summary_gets_the_static_values_of_its_definition() -> None:
    described = {
        "TrainingJobDefinitions": [
            {"DefinitionName": "k-a", "StaticHyperParameters": {"k": "a", "n": "1"}},
            {"DefinitionName": "k-b", "StaticHyperParameters": {"k": "b", "n": "2"}},
        ]
    }
    summary = {
        "TrainingJobName": "t-001-0a",
        "TrainingJobDefinitionName": "k-b",
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"x": "0.5"},
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "acc", "Value": 0.5},
    }
    told = response.from_summary(summary, described)
    assert told["HyperParameters"] == {"k": "b", "n": "2", "x": "0.5"}
    assert told["FinalMetricDataList"] == [{"MetricName": "acc", "Value": 0.5}]


def test_job_reason() -> None:
    def told(status: str, **more: Any) -> str:
        return response.job_reason({"HyperParameterTuningJobStatus": status, **more})

    assert told("InProgress") == ""
    assert told("Failed", FailureReason="No training job succeeded") == "No training job succeeded"
    assert "stopped" in told("Stopped")
    when = {"ConvergenceDetectedTime": datetime.now(UTC)}
    assert "convergence" in told("Completed", TuningJobCompletionDetails=when)
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    config = {"HyperParameterTuningJobConfig": {"TuningJobCompletionCriteria": criteria}}
    idle = {"TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": 3}}
    assert told("Completed", **config, **idle).startswith("no better objective in 3 trials")
    assert told("InProgress", **config, **idle) == told("Completed", **idle) == ""
    idle["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] = 2
    assert told("Completed", **config, **idle) == ""


CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
    "different ML instance type."
)
LIMIT = "ResourceLimitExceeded: The account-level service limit 'ml.g5.2xlarge for training job "


@pytest.mark.parametrize(
    ("job", "lost"),
    [
        ({"TrainingJobStatus": "Failed", "FailureReason": CAPACITY}, True),
        ({"TrainingJobStatus": "Failed", "FailureReason": LIMIT}, True),
        ({"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: exit code 1"}, False),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}, True),
        (
            {
                "TrainingJobStatus": "Stopped",
                "SecondaryStatus": "MaxWaitTimeExceeded",
                "TrainingStartTime": 5.0,
            },
            False,
        ),
    ],
)
def test_a_job_that_got_no_machine_is_lost(job: dict[str, Any], *, lost: bool) -> None:
    assert response.got_no_machine(job) is lost


def test_a_job_waits_as_long_as_its_status_says_so() -> None:
    """The transitions of a GPU job of 2024-03-08: Pending is also the preparation."""
    told: list[tuple[str, str, str]] = [
        ("Starting", "Starting the training job", "waiting"),
        ("Pending", "Training job waiting for capacity", "waiting"),
        ("Pending", "Preparing the instances for training", "waiting"),
        ("Downloading", "Downloading the training image", "running"),
        ("Training", "Training image download completed. Training in progress.", "running"),
    ]
    for status, message, phase in told:
        job = {
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": status,
            "SecondaryStatusTransitions": [{"Status": status, "StatusMessage": message}],
        }
        assert response.phase(job) == phase
        if phase == "waiting":
            assert response.wait_reason(job) == f"{status}: {message}"
