"""Jobs and their metrics in the service's own form.

Sources: botocore 1.44.8, service models sagemaker 2017-07-24 and sagemaker-metrics 2022-09-30.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from cloudtune.emulator_kit import Json
from cloudtune_sagemaker.emulator import built_in_metrics, warm_pools, wire
from cloudtune_sagemaker.emulator.errors import ServiceError
from cloudtune_sagemaker.emulator.rules.ranges import OBJECTIVE, Ranges
from cloudtune_sagemaker.emulator.search_space import KINDS, objective_of, ranges_of
from cloudtune_sagemaker.emulator.state import Store, TrainingJob, TuningJob, best_of, float32

SPOT_SHARE = 0.3
"""Billed share of a spot job's training time; the service promises savings of "up to 90 %"
(developer guide, model-managed-spot-training) and publishes no rate."""

COUNTED = 3.0
"""Seconds between two counts of a tuning job's run time, which is up to 3 s late, also at the end:
11 at 14.16 s, 73 at 73.72 s (tests/recordings/sagemaker, 2024)."""

_SWITCHES = (
    *("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"),
    "EnableManagedSpotTraining",
)

_SECONDS = {"OneMinute": 60, "FiveMinute": 300, "OneHour": 3600}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Min": min,
    "Max": max,
    "Avg": statistics.fmean,
    "Count": len,
    "StdDev": statistics.pstdev,
    "Last": lambda values: values[-1],
}


def training(job: TrainingJob) -> Json:
    """Return the answer of DescribeTrainingJob.

    It has no ModelArtifacts while the job runs, though the model calls them required: a recorded
    answer of the service has none either (InProgress, of 2023-04-05, in the README of schematical's
    Terraform module for SageMaker, read 2026-11-27).
    """
    answer = {key: value for key, value in job.request.items() if key in _described()}
    answer.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": 86_400})
    answer |= _defaults(job.request)
    answer |= {
        # Recorded with metric definitions of XGBoost, 2025; the model says that it is true then.
        "AlgorithmSpecification": {"EnableSageMakerMetricsTimeSeries": False, **job.algorithm},
        "OutputDataConfig": {
            "KmsKeyId": "",
            "CompressionType": "GZIP",
            **job.request["OutputDataConfig"],
        },
        "ResourceConfig": job.machines,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.state,
        "SecondaryStatus": job.secondary,
        "SecondaryStatusTransitions": [dict(each) for each in job.transitions],
        "CreationTime": job.created,
        "LastModifiedTime": job.updated,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "FailureReason": job.failure,
        "TuningJobArn": job.trial.tuning_arn if job.trial else None,
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": int(when)}  # recorded, 2025
            for name, (value, when) in job.final.items()
        ]
        or None,
        **_seconds(job),
        **warm_pools.status(job),
    }
    if "ProfilerConfig" in job.request:
        is_off = job.request["ProfilerConfig"].get("DisableProfiler", False)
        answer["ProfilingStatus"] = "Disabled" if is_off else "Enabled"
    if job.model is not None:
        answer["ModelArtifacts"] = {"S3ModelArtifacts": job.model}
    return answer


@cache
def _described() -> frozenset[str]:
    """Return the members of CreateTrainingJob that DescribeTrainingJob has, too."""
    model = wire.service("sagemaker")
    answer = model.operation_model("DescribeTrainingJob").output_shape
    request = model.operation_model("CreateTrainingJob").input_shape
    assert answer is not None
    assert request is not None
    return frozenset(answer.members) & frozenset(request.members)


def training_row(job: TrainingJob) -> Json:
    """Return a training job as in ListTrainingJobs."""
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.updated,
        "TrainingEndTime": job.ended,
        "TrainingJobStatus": job.state,
        "SecondaryStatus": job.secondary,
        **warm_pools.status(job),
    }


def trial(job: TrainingJob) -> Json:
    """Return a training job as in the list of its tuning job."""
    assert job.trial is not None
    value = job.objective
    summary: Json = {
        "TrainingJobDefinitionName": job.trial.definition,
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "TrainingJobStatus": job.state,
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
    """Return whether a trial's objective is known, expected or missing."""
    if not job.is_over:
        return "Pending"
    return "Succeeded" if job.objective is not None else "Failed"


def tuning_row(job: TuningJob) -> Json:
    """Return a tuning job as in ListHyperParameterTuningJobs."""
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.state,
        "Strategy": job.config["Strategy"],
        "CreationTime": job.created,
        "HyperParameterTuningEndTime": job.ended,
        "LastModifiedTime": job.updated,
        "ResourceLimits": job.config["ResourceLimits"],
        **_counters(job.trials),
    }


def tuning(job: TuningJob, parents: Sequence[TuningJob], now: float) -> Json:
    """Return the answer of DescribeHyperParameterTuningJob.

    What the service adds to a request is that of the recorded descriptions of 2024
    (tests/recordings/sagemaker); two clients show it, too: `HyperparameterTuner.attach` of the
    sagemaker SDK (2.257.7) and the acceptance tests of hashicorp/terraform-provider-aws
    (hyper_parameter_tuning_job.go, 2026).

    Args:
        job: The job.
        parents: The tuning jobs that its warm start builds on.
        now: The time.
    """
    row = tuning_row(job)
    del row["Strategy"], row["ResourceLimits"]
    answer: Json = {**row, "HyperParameterTuningJobConfig": _config(job)}
    for name in {"WarmStartConfig", "Autotune"} & job.request.keys():
        answer[name] = job.request[name]
    definitions = [_definition(job.config, definition) for definition in job.definitions]
    if "TrainingJobDefinition" in job.request:
        answer["TrainingJobDefinition"] = definitions[0]
    else:
        answer["TrainingJobDefinitions"] = definitions
    answer |= {
        "FailureReason": job.failure,
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": job.not_improving
        },
        "ConsumedResources": {"RuntimeInSeconds": _runtime(job, now)},
    }
    if (best := job.best) is not None:
        answer["BestTrainingJob"] = trial(best)
    warm: Json = job.request.get("WarmStartConfig", {})
    if warm.get("WarmStartType") == "IdenticalDataAndAlgorithm":
        overall = best_of([t for one in (*parents, job) for t in one.trials])
        if overall is not None:
            answer["OverallBestTrainingJob"] = trial(overall)
    return answer


def _config(job: TuningJob) -> Json:
    """Return the configuration with the service's defaults."""
    config: Json = dict(job.config)
    if "ParameterRanges" in config:
        config["ParameterRanges"] = _all_kinds(config["ParameterRanges"])
    if config["Strategy"] == "Grid":
        ranges = [ranges_of(job.config, definition) for definition in job.definitions]
        config["ResourceLimits"] = {
            "MaxNumberOfTrainingJobs": int(sum(Ranges(each, {}).combinations for each in ranges)),
            **config["ResourceLimits"],
        }
    return config


def _definition(config: Json, definition: Json) -> Json:
    """Return a definition with what the service adds, and its machine in the service's form."""
    metric = {OBJECTIVE: objective_of(config, definition)["MetricName"]}
    algorithm: Json = definition["AlgorithmSpecification"]
    view = {
        **definition,
        **_defaults(definition),
        "AlgorithmSpecification": built_in_metrics.described(algorithm, metric[OBJECTIVE]),
        "StaticHyperParameters": definition.get("StaticHyperParameters", {}) | metric,
    }
    if "HyperParameterRanges" in view:
        view["HyperParameterRanges"] = _all_kinds(view["HyperParameterRanges"])
    if "InstanceType" in view.get("HyperParameterTuningResourceConfig", {}):
        view["ResourceConfig"] = view.pop("HyperParameterTuningResourceConfig")
    return view


def _defaults(request: Json) -> Json:
    """Return what the service adds to any job (all recorded descriptions, 2018 to 2025)."""
    defaults: Json = {switch: request.get(switch, False) for switch in _SWITCHES}
    if "InputDataConfig" in request:
        channel = {"CompressionType": "None", "RecordWrapperType": "None"}
        defaults["InputDataConfig"] = [channel | each for each in request["InputDataConfig"]]
    return defaults


def _runtime(job: TuningJob, now: float) -> int:
    """Return the seconds of a tuning job, which are counted from time to time."""
    seconds = max(0.0, (job.ended or now) - job.created)
    return int(seconds // COUNTED * COUNTED)


def _all_kinds(ranges: Json) -> Json:
    return dict.fromkeys(KINDS, ()) | ranges


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
    states = [job.state for job in trials]
    objectives = [objective_status(job) for job in trials]
    return {
        "TrainingJobStatusCounters": {
            "Completed": states.count("Completed"),
            "InProgress": sum(not job.is_over for job in trials),
            "RetryableError": 0,
            "NonRetryableError": states.count("Failed"),
            "Stopped": states.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            kind: objectives.count(kind) for kind in ("Succeeded", "Pending", "Failed")
        },
    }


def series(store: Store, query: Json) -> Json:
    """Return the result of one query of BatchGetMetrics."""
    try:
        job = store.by_arn(query["ResourceArn"])
    except ServiceError as error:
        return _invalid_query(error.message)
    if not isinstance(job, TrainingJob):
        return _invalid_query("The resource is not a training job.")
    if (query["Period"] == "IterationNumber") != (query["XAxisType"] == "IterationNumber"):
        return _invalid_query("Period and XAxisType must both be IterationNumber, or neither.")
    points: dict[int, list[float]] = {}
    for number, (when, value) in enumerate(_values(job, query), start=1):
        if query["Period"] == "IterationNumber":
            point = number
        else:
            point = int(when) // _SECONDS[query["Period"]] * _SECONDS[query["Period"]]
        points.setdefault(point, []).append(value)
    statistic = _STATISTICS[query["MetricStat"]]
    return {
        "Status": "Complete",
        "XAxisValues": list(points),
        "MetricValues": [float32(statistic(values)) for values in points.values()],
    }


def _values(job: TrainingJob, query: Json) -> list[tuple[float, float]]:
    start, end = query.get("Start", float("-inf")), query.get("End", float("inf"))
    name: str = query["MetricName"]
    if name not in job.curves:
        return []
    return [(when, value) for when, value in job.curves[name] if start <= when <= end]


def _invalid_query(message: str) -> Json:
    return {
        "Status": "ValidationError",
        "Message": message,
        "XAxisValues": [],
        "MetricValues": [],
    }
