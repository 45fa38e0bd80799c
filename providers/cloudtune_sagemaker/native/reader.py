"""Reads the request of a SageMaker tuning job, or the answer of describe, as studies."""

from __future__ import annotations

from typing import Any

from cloudtune.formats import Fields, StudyDraft, compact, describe_value
from cloudtune.provider import Json, is_list, is_map
from cloudtune_sagemaker.native.branches import JoinedBranches, join
from cloudtune_sagemaker.native.definition import read_definition
from cloudtune_sagemaker.native.durations import read_seconds
from cloudtune_sagemaker.native.hyperparameters import read_ranges
from cloudtune_sagemaker.native.names import AUTO, GOALS, HYPERBAND, STRATEGIES, WARM_STARTS
from cloudtune_sagemaker.rules.native import unknown_fields
from cloudtune_sagemaker.settings import NAME

_DESCRIBED = (
    *("HyperParameterTuningJobArn", "HyperParameterTuningJobStatus", "CreationTime"),
    *("HyperParameterTuningEndTime", "LastModifiedTime", "TrainingJobStatusCounters"),
    *("ObjectiveStatusCounters", "BestTrainingJob", "OverallBestTrainingJob", "FailureReason"),
    *("TuningJobCompletionDetails", "ConsumedResources", "ResponseMetadata"),
)
"""What DescribeHyperParameterTuningJob adds to the request."""
_RUN_TAG = "cloudtune:run"
_CONFIG = "HyperParameterTuningJobConfig"
_ONE = "TrainingJobDefinition"
_MANY = "TrainingJobDefinitions"


def read_job(document: Fields) -> list[StudyDraft]:
    """Return the studies of a tuning job: one for each definition that differs in its code."""
    if _CONFIG not in document:  # the config alone
        whole = {_CONFIG: dict(document.original)}
        document = Fields(whole, document.report)
        document.warn(_CONFIG, "only the config of a job: no definition says what runs")
    definitions = _definitions(document)
    if len(definitions) > 1:
        joined = join(definitions)
        if joined is not None:
            first = {**definitions[0], "StaticHyperParameters": joined.common}
            return [_read(document, Fields(first, document.report, f"{_MANY}.0"), joined)]
        path = f"{_CONFIG}.ResourceLimits"
        text = (
            f"the limits hold for all {len(definitions)} definitions together, and for each of "
            "the studies that they become"
        )
        document.report.warn(path, text)
    drafts: list[StudyDraft] = []
    for index, definition in enumerate(definitions or [None]):
        path = f"{_MANY}.{index}" if len(definitions) > 1 or _ONE not in document else _ONE
        own = Fields(document.original, document.report)
        part = None if definition is None else Fields(definition, document.report, path)
        drafts.append(_read(own, part))
    return drafts


def _definitions(document: Fields) -> list[Json]:
    one, many = document.peek(_ONE), document.peek(_MANY)
    if one and many:
        hint = "keep one of them: SageMaker accepts either"
        document.mistake(_MANY, f"{_ONE} and {_MANY} are both set", hint)
        return []
    found: list[Any] = [one] if one else many or []
    if not is_list(found) or not all(map(is_map, found)):
        document.mistake(_ONE if one else _MANY, "must be a map, or a list of maps")
        return []
    return found


def _read(
    document: Fields, definition: Fields | None, joined: JoinedBranches | None = None
) -> StudyDraft:
    """Return the study of a job with one definition, or with several that join to one study."""
    for key in (_ONE, _MANY):
        document.take(key)
    data: Json = {"name": document.text("HyperParameterTuningJobName")}
    added = [key for key in _DESCRIBED if document.take(key) is not None]
    if added:
        document.note("", f"left out what the service adds: {', '.join(added)}")
    origins: dict[str, str] = {}
    config = document.map(_CONFIG)
    objective = _objective(config, definition, origins)
    _strategy(config, data, origins)
    _limits(config, data, origins)
    criteria = config.map("TuningJobCompletionCriteria")
    if (target := criteria.number("TargetObjectiveMetricValue")) is not None:
        if objective:
            objective["target"] = target
        else:
            criteria.put("TargetObjectiveMetricValue", target)
    patience = criteria.map("BestObjectiveNotImproving").integer(
        "MaxNumberOfTrainingJobsNotImproving"
    )
    data["limits"] |= compact(patience=patience)
    data["objective"] = objective
    settings: Json = {}
    _tags(document, settings)
    _warm_start(document, data)
    if document.peek("Autotune"):
        document.approximate("Autotune", "kept for SageMaker: other services do not tune ranges")
    if definition is None:
        ranges = config.map("ParameterRanges")
        data["parameters"] = read_ranges(ranges, decoded=False, origins=origins)
        data["trial"] = {}
    else:
        read_definition(definition, config, data, settings, origins=origins, joined=joined)
    rest = document.rest()
    if definition is not None:
        rest |= _definition_rest(definition.rest(), joined)
    for path, reason in unknown_fields(rest):
        head, dot, inner = path.partition(".")
        own = definition.path if definition is not None and head == _ONE else head
        document.warn(own + dot + inner, f"kept, but SageMaker refuses it: {reason}")
    if not objective and not document.report.problems:
        document.warn(f"{_CONFIG}.HyperParameterTuningJobObjective", "absent: add objective")
    has_ranges = data["parameters"] or any(
        each.path.endswith("AutoParameters") for each in document.report.findings
    )
    if not has_ranges and not document.report.problems:
        document.warn(f"{_CONFIG}.ParameterRanges", "no ranges: add parameters to tune")
    if joined is not None:
        settings["definition_names"] = dict(joined.names)
    data["providers"] = {NAME: {**settings, **compact(native=rest)}}
    name = definition.original.get("DefinitionName") if definition is not None else None
    path = definition.path if definition is not None and joined is None else ""
    return StudyDraft(data, str(name or ""), origins, path)


def _definition_rest(rest: Json, joined: JoinedBranches | None) -> Json:
    if joined is None:
        return {_ONE: rest} if rest else {}
    rest.pop("DefinitionName", None)
    if not rest:
        return {}
    return {_MANY: [{"DefinitionName": name, **rest} for name in joined.names.values()]}


def _objective(config: Fields, definition: Fields | None, origins: dict[str, str]) -> Json:
    fields = config.map("HyperParameterTuningJobObjective")
    if definition is not None and "TuningObjective" in definition:
        fields = definition.map("TuningObjective")
    kind, metric = fields.word("Type"), fields.text("MetricName")
    if not fields.original:
        return {}
    if kind not in GOALS:
        fields.mistake("Type", f"must be Maximize or Minimize, {describe_value(kind)}")
        return {}
    if not metric:
        fields.mistake("MetricName", "an objective needs a metric")
        return {}
    origins["objective"] = fields.path
    return {"metric": metric, "goal": GOALS[kind]}


def _strategy(config: Fields, data: Json, origins: dict[str, str]) -> None:
    name = config.word("Strategy")
    if name not in STRATEGIES:
        hint = f"use {', '.join(STRATEGIES)}"
        config.mistake("Strategy", f"must be a strategy, {describe_value(name)}", hint)
        return
    strategy: Json = {"name": STRATEGIES[name]}
    origins["strategy"] = config.at("Strategy")
    if name == HYPERBAND:
        band = config.map("StrategyConfig").map("HyperbandStrategyConfig")
        strategy |= compact(min=band.integer("MinResource"), max=band.integer("MaxResource"))
        origins["strategy.min"] = band.at("MinResource")
        origins["strategy.max"] = band.at("MaxResource")
        if "max" not in strategy:
            reason = (
                "without StrategyConfig.HyperbandStrategyConfig.MaxResource, a study cannot tell "
                "how long a trial trains: other services search at random"
            )
            config.approximate("Strategy", reason)
            config.put("Strategy", name)
            if "min" in strategy:
                band.put("MinResource", strategy["min"])
            strategy = {"name": "random"}
    seed = config.peek("RandomSeed")
    if isinstance(seed, int | str) and str(seed).isdigit() and int(seed) < 2**32:
        strategy["seed"] = config.integer("RandomSeed")
    data["strategy"] = strategy
    stopping = config.word("TrainingJobEarlyStoppingType") or "Off"
    if stopping == AUTO:
        data["early_stopping"] = "auto"
        origins["early_stopping"] = config.at("TrainingJobEarlyStoppingType")
    elif stopping != "Off":
        config.mistake("TrainingJobEarlyStoppingType", f"must be Off or Auto, not {stopping!r}")


def _limits(config: Fields, data: Json, origins: dict[str, str]) -> None:
    limits = config.map("ResourceLimits")
    data["limits"] = compact(
        max_trials=limits.integer("MaxNumberOfTrainingJobs"),
        parallel_trials=limits.integer("MaxParallelTrainingJobs"),
        timeout=read_seconds(limits, "MaxRuntimeInSeconds"),
    )
    origins["limits.max_trials"] = limits.at("MaxNumberOfTrainingJobs")
    origins["limits.parallel_trials"] = limits.at("MaxParallelTrainingJobs")


def _tags(document: Fields, settings: Json) -> None:
    if is_map(tags := document.peek("Tags")):  # as Step Functions returns them
        settings |= compact(tags={str(key): str(value) for key, value in tags.items()})
        document.take("Tags")
        return
    tags = document.items("Tags")
    found = [each for each in tags if is_map(each) and each.get("Key") != _RUN_TAG]
    if len(found) < len(tags):
        document.note("Tags", f"left out {_RUN_TAG}, which belongs to a run of cloudtune")
    keys = [str(each.get("Key")) for each in found]
    if len(set(keys)) == len(keys) and all(each.keys() == {"Key", "Value"} for each in found):
        settings |= compact(tags={str(each["Key"]): str(each["Value"]) for each in found})
    else:
        document.put("Tags", found)


def _warm_start(document: Fields, data: Json) -> None:
    start = document.map("WarmStartConfig")
    if not start.original:
        return
    kind = start.word("WarmStartType")
    if kind not in WARM_STARTS:
        start.mistake(
            "WarmStartType", f"must be one of {', '.join(WARM_STARTS)}, {describe_value(kind)}"
        )
        return
    parents = start.maps("ParentHyperParameterTuningJobs")
    names = [each.text("HyperParameterTuningJobName") for each in parents]
    if not names:
        start.mistake("ParentHyperParameterTuningJobs", "a warm start needs parents")
        return
    data["warm_start"] = {"from": [f"{NAME}:{name}" for name in names], "kind": WARM_STARTS[kind]}
