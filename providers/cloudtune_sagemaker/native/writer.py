"""Writes a study as the request of a SageMaker tuning job, with only what the study says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from cloudtune.provider import (
    FromEnvironment,
    Json,
    Report,
    Study,
    Value,
    compact,
    format_value,
    locate_code,
    merge_json,
    native_block,
    parse_duration,
    report_arguments,
    report_stopping,
    report_unsupported,
)
from cloudtune_sagemaker.native.names import (
    DIRECTORY,
    GOALS,
    PROGRAM,
    STRATEGIES,
    WARM_STARTS,
    script_argument,
)
from cloudtune_sagemaker.native.ranges import Branch, branches, ranges
from cloudtune_sagemaker.settings import NAME

_UNSUPPORTED = {
    "description": "a tuning job has no description; use a tag",
    "initial_trials": "a tuning job takes no first trials",
    "limits.max_failed_trials": "a tuning job tolerates any number of failures",
    "limits.max_cost": "SageMaker knows no cost",
    "trial.args": "an image gets only hyperparameters",
    "trial.module": "the image must contain the code, or a script must be in S3",
    "trial.command": "the image must contain the code, or a script must be in S3",
    "trial.requirements": "put requirements.txt into the archive in S3",
    "trial.switches": "SageMaker passes values as they are",
    "trial.resources": "set the instance type",
    "trial.select": "SageMaker keeps the last value of each metric",
}


def write_job(study: Study, report: Report) -> Json:
    """Return the request of a study, with its ``providers.sagemaker.native`` merged in."""
    settings: Mapping[str, Any] = study.providers.get(NAME, {})
    native = native_block(study, NAME)
    report_unsupported(study, report, _UNSUPPORTED)
    report_arguments(study, report, "SageMaker")
    if settings.get("framework"):
        report.warn(
            f"providers.{NAME}.framework", "only `cloudtune plan` looks up the image; set image"
        )
    objective = _objective(study, report)
    found = branches(study, settings, report)
    config = _config(study, report)
    request: Json = compact(HyperParameterTuningJobName=study.name)
    request["HyperParameterTuningJobConfig"] = config
    one: Any = native.get("TrainingJobDefinition") or {}
    if len(found) == 1 and "DefinitionName" not in one:
        config |= compact(HyperParameterTuningJobObjective=objective)
        config["ParameterRanges"] = ranges(found[0], report, _encoder(study))
        definition = _definition(study, settings, found[0], report)
        if definition != {"AlgorithmSpecification": {"TrainingInputMode": "File"}}:
            request["TrainingJobDefinition"] = definition
    else:
        if len(found) == 1:  # one entry of a list
            native["TrainingJobDefinitions"] = [native.pop("TrainingJobDefinition")]
            found[0].name = one["DefinitionName"]
        request["TrainingJobDefinitions"] = [
            {
                "DefinitionName": branch.name,
                **compact(TuningObjective=objective),
                "HyperParameterRanges": ranges(branch, report, _encoder(study)),
                **_definition(study, settings, branch, report),
            }
            for branch in found
        ]
    if start := study.warm_start:
        request["WarmStartConfig"] = _warm_start(start.from_, start.kind, report)
    tags = [{"Key": key, "Value": value} for key, value in settings.get("tags", {}).items()]
    request |= compact(Tags=tags)
    return cast("Json", merge_json(request, native))


def _objective(study: Study, report: Report) -> Json:
    if len(study.objectives) > 1:
        report.refuse("objective", "a tuning job has one objective")
    for objective in study.objectives[:1]:
        if objective.select == "best":
            report.approximate("objective.select", "SageMaker takes the last value of a trial")
        goals = {goal: name for name, goal in GOALS.items()}
        return {"Type": goals[objective.goal], "MetricName": objective.metric}
    return {}


def _config(study: Study, report: Report) -> Json:
    strategy, limits = study.strategy, study.limits
    names = {ours: theirs for theirs, ours in STRATEGIES.items()}
    config: Json = {}
    if strategy.name in names:
        config["Strategy"] = names[strategy.name]
    else:
        report.refuse("strategy.name", f"SageMaker has {', '.join(STRATEGIES)}")
    if strategy.method not in {None, "uniform"}:
        report.drop("strategy.method", "SageMaker chooses the algorithm itself")
    if strategy.name == "hyperband":
        if strategy.eta not in {None, 3}:
            report.drop("strategy.eta", "SageMaker does not document the factor of its rungs")
        band = compact(MinResource=strategy.min, MaxResource=strategy.max)
        config["StrategyConfig"] = {"HyperbandStrategyConfig": band}
    resources = compact(MaxNumberOfTrainingJobs=limits.max_trials)
    resources["MaxParallelTrainingJobs"] = limits.parallel_trials or 1
    if limits.timeout:
        resources["MaxRuntimeInSeconds"] = math.ceil(limits.timeout)
    config["ResourceLimits"] = resources
    if stopping := study.early_stopping:
        if stopping.rule in {"auto", "median"}:
            config["TrainingJobEarlyStoppingType"] = "Auto"
            report_stopping(study, report, "SageMaker")
        else:
            report.drop("early_stopping", f"SageMaker has no rule {stopping.rule}")
    criteria: Json = {}
    for objective in study.objectives[:1]:
        if objective.target is not None:
            criteria["TargetObjectiveMetricValue"] = objective.target
    if limits.patience:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": limits.patience
        }
    config |= compact(TuningJobCompletionCriteria=criteria)
    if strategy.seed is not None:
        config["RandomSeed"] = strategy.seed
    return config


def _definition(study: Study, settings: Mapping[str, Any], branch: Branch, report: Report) -> Json:
    encode = _encoder(study)
    static = {name: encode(value) for name, value in {**study.constants, **branch.fixed}.items()}
    if study.strategy.resource and study.strategy.max:
        static[study.strategy.resource] = str(study.strategy.max)
    static |= _code(study, report)
    definition = compact(StaticHyperParameters=static)
    metrics = [
        {"Name": name, "Regex": regex}
        for name, expressions in study.trial.metrics.items()
        for regex in expressions
    ]
    definition["AlgorithmSpecification"] = compact(
        TrainingImage=settings.get("image"),
        AlgorithmName=settings.get("algorithm"),
        TrainingInputMode=settings.get("input_mode", "File"),
        MetricDefinitions=metrics,
    )
    output = compact(S3OutputPath=_output(settings), KmsKeyId=settings.get("kms_key"))
    timeout = study.limits.trial_timeout
    stopping = compact(
        MaxRuntimeInSeconds=math.ceil(timeout) if timeout else None,
        MaxWaitTimeInSeconds=_seconds(settings.get("max_wait")),
    )
    definition |= compact(
        RoleArn=settings.get("role_arn"),
        InputDataConfig=_channels(study, report),
        OutputDataConfig=output,
        **_machines(settings),
        StoppingCondition=stopping,
        EnableManagedSpotTraining=settings.get("spot") or None,
        EnableNetworkIsolation=settings.get("network_isolation") or None,
        EnableInterContainerTrafficEncryption=settings.get("encrypt_traffic") or None,
        VpcConfig=compact(
            SecurityGroupIds=settings.get("security_group_ids"), Subnets=settings.get("subnets")
        ),
        RetryStrategy=compact(MaximumRetryAttempts=settings.get("retry")),
        Environment=_environment(study, report),
    )
    return definition


def _source(study: Study) -> str:
    source = study.trial.source or {}
    return source.get(NAME) or source.get("*") or ""


def _code(study: Study, report: Report) -> Json:
    if not study.trial.script:
        return {}
    address = _source(study)
    if "://" not in address:
        report.drop(
            "trial.script",
            f"{locate_code(study, NAME)}: put an archive into S3 and set trial.source.{NAME}",
        )
        return {}
    return {PROGRAM: study.trial.script, DIRECTORY: address}


def _encoder(study: Study) -> Callable[[Value], str]:
    """Return what writes a value; the toolkit starts code that is in S3."""
    return _encode if "://" in _source(study) else format_value


def _encode(value: Value) -> str:
    """Return the text of a value from which SageMaker's toolkit decodes the same argument."""
    text = format_value(value)
    return text if script_argument(text) == text or not isinstance(value, str) else json.dumps(text)


def _output(settings: Mapping[str, Any]) -> str | None:
    bucket, prefix = settings.get("bucket"), settings.get("prefix", "cloudtune")
    if not bucket:
        return None
    return f"s3://{bucket}" + ("/" if prefix == "/" else f"/{prefix}" if prefix else "")


def _machines(settings: Mapping[str, Any]) -> Json:
    types: str | list[str] = settings.get("instance_type") or []
    count, volume = (1, 30) if types else (None, None)
    shape = compact(
        InstanceCount=settings.get("instance_count", count),
        VolumeSizeInGB=settings.get("volume_size", volume),
    )
    key = compact(VolumeKmsKeyId=settings.get("volume_kms_key"))
    if isinstance(types, str):
        types = [types]
    if len(types) <= 1:
        return {"ResourceConfig": {**compact(InstanceType="".join(types)), **shape, **key}}
    configs = [{"InstanceType": name, **shape} for name in types]
    return {
        "HyperParameterTuningResourceConfig": {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": configs,
            **key,
        }
    }


def _seconds(text: Any) -> int | None:
    return None if text is None else math.ceil(parse_duration(text))


def _channels(study: Study, report: Report) -> list[Json]:
    channels: list[Json] = []
    for name, addresses in study.trial.inputs.items():
        address = addresses.get(NAME) or addresses.get("*")
        if address is None or "://" not in address.uri:
            reason = f"it has no address in S3: set trial.inputs.{name}.{NAME}"
            report.drop(f"trial.inputs.{name}", reason)
            continue
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": address.uri,
            "S3DataDistributionType": "FullyReplicated",
        }
        channels.append(
            {
                "ChannelName": name,
                "DataSource": {"S3DataSource": source},
                **compact(ContentType=address.content_type),
            }
        )
    return channels


def _environment(study: Study, report: Report) -> Json:
    variables: Json = {}
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            report.drop(f"trial.env.{name}", "only `cloudtune run` reads variables of this shell")
        else:
            variables[name] = value
    return variables


def _warm_start(parents: list[str], kind: str, report: Report) -> Json:
    names: list[str] = []
    for parent in parents:
        service, colon, name = parent.partition(":")
        if colon and service == NAME:
            names.append(name)
        else:
            report.drop("warm_start.from", f"{parent} is not a tuning job of SageMaker")
    kinds = {ours: theirs for theirs, ours in WARM_STARTS.items()}
    return {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": n} for n in names],
        "WarmStartType": kinds[kind],
    }
