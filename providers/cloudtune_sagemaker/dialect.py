"""How a study is written as the request of a SageMaker tuning job."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cloudtune.provider import (
    Adjustment,
    Dialect,
    Finding,
    FittedStudy,
    FloatParameter,
    FromEnvironment,
    IntParameter,
    Json,
    Native,
    Note,
    Parameter,
    Study,
    Value,
    Words,
    choose_one,
    compact,
    format_value,
    inverse,
    is_remote,
    list_values,
    locate_code,
    map_at,
    named_entries,
    native_of,
    other_sources,
    source_address,
    take_block,
)
from cloudtune_sagemaker.capabilities import MANAGED
from cloudtune_sagemaker.native.names import (
    GOALS,
    SCALES,
    STRATEGIES,
    WARM_STARTS,
)
from cloudtune_sagemaker.native.training_definition import training_definition, value_encoder
from cloudtune_sagemaker.request.parameters import (
    active_parameters,
    definition_names,
    fixed_parameters,
)
from cloudtune_sagemaker.settings import NAME

_IMAGE = "the image must contain the code, or a script must be in S3"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
"""A name of a tuning job (HyperParameterTuningJobName, botocore 1.44.8)."""
_REQUIRED = {
    "role_arn": "RoleArn",
    "bucket": "OutputDataConfig",
    "instance_type": "ResourceConfig",
}
"""By setting, the required field of a training definition."""


def _adjust(parameter: Parameter) -> Adjustment | None:
    if (one := choose_one(parameter)) is not None:
        return one
    if not isinstance(parameter, FloatParameter | IntParameter):
        return None
    is_possible = isinstance(parameter, FloatParameter) and (
        0 <= parameter.min <= parameter.max < 1
    )
    if parameter.scale != "reverse_log" or is_possible:
        return None
    reason = "SageMaker has it for floats from 0 to below 1; here it is linear"
    linear = parameter.model_copy(update={"scale": "linear"})
    return Adjustment("approximated", "scale", reason, linear)


_WORDS = Words(
    strategies={word: {"name": name} for word, name in STRATEGIES.items()},
    plain={"random": "uniform"},
    goals=GOALS,
    scales=SCALES,
    automatic="median",
)
_CAPABILITIES = replace(
    MANAGED,
    launcher=False,
    enforced_here=frozenset(),
    single_values=True,
    adjust=_adjust,
    fields=frozenset(
        [
            *("constants", "strategy.resource", "strategy.min", "strategy.max"),
            *("trial.source", "trial.script", "trial.metrics", "trial.inputs", "trial.env"),
        ]
    ),
    reasons={
        "description": "a tuning job has no description; use a tag",
        "initial_trials": "a tuning job takes no first trials",
        "objective": "a tuning job has one objective",
        "objective.select": "SageMaker takes the last value of a trial",
        "early_stopping": "the rule of SageMaker has no such setting",
        "strategy.name": f"SageMaker has {', '.join(STRATEGIES)}",
        "strategy.eta": "SageMaker does not document the factor of its rungs",
        "limits.max_failed_trials": "a tuning job tolerates any number of failures",
        "limits.max_cost": "SageMaker knows no cost",
        "trial.args": "an image gets only hyperparameters",
        "trial.arguments": "SageMaker passes options, such as --lr 0.1",
        "trial.module": _IMAGE,
        "trial.command": _IMAGE,
        "trial.requirements": "put requirements.txt into the archive in S3",
        "trial.switches": "SageMaker passes values as they are",
        "trial.resources": "set the instance type",
        "trial.retry": "the memory is that of the instance type",
        "trial.select": "SageMaker keeps the last value of each metric",
    },
)


@dataclass
class _Branch:
    """The parameters of one training definition."""

    name: str
    tuned: Mapping[str, Parameter]
    fixed: Mapping[str, Value] = field(default_factory=dict[str, Value])


def _branches(fitted: FittedStudy, settings: Json) -> list[_Branch]:
    """Return one branch, or one for each value of the parameter on which conditions depend."""
    if fitted.root is None:
        tuned = {name: variants[0] for name, variants in fitted.study.parameters.items()}
        return [_Branch("", tuned)]
    found: list[_Branch] = []
    for name, value in definition_names(fitted, map_at(settings, "definition_names")).items():
        fixed = {fitted.root: value, **fixed_parameters(fitted, value)}
        active = dict(active_parameters(fitted, value))
        tuned = {each: parameter for each, parameter in active.items() if each not in fixed}
        found.append(_Branch(name, tuned, fixed))
    return found


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, rest = fitted.study, native.rest
    settings = map_at(study.providers, NAME)
    objective = _objective(study)
    found = _branches(fitted, settings)
    config = _config(study)
    request: Json = compact(HyperParameterTuningJobName=study.name)
    request["HyperParameterTuningJobConfig"] = config
    one = map_at(rest, "TrainingJobDefinition")
    if len(found) == 1 and "DefinitionName" not in one:
        config |= compact(HyperParameterTuningJobObjective=objective)
        config["ParameterRanges"] = _ranges(found[0], native, value_encoder(study))
        definition = training_definition(study, settings, found[0].fixed)
        if definition != {"AlgorithmSpecification": {"TrainingInputMode": "File"}}:
            request["TrainingJobDefinition"] = definition
    else:
        if len(found) == 1:  # one entry of a list
            rest["TrainingJobDefinitions"] = [rest.pop("TrainingJobDefinition")]
            found[0].name = one["DefinitionName"]
        request["TrainingJobDefinitions"] = [
            {
                "DefinitionName": branch.name,
                **compact(TuningObjective=objective),
                "HyperParameterRanges": _ranges(branch, native, value_encoder(study)),
                **training_definition(study, settings, branch.fixed),
            }
            for branch in found
        ]
        _drop_definitions(rest, [branch.name for branch in found])
    if start := study.warm_start:
        request["WarmStartConfig"] = _warm_start(start.from_, start.kind)
    tags = [{"Key": key, "Value": value} for key, value in settings.get("tags", {}).items()]
    return request | compact(Tags=tags)


def _drop_definitions(rest: Json, names: list[str]) -> None:
    """Drop what is kept of the definitions of values that the root no longer has."""
    kept = named_entries(rest.pop("TrainingJobDefinitions", None), "DefinitionName")
    if found := [each for name in names for each in kept.get(name, ())]:
        rest["TrainingJobDefinitions"] = found


def _objective(study: Study) -> Json:
    for objective in study.objectives:
        return {"Type": inverse(GOALS, objective.goal), "MetricName": objective.metric}
    return {}


def _config(study: Study) -> Json:
    strategy, limits = study.strategy, study.limits
    config: Json = {"Strategy": _WORDS.strategy(strategy)}
    if strategy.name == "hyperband":
        band = compact(MinResource=strategy.min, MaxResource=strategy.max)
        config["StrategyConfig"] = {"HyperbandStrategyConfig": band}
    resources = compact(MaxNumberOfTrainingJobs=limits.max_trials)
    resources["MaxParallelTrainingJobs"] = limits.parallel_trials or 1
    if limits.timeout:
        resources["MaxRuntimeInSeconds"] = math.ceil(limits.timeout)
    config["ResourceLimits"] = resources
    if study.early_stopping:
        config["TrainingJobEarlyStoppingType"] = "Auto"
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


def _ranges(branch: _Branch, native: Native, encode: Callable[[Value], str]) -> Json:
    """Return the ParameterRanges of a branch."""
    found: dict[str, list[Json]] = {}
    for name, parameter in branch.tuned.items():
        kind, fields = _range(parameter, encode)
        entry = {"Name": name, **native.written(name, parameter, fields)}
        found.setdefault(f"{kind}ParameterRanges", []).append(entry)
    return dict(found)


def _range(parameter: Parameter, encode: Callable[[Value], str]) -> tuple[str, Json]:
    if isinstance(parameter, FloatParameter | IntParameter):
        return "Continuous" if isinstance(parameter, FloatParameter) else "Integer", {
            "MinValue": format_value(parameter.min),
            "MaxValue": format_value(parameter.max),
            "ScalingType": inverse(SCALES, parameter.scale),
        }
    return "Categorical", {"Values": list(map(encode, list_values(parameter) or ()))}


def _warm_start(parents: list[str], kind: str) -> Json:
    names = [parent.removeprefix(_PREFIX) for parent in parents if parent.startswith(_PREFIX)]
    return {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": n} for n in names],
        "WarmStartType": inverse(WARM_STARTS, kind),
    }


_PREFIX = f"{NAME}:"
_RANGES = ("HyperParameterTuningJobConfig", "ParameterRanges")


def _native(study: Study) -> Native:
    rest = native_of(study, NAME)
    entries: dict[str, list[Any]] = {}
    ranges = map_at(rest, *_RANGES)
    for kind in [key for key in ranges if key != "AutoParameters"]:
        entries |= named_entries(take_block(rest, *_RANGES, kind), "Name")
    return Native(rest, None, entries)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, settings = fitted.study, map_at(fitted.study.providers, NAME)
    if settings.get("framework"):
        text = "only `cloudtune plan` looks up the image; set image"
        yield Note(f"providers.{NAME}.framework", text, "warning")
    if study.name and not _NAME.fullmatch(study.name):
        text = "SageMaker takes at most 32 letters, digits and hyphens as a name: change it"
        yield Note("name", text, "warning")
    yield from other_sources(study, NAME)
    yield from _input_rules(study)
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            text = "only `cloudtune run` reads variables of this shell"
            yield Finding("dropped", f"trial.env.{name}", text)
    if study.trial.script and not is_remote(source_address(study, NAME)):
        for key in ("script", "source") if study.trial.source else ("script",):
            text = f"{locate_code(study, NAME)}: put an archive into S3 and set trial.source.{NAME}"
            yield Finding("dropped", f"trial.{key}", text)
    elif study.trial.source and not study.trial.script:
        yield Finding("dropped", "trial.source", "without trial.script, the image has the code")
    for parent in study.warm_start.from_ if study.warm_start else ():
        if not parent.startswith(_PREFIX):
            text = f"{parent} is not a tuning job of SageMaker"
            yield Finding("approximated", "warm_start.from", text)
    if not native.rest.keys() & {"TrainingJobDefinition", "TrainingJobDefinitions"}:
        yield from _required(study, settings)


def _input_rules(study: Study) -> Iterator[Finding | Note]:
    for name, addresses in study.trial.inputs.items():
        address = addresses.get(NAME) or addresses.get("*")
        if address is None or not is_remote(address.uri):
            reason = f"it has no address in S3: set trial.inputs.{name}.{NAME}"
            yield Finding("dropped", f"trial.inputs.{name}", reason)
        for other in addresses.keys() - {NAME, "*"}:
            yield Note(f"trial.inputs.{name}.{other}", f"is only for {other}, so it is left out")


def _required(study: Study, settings: Json) -> Iterator[Note]:
    """Yield a warning for each field that SageMaker needs and the study does not have."""
    for key, required in _REQUIRED.items():
        if settings.get(key) is None:
            text = f"absent: SageMaker needs {required}; set it"
            yield Note(f"providers.{NAME}.{key}", text, "warning")
    if settings.get("image") is None and settings.get("algorithm") is None:
        text = "absent: SageMaker needs an image or an algorithm; set it"
        yield Note(f"providers.{NAME}.image", text, "warning")
    if study.limits.trial_timeout is None:
        text = "absent: SageMaker needs StoppingCondition; set it"
        yield Note("limits.trial_timeout", text, "warning")


SAGEMAKER = Dialect(
    name=NAME,
    title="SageMaker",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
