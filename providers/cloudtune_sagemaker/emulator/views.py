"""How jobs stand, in the service's own words (shapes: botocore 1.44.8 model)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudtune.study.schema import Json
from cloudtune_sagemaker.emulator.rules.ranges import OBJECTIVE
from cloudtune_sagemaker.emulator.search_space import objective_of, ranges_of
from cloudtune_sagemaker.emulator.state import TERMINAL, TrainingJob, TuningJob, best_of

SPOT_SHARE = 0.3
"""Share of the training time that a spot job is billed here; the service promises savings of "up to
90 %" (developer guide, model-managed-spot-training) and publishes no rate."""

_SWITCHES = (
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    "EnableManagedSpotTraining",
)
_ECHOED = (
    *("TrainingJobName", "HyperParameters", "AlgorithmSpecification", "RoleArn"),
    *("InputDataConfig", "OutputDataConfig", "VpcConfig", "StoppingCondition"),
    *("CheckpointConfig", "Environment", "RetryStrategy", *_SWITCHES),
)
_RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")


def training(job: TrainingJob) -> Json:
    """Return the answer of DescribeTrainingJob."""
    answer = {key: job.request[key] for key in _ECHOED if key in job.request}
    answer.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": 86_400})
    for switch in _SWITCHES:
        answer.setdefault(switch, False)
    answer |= {
        "OutputDataConfig": {"KmsKeyId": "", **job.request["OutputDataConfig"]},
        "ResourceConfig": job.machines,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary,
        "SecondaryStatusTransitions": job.transitions,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "FailureReason": job.failure,
        "TuningJobArn": job.trial.tuning_arn if job.trial else None,
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": when}
            for name, (value, when) in job.final.items()
        ],
        **_seconds(job),
    }
    if job.model is not None:
        answer["ModelArtifacts"] = {"S3ModelArtifacts": job.model}
    return answer


def training_record(job: TrainingJob) -> Json:
    """Return what Search tells of a training job."""
    return {**training(job), "Tags": tags(job)}


def training_row(job: TrainingJob) -> Json:
    """Return a training job as ListTrainingJobs tells it."""
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingEndTime": job.ended,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary,
    }


def trial(job: TrainingJob) -> Json:
    """Return a training job as its tuning job tells it."""
    assert job.trial is not None
    value = job.objective
    summary: Json = {
        "TrainingJobDefinitionName": job.trial.definition,
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "TrainingJobStatus": job.status,
        "TunedHyperParameters": dict(job.trial.tuned),
        "FailureReason": job.failure,
        "ObjectiveStatus": objective_status(job),
    }
    if value is not None:
        metric: Json = {"MetricName": job.trial.metric, "Value": value}
        if job.trial.definition is not None:
            metric["Type"] = job.trial.goal
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = metric
    return summary


def objective_status(job: TrainingJob) -> str:
    """Return whether a trial's objective is known, will be, or will not."""
    if job.status not in TERMINAL:
        return "Pending"
    return "Succeeded" if job.objective is not None else "Failed"


def tuning_row(job: TuningJob) -> Json:
    """Return a tuning job as ListHyperParameterTuningJobs tells it."""
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "Strategy": job.config["Strategy"],
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": job.ended,
        "LastModifiedTime": job.modified,
        "ResourceLimits": job.config["ResourceLimits"],
        **_counters(job.trials),
    }


def tuning(job: TuningJob, parents: Sequence[TuningJob], now: float) -> Json:
    """Return the answer of DescribeHyperParameterTuningJob.

    What the service adds to a request of its own accord is known from two clients that rely on it
    or had to cope with it: `HyperparameterTuner.attach` of the sagemaker SDK (2.257.7) and the
    acceptance tests of hashicorp/terraform-provider-aws (hyper_parameter_tuning_job.go, 2026).

    Args:
        job: The job.
        parents: Those that its warm start builds on.
        now: The time.
    """
    row = tuning_row(job)
    del row["Strategy"], row["ResourceLimits"]
    answer: Json = {**row, "HyperParameterTuningJobConfig": _config(job)}
    if "WarmStartConfig" in job.request:
        answer["WarmStartConfig"] = job.request["WarmStartConfig"]
    told = [_definition(job.config, definition) for definition in job.definitions]
    if "TrainingJobDefinition" in job.request:
        answer["TrainingJobDefinition"] = told[0]
    else:
        answer["TrainingJobDefinitions"] = told
    answer |= {
        "FailureReason": job.failure,
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": job.not_improving
        },
        "ConsumedResources": {"RuntimeInSeconds": math.ceil((job.ended or now) - job.created)},
    }
    if (best := job.best) is not None:
        answer["BestTrainingJob"] = trial(best)
    warm: Json = job.request.get("WarmStartConfig", {})
    if warm.get("WarmStartType") == "IdenticalDataAndAlgorithm":
        overall = best_of([t for one in (*parents, job) for t in one.trials])
        if overall is not None:
            answer["OverallBestTrainingJob"] = trial(overall)
    return answer


def tuning_record(job: TuningJob, parents: Sequence[TuningJob], now: float) -> Json:
    """Return what Search tells of a tuning job; the arguments are those of `tuning`."""
    return {**tuning(job, parents, now), "Tags": tags(job)}


def _config(job: TuningJob) -> Json:
    """Return the configuration with what the service puts in where nothing was said."""
    told: Json = {"TrainingJobEarlyStoppingType": "Off", **job.config}
    if "ParameterRanges" in told:
        told["ParameterRanges"] = _all_kinds(told["ParameterRanges"])
    if told["Strategy"] == "Grid":
        ranges = [ranges_of(job.config, definition) for definition in job.definitions]
        told["ResourceLimits"] = {
            "MaxNumberOfTrainingJobs": sum(_combinations(each) for each in ranges),
            **told["ResourceLimits"],
        }
    return told


def _definition(config: Json, definition: Json) -> Json:
    """Return a definition with what the service adds to it, and its machine as it tells that."""
    metric = {OBJECTIVE: objective_of(config, definition)["MetricName"]}
    told = {
        **definition,
        "StaticHyperParameters": definition.get("StaticHyperParameters", {}) | metric,
    }
    if "HyperParameterRanges" in told:
        told["HyperParameterRanges"] = _all_kinds(told["HyperParameterRanges"])
    own: Json = told.get("HyperParameterTuningResourceConfig", {})
    if "InstanceType" in own:
        told["ResourceConfig"] = told.pop("HyperParameterTuningResourceConfig")
    return told


def _all_kinds(ranges: Json) -> Json:
    empty: Json = {kind: [] for kind in _RANGES}
    return empty | ranges


def _combinations(ranges: Json) -> int:
    return math.prod(len(r["Values"]) for r in ranges.get("CategoricalParameterRanges", ()))


def tags(job: TrainingJob | TuningJob) -> list[Json]:
    """Return the tags of a job."""
    return [{"Key": key, "Value": value} for key, value in job.tags.items()]


def _seconds(job: TrainingJob) -> Json:
    if job.started is None or job.ended is None:
        return {}
    seconds = max(1, math.ceil(job.ended - job.started))
    spot = bool(job.request.get("EnableManagedSpotTraining"))
    billed = max(1, math.ceil(seconds * SPOT_SHARE)) if spot else seconds
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billed}


def _counters(trials: Sequence[TrainingJob]) -> Json:
    status = [job.status for job in trials]
    objective = [objective_status(job) for job in trials]
    return {
        "TrainingJobStatusCounters": {
            "Completed": status.count("Completed"),
            "InProgress": sum(each not in TERMINAL for each in status),
            "RetryableError": 0,
            "NonRetryableError": status.count("Failed"),
            "Stopped": status.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            kind: objective.count(kind) for kind in ("Succeeded", "Pending", "Failed")
        },
    }
