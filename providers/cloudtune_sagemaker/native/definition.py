"""Reads one training definition of a tuning job: its code, data, machines and hyperparameters."""

from __future__ import annotations

import re
from typing import Any

from cloudtune.formats import Fields, compact
from cloudtune.provider import PROGRAM as LAUNCHER
from cloudtune.provider import Json, is_map, is_metric_expression, is_variable_name
from cloudtune_sagemaker.native.branches import JoinedBranches, branch_parameters
from cloudtune_sagemaker.native.durations import read_seconds
from cloudtune_sagemaker.native.hyperparameters import read_ranges, read_static
from cloudtune_sagemaker.native.machines import read_machines
from cloudtune_sagemaker.native.names import (
    DIRECTORY,
    PROGRAM,
    SDK_PARAMETERS,
    script_argument,
)
from cloudtune_sagemaker.settings import NAME

_BUCKET = re.compile(r"s3://([^/]+)(?:/(.*))?", re.DOTALL)
_SDK_METRIC = "ObjectiveMetric"


def read_definition(
    fields: Fields,
    config: Fields,
    data: Json,
    settings: Json,
    *,
    origins: dict[str, str],
    joined: JoinedBranches | None,
) -> None:
    """Add what a definition says to a study and to the settings of the provider."""
    trial: Json = {}
    static = _static(fields)
    decoded = _code(fields, trial, settings)
    data["constants"] = read_static(static, decoded=decoded)
    for name in static:
        origins[f"constants.{name}"] = fields.at(f"StaticHyperParameters.{name}")
    if joined is not None:
        fields.take("HyperParameterRanges")
        data["parameters"] = branch_parameters(joined, fields.report, origins, decoded=decoded)
    else:
        ranges = config.map("ParameterRanges")
        if "HyperParameterRanges" in fields:
            ranges = fields.map("HyperParameterRanges")
        data["parameters"] = read_ranges(ranges, decoded=decoded, origins=origins)
    _algorithm(fields, data, trial, settings)
    settings |= compact(role_arn=fields.text("RoleArn"))
    _inputs(fields, trial)
    _output(fields, settings)
    read_machines(fields, settings)
    _stopping(fields, data, settings)
    _switches(fields, settings)
    _environment(fields, trial)
    data["trial"] = trial


def _static(fields: Fields) -> Json:
    """Take the static hyperparameters, without those of the service and its SDK."""
    static = fields.entries("StaticHyperParameters")
    added = [name for name in static if name in SDK_PARAMETERS]
    for name in added:
        del static[name]
    if added:
        text = f"left out what SageMaker and its SDK add: {', '.join(added)}"
        fields.note("StaticHyperParameters", text)
    kept = {name: static.pop(name) for name in list(static) if _is_reserved(name)}
    if kept:
        fields.put("StaticHyperParameters", kept)
    return static


def _is_reserved(name: str) -> bool:
    return name.startswith("sagemaker_")


def _code(fields: Fields, trial: Json, settings: Json) -> bool:
    """Read where the code is; return whether SageMaker's toolkit decodes hyperparameters."""
    described: Any = fields.original.get("StaticHyperParameters")
    described = described if is_map(described) else {}
    if region := described.get("sagemaker_region"):
        settings["region"] = script_argument(str(region))
    reserved: Json = fields.peek("StaticHyperParameters") or {}
    program, directory = reserved.get(PROGRAM), reserved.get(DIRECTORY)
    path = f"StaticHyperParameters.{PROGRAM}"
    if program is None:
        return False
    address = script_argument(str(directory or ""))
    if "://" not in address:
        text = (
            f"the code of {script_argument(str(program))} is in the image or in an input; to run "
            "it elsewhere, name it with trial.source and trial.script"
        )
        fields.warn(path, text)
        return directory is not None
    trial["source"] = {NAME: address}
    trial["script"] = script_argument(str(program))
    kept = {k: v for k, v in reserved.items() if k not in {PROGRAM, DIRECTORY}}
    fields.take("StaticHyperParameters")
    if kept:
        fields.put("StaticHyperParameters", kept)
    text = f"the code is at {address}; to run it elsewhere, add another source to trial.source"
    fields.warn(f"StaticHyperParameters.{DIRECTORY}", text)
    return bool(trial["script"] != LAUNCHER)  # which decodes nothing


def _algorithm(fields: Fields, data: Json, trial: Json, settings: Json) -> None:
    algorithm = fields.map("AlgorithmSpecification")
    settings |= compact(
        image=algorithm.text("TrainingImage"), algorithm=algorithm.text("AlgorithmName")
    )
    if str(algorithm.peek("TrainingInputMode")) in {"File", "Pipe", "FastFile"}:
        settings["input_mode"] = algorithm.take("TrainingInputMode")
    if "script" not in trial and (settings.get("image") or settings.get("algorithm")):
        key = "TrainingImage" if settings.get("image") else "AlgorithmName"
        text = (
            f"the code is in the image {settings['image']}"
            if settings.get("image")
            else f"the code is the algorithm {settings['algorithm']}"
        )
        algorithm.warn(
            key, f"{text}; to run it elsewhere, name it with trial.source and trial.script"
        )
    metrics: Json = {}
    goal: Json = data.get("objective") or {}
    objective = goal.get("metric")
    for each in algorithm.maps("MetricDefinitions", "Name"):
        name, regex = each.text("Name"), each.text("Regex")
        if name == _SDK_METRIC and name != objective:
            continue
        if name and regex and is_metric_expression(regex):
            metrics.setdefault(name, []).append(regex)
        else:
            each.put("Regex", regex)
            each.approximate("Regex", "kept for SageMaker: it has no group around the number")
    trial |= compact(metrics=metrics)


def _inputs(fields: Fields, trial: Json) -> None:
    inputs: Json = {}
    for channel in fields.maps("InputDataConfig", "ChannelName"):
        name = channel.text("ChannelName")
        for key in ("CompressionType", "RecordWrapperType"):
            if channel.peek(key) == "None":
                channel.take(key)
        source = channel.map("DataSource").map("S3DataSource")
        uri = str(source.peek("S3Uri") or "")
        if not name or "://" not in uri:
            channel.note("DataSource", f"kept for SageMaker: {name} has no address in S3")
            continue
        source.take("S3Uri")
        for key, default in (
            ("S3DataType", "S3Prefix"),
            ("S3DataDistributionType", "FullyReplicated"),
        ):
            if source.peek(key) is None:
                source.erase(key)
            elif source.peek(key) == default:
                source.take(key)
        kind = channel.take("ContentType")
        inputs[name] = {NAME: {"uri": uri, "content_type": kind} if kind else uri}
    trial |= compact(inputs=inputs)


def _output(fields: Fields, settings: Json) -> None:
    output = fields.map("OutputDataConfig")
    match = _BUCKET.fullmatch(str(output.peek("S3OutputPath") or ""))
    if match:
        output.take("S3OutputPath")
        settings["bucket"] = match[1]
        settings["prefix"] = "/" if match[2] == "" else match[2] or ""
    settings |= compact(kms_key=output.text("KmsKeyId"))


def _stopping(fields: Fields, data: Json, settings: Json) -> None:
    stopping = fields.map("StoppingCondition")
    data["limits"] |= compact(trial_timeout=read_seconds(stopping, "MaxRuntimeInSeconds"))
    is_spot = fields.peek("EnableManagedSpotTraining") is True
    if is_spot:
        settings |= compact(max_wait=read_seconds(stopping, "MaxWaitTimeInSeconds"))


def _switches(fields: Fields, settings: Json) -> None:
    for key, setting in (
        ("EnableManagedSpotTraining", "spot"),
        ("EnableNetworkIsolation", "network_isolation"),
        ("EnableInterContainerTrafficEncryption", "encrypt_traffic"),
    ):
        if fields.flag(key):
            settings[setting] = True
    network = fields.map("VpcConfig")
    if network.peek("Subnets") and network.peek("SecurityGroupIds"):
        settings["subnets"] = network.texts("Subnets")
        settings["security_group_ids"] = network.texts("SecurityGroupIds")
    retry = fields.map("RetryStrategy")
    if (attempts := retry.integer("MaximumRetryAttempts")) is not None:
        settings["retry"] = attempts


def _environment(fields: Fields, trial: Json) -> None:
    variables = fields.entries("Environment")
    env = {name: str(value) for name, value in variables.items() if is_variable_name(name)}
    if rest := {name: value for name, value in variables.items() if name not in env}:
        fields.put("Environment", rest)
    trial |= compact(env=env)
